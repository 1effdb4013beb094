// Package explore runs the real reconciler against a fake API server and a fake provider,
// in every order that a schedule of deviations describes: a process crashes before or
// after each of its effects; requests and responses are lost, repeated or late; two
// processes interleave, and either can be paused for any time; users delete and change
// objects in between. After every effect the explorer checks the invariants of the
// protocol (docs/architecture.md), and at the end that everything converges.
package explore

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/test/support/apifake"
	"apitoken.dev/operator/test/support/fake"
)

const (
	// oldCache is the deviation that starts a reconcile with the cache of the previous
	// one.
	oldCache = "old cache"
	// passBegins is the choice point before a reconcile.
	passBegins = "pass begins"

	cluster = "abcdefgh"
	// maxSteps ends a run that does not come to rest.
	maxSteps = 4000
	// maxRetry is the longest backoff after consecutive failed reconciles. It equals that
	// of the operator's work queue.
	maxRetry = 2 * time.Minute
	// horizon is how far ahead the explorer follows timers at the end.
	horizon = 3 * time.Hour
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// world is everything outside the processes, and the order in which they run.
type world struct {
	server    *apifake.Server
	backend   *fake.Backend
	driver    *fake.Driver
	variant   variant
	processes map[string]*process
	current   *process
	neighbour *process           // reconciles another ApiToken of the account; can be nil
	declared  *v1alpha1.ApiToken // as it was created first
	choose    chooser
	story     []func(*world)
	patience  time.Duration
	both      bool // both processes act
	used      map[string]bool
	old       *corev1.Secret // what a user may restore
	obstacles map[obstacle]bool
	disturbed time.Duration // when the last deviation or step of the story happened
	victim    string        // another owner's credential in the account; "" without one
	// ledger holds the names that were last in the ledger, with the time each was first
	// seen. retained holds those that an ApiToken left behind on purpose, until they are
	// in a ledger again.
	ledger   map[string]time.Duration
	retained map[string]bool
	retains  bool
	// ended holds the credentials whose Secret an operator tried to delete because they
	// had reached their end.
	ended map[string]bool

	now       time.Duration
	skew      time.Duration
	boots     uint64
	silent    bool
	restored  bool
	later     []landing
	trace     []string
	violation string
}

// wall returns the true time, which the API server and the provider use.
func (w *world) wall() time.Time { return epoch.Add(w.now) }

// skewed returns the time that the wall clocks of the processes show.
func (w *world) skewed() time.Time { return w.wall().Add(w.skew) }

// quiet runs f without choice points.
func (w *world) quiet(f func()) {
	was := w.silent
	w.silent = true
	f()
	w.silent = was
}

// advance advances the time and delivers the requests that arrive by then.
func (w *world) advance(d time.Duration) {
	w.now += d
	due := slices.DeleteFunc(slices.Clone(w.later), func(l landing) bool { return l.at > w.now })
	w.later = slices.DeleteFunc(w.later, func(l landing) bool { return l.at <= w.now })
	for _, l := range due {
		w.quiet(l.land)
	}
}

// newWorld returns an empty cluster, two processes and an ApiToken that is not created
// yet.
func newWorld(s Scenario, v variant, c chooser) *world {
	w := &world{
		variant: v, choose: c, used: map[string]bool{}, story: slices.Clone(s.story), patience: s.patience, both: s.both,
		ledger: map[string]time.Duration{}, retained: map[string]bool{}, ended: map[string]bool{}, obstacles: map[obstacle]bool{},
	}
	w.server = apifake.NewServer(w.wall)
	w.backend = fake.NewBackend(worldClock{w})
	w.backend.OnCall = w.onProviderCall
	w.backend.ObeysIDs = true
	w.driver = fake.New(w.backend)
	w.declared = s.token(w.driver)
	if w.driver.Caps.MaxLive == 0 {
		w.victim = w.backend.Stranger(1)[0]
	}
	w.quiet(func() {
		must(w.server.Client(nil).Create(context.Background(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: tokenKey.Namespace}}))
		if s.shared {
			w.moveIn()
		}
		must(w.server.Client(nil).Create(context.Background(), w.declared.DeepCopy()))
	})
	w.processes = map[string]*process{}
	for _, id := range []string{"a", "b"} {
		w.processes[id] = w.boot(id)
	}
	w.current = w.processes["a"]
	if s.shared {
		w.bootNeighbour()
	}
	return w
}

