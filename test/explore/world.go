// Package explore runs the real reconciler against an API server and a
// provider in memory, in every order that a schedule of deviations describes: a
// process is stopped before and after each of its effects, requests and answers
// are lost, repeated or late, two processes interleave and either is paused for
// any time, and users delete and change things meanwhile. After every effect it
// checks the invariants of the protocol (docs/architecture.md), and at the end
// that everything converges.
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
	// oldCache is the deviation of a pass that starts with the cache of the pass before.
	oldCache = "old cache"
	// passBegins is the choice point before a pass.
	passBegins = "pass begins"

	cluster = "abcdefgh"
	// maxSteps ends a run that does not come to rest.
	maxSteps = 4000
	// maxRetry is the longest wait after passes that ended with an error, one after the
	// other; the work queue of the operator waits as long.
	maxRetry = 2 * time.Minute
	// horizon is how far ahead timers are followed at the end.
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
	neighbour *process           // reconciles another ApiToken of the account; nil: there is none
	declared  *v1alpha1.ApiToken // as it was created first
	choose    chooser
	story     []func(*world)
	patience  time.Duration
	both      bool // both processes act
	used      map[string]bool
	old       *corev1.Secret // what a user may restore
	obstacles map[obstacle]bool
	disturbed time.Duration // when something last came from outside: a deviation, or a turn of the story
	victim    string        // somebody else's credential in the account; empty: none
	// ledger are the names that were last seen in the ledger, each with when it was
	// first seen; retained those that an
	// ApiToken has left behind on purpose, until a ledger has them again.
	ledger   map[string]time.Duration
	retained map[string]bool
	retains  bool
	// ended are the credentials whose Secret an operator has tried to delete, because
	// their time is up.
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

// wall is the true time, which the API server and the provider have.
func (w *world) wall() time.Time { return epoch.Add(w.now) }

// skewed is the time that the processes' wall clocks show.
func (w *world) skewed() time.Time { return w.wall().Add(w.skew) }

// quiet runs something that no schedule interferes with.
func (w *world) quiet(f func()) {
	was := w.silent
	w.silent = true
	f()
	w.silent = was
}

// advance lets time pass, and what is under way arrive.
func (w *world) advance(d time.Duration) {
	w.now += d
	due := slices.DeleteFunc(slices.Clone(w.later), func(l landing) bool { return l.at > w.now })
	w.later = slices.DeleteFunc(w.later, func(l landing) bool { return l.at <= w.now })
	for _, l := range due {
		w.quiet(l.land)
	}
}

// newWorld makes an empty cluster, two processes, and an ApiToken to be.
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

// pick lets the schedule choose. From a deviation on the operator gets time again to
// come to rest.
func (w *world) pick(at string, options []string) int {
	option := w.choose.pick(at, options)
	if option > 0 {
		w.disturbed = w.now
	}
	return option
}

// begin starts a pass, with a cache that is up to date or as old as it was.
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

// await takes the next event of a process.
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

// ready reports whether a process has something to do now: its cache has yet to
// show a change, or a timer has come.
func (p *process) ready() bool {
	return p.woken || p.seen < p.w.server.Revision() || p.wake > 0 && p.wake <= p.w.now
}

// stop ends the processes that are still in a pass.
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

// Sleep implements clock.Clock; the provider never sleeps.
func (c worldClock) Sleep(ctx context.Context, _ time.Duration) error { return ctx.Err() }

func must(err error) {
	if err != nil {
		panic(err)
	}
}