// run follows the schedule until everything is at rest.
func (w *world) run() {
	for step := 0; w.violation == ""; step++ {
		if step > maxSteps {
			w.violate("convergence", "no rest after %d steps", maxSteps)
			break
		}
		w.check()
		if w.both && w.takesTurns() {
			continue
		}
		p := w.current
		switch {
		case p.at != nil:
			w.atPoint(p)
		case p.ready():
			w.begin(p)
		case w.neighbour != nil && w.neighbour.ready():
			w.runNeighbour()
		case !w.idle(p):
			w.settled()
			w.stop()
			return
		}
	}
	w.stop()
}

// pick lets the schedule choose. After a deviation, the operator has the full time again
// to come to rest.
func (w *world) pick(at string, options []string) int {
	option := w.choose.pick(at, options)
	if option > 0 {
		w.disturbed = w.now
	}
	return option
}

// begin starts a reconcile, with a current cache or with that of the previous
// reconcile.
func (w *world) begin(p *process) {
	if w.pick(passBegins, []string{"", oldCache}) == 0 {
		p.cache.Refresh()
		p.seen = w.server.Revision()
	} else {
		w.note("%s starts with an old cache", p.id)
	}
	p.start()
	w.await(p)
}

// await returns the next event of a process.
func (w *world) await(p *process) {
	p.answers = 0
	switch e := (<-p.events).(type) {
	case point:
		p.at = &e
	case done:
		p.at = nil
		if e.err == nil {
			p.failures = 0
		}
		switch {
		case e.crashed:
			w.processes[p.id] = w.boot(p.id)
			w.current = w.processes[p.id]
		case e.err != nil:
			p.failures++
			p.wake = w.now + min(maxRetry, time.Second<<min(p.failures-1, 10))
		case e.result.RequeueAfter > 0:
			p.wake = w.now + e.result.RequeueAfter
		}
	}
}

// ready reports whether a process has work to do now: its cache lags behind, or a timer
// has fired.
func (p *process) ready() bool {
	return p.woken || p.seen < p.w.server.Revision() || p.wake > 0 && p.wake <= p.w.now
}

// stop ends the processes that are in a reconcile.
func (w *world) stop() {
	for _, p := range w.processes {
		if p.at != nil {
			p.resume <- command{crash: true}
			<-p.events
			p.at = nil
		}
	}
}

func (w *world) note(format string, args ...any) {
	w.trace = append(w.trace, fmt.Sprintf("%8s  ", w.now)+fmt.Sprintf(format, args...))
}

func (w *world) token() *v1alpha1.ApiToken {
	t, _ := w.server.Peek(apifakeToken).(*v1alpha1.ApiToken)
	return t
}

func (w *world) secret() *corev1.Secret {
	s, _ := w.server.Peek(apifakeSecret).(*corev1.Secret)
	return s
}

var (
	apifakeToken  = apifake.Key{Kind: "ApiToken", Namespace: tokenKey.Namespace, Name: tokenKey.Name}
	apifakeSecret = apifake.Key{Kind: apifake.KindSecret, Namespace: tokenKey.Namespace, Name: tokenKey.Name}
)

type worldClock struct{ w *world }

// Now implements clock.Clock.
func (c worldClock) Now() time.Time { return c.w.wall() }

// Monotonic implements clock.Clock.
func (c worldClock) Monotonic() time.Duration { return c.w.now }

// Sleep implements clock.Clock. The provider never sleeps.
func (c worldClock) Sleep(ctx context.Context, _ time.Duration) error { return ctx.Err() }

func must(err error) {
	if err != nil {
		panic(err)
	}
}
