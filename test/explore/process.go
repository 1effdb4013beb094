package explore

import (
	"context"
	"encoding/binary"
	"runtime"
	"time"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/controllers/apitoken"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/connections"
	"apitoken.dev/operator/internal/places"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/test/support/apifake"
	"apitoken.dev/operator/test/support/fake"
)

// point is where a process has stopped: before a request, after it, or at a deadline
// check.
type point struct {
	// what is the request, such as "update ApiToken/status" or "Mint".
	what string
	// after: the request has taken effect, and the process has no response yet.
	after bool
	// write is set for requests that change something, provider for requests to the
	// provider.
	write, provider bool
}

func (p point) String() string {
	if p.after {
		return "after " + p.what
	}
	return "before " + p.what
}

// command continues a process, with a fault or without.
type command struct {
	crash bool
	fault fault
}

// process is one operator: its memory, its cache, and at most one reconcile in
// progress.
type process struct {
	w  *world
	id string
	// key is the ApiToken that it reconciles.
	key types.NamespacedName
	// smooth: the process has no faults and stops at no point.
	smooth  bool
	rec     *apitoken.Reconciler
	cache   *apifake.StaleReader
	client  provider.Client
	booted  time.Duration
	names   uint64
	events  chan any
	resume  chan command
	at      *point
	fresh   bool
	pending fault
	// secretFailed: a write of the Secret in this attempt returned an error.
	secretFailed bool
	// answers is when the provider responds, where both processes act; 0 if no request is
	// open.
	answers time.Duration
	// failures counts consecutive reconciles that returned an error.
	failures int
	woken    bool
	seen     int64
	wake     time.Duration // world time of the next timer; 0 without a timer
}

// done is sent at the end of a reconcile. err is nil after a crash too.
type done struct {
	result  ctrl.Result
	err     error
	crashed bool
}

func (w *world) boot(id string) *process {
	p := &process{w: w, id: id, key: tokenKey, booted: w.now, woken: true, events: make(chan any), resume: make(chan command)}
	w.boots++
	p.names = w.boots << 16
	managed, err := labels.NewRequirement(v1alpha1.LabelManaged, selection.Exists, nil)
	if err != nil {
		panic(err)
	}
	p.cache = w.server.StaleReader(nil, labels.NewSelector().Add(*managed))
	if err := account.AddIndex(context.Background(), p.cache); err != nil {
		panic(err)
	}
	w.quiet(func() {
		p.client, _, err = w.driver.Connect(context.Background(), provider.Config{UserAgent: id, Cluster: cluster})
	})
	if err != nil {
		panic(err)
	}
	live := &lateClient{Client: w.server.Client(p), p: p}
	cached := &lateClient{Client: w.server.Client(p).ReadingFrom(p.cache), p: p}
	p.rec = apitoken.New(apitoken.Options{
		Client: cached, Live: live, Providers: p, Clock: processClock{p}, Cluster: cluster, Random: p,
		Decide: w.variant.decide(plan.Next), Steps: w.steps(p),
	})
	return p
}

// Read returns the random part of credential names: different in every process, the same
// in every run.
func (p *process) Read(b []byte) (int, error) {
	if p.w.variant.sameNames {
		return len(b), nil
	}
	p.names++
	clear(b)
	binary.BigEndian.PutUint64(b, p.names<<16) // a name contains the first 50 bits
	return len(b), nil
}

// start starts a reconcile.
func (p *process) start() {
	p.woken, p.wake, p.secretFailed = false, 0, false
	go func() {
		end := done{crashed: true}
		defer func() { p.events <- end }()
		res, err := p.rec.Reconcile(context.Background(), ctrl.Request{NamespacedName: p.key})
		end = done{result: res, err: err}
	}()
}

// yield stops at a point until the world continues the process.
func (p *process) yield(at point) fault {
	if p.smooth {
		return noFault
	}
	p.events <- at
	c := <-p.resume
	if c.crash {
		runtime.Goexit()
	}
	return c.fault
}

// Before implements apifake.Hook. A request directly after a deadline check is no point
// of its own: everything that can happen in between can happen before the check.
func (p *process) Before(_ context.Context, c apifake.Call) error {
	if p.w.silent {
		return nil
	}
	if c.Verb == apifake.VerbDelete && c.Kind == apifake.KindSecret {
		p.w.secretEnds()
	}
	f := p.meet(true, pointOf(c))
	switch f { //nolint:exhaustive // the others affect the response
	case lost:
		return unavailable(c)
	case refused:
		return forbidden(c)
	}
	if err := p.w.refuses(c); err != nil {
		return err
	}
	if f == late || f == answerLost || f == repeated {
		p.pending = f
	}
	return nil
}

// meet returns the fault of a request: the one chosen at the deadline check directly
// before it, or else one chosen now.
func (p *process) meet(before bool, at point) fault {
	if p.fresh && before {
		f := p.pending
		p.pending, p.fresh = noFault, false
		return f
	}
	return p.yield(at)
}

// After implements apifake.Hook.
func (p *process) After(_ context.Context, c apifake.Call, err error) error {
	if p.w.silent {
		return err
	}
	f := p.pending
	p.pending = noFault
	if f == noFault && c.Verb != apifake.VerbGet && err == nil {
		at := pointOf(c)
		at.after = true
		f = p.yield(at)
	}
	if err == nil {
		err = answer(c, f)
	}
	if err != nil && c.Kind == apifake.KindSecret && c.Verb != apifake.VerbGet {
		p.secretFailed = true
	}
	return err
}

func pointOf(c apifake.Call) point {
	what := c.Verb + " " + c.Kind
	if c.Subresource != "" {
		what += "/" + c.Subresource
	}
	return point{what: what, write: c.Verb != apifake.VerbGet && c.Verb != apifake.VerbList}
}

// onProviderCall stops before and after each request to the provider.
func (w *world) onProviderCall(_ context.Context, c fake.Call) fake.Fault {
	if w.silent {
		return fake.Fault{}
	}
	p := w.processes[c.Client]
	if p == nil || c.Phase == fake.After && !changes(c.Verb) {
		return fake.Fault{}
	}
	f := p.meet(c.Phase == fake.Before, point{what: string(c.Verb), after: c.Phase == fake.After, provider: true,
		write: changes(c.Verb)})
	if f == late {
		w.later = append(w.later, landing{at: w.now + landsWithin, land: func() { w.backend.Land() }})
	}
	return fake.Fault{Kind: providerFaults[f]}
}

// changes reports whether a call changes something at the provider.
func changes(v fake.Verb) bool { return v == fake.Mint || v == fake.Revoke || v == fake.Update }

// Facts implements apitoken.Providers: one provider that is always ready, and that can
// stop admitting the namespace.
func (p *process) Facts(context.Context, account.Key, string, provider.Grant) (account.Facts, error) {
	return account.Facts{
		Found: true, Ready: true, Verified: true, Admitted: !p.w.obstacles[notAdmitted], Account: provider.Account{ID: fake.DefaultAccount},
		DriverType: fake.Type, Driver: p.w.driver, Capabilities: p.w.driver.Capabilities(),
	}, nil
}

// Connect implements apitoken.Providers.
func (p *process) Connect(context.Context, account.Key, *places.Place) (connections.Connection, error) {
	return connections.Connection{Client: p.client, Account: provider.Account{ID: fake.DefaultAccount}}, nil
}

// Sharing implements apitoken.Providers.
func (p *process) Sharing(_ context.Context, key account.Key) ([]account.Key, bool, error) {
	return []account.Key{key}, true, nil
}

// Forget implements apitoken.Providers.
func (p *process) Forget(account.Key) {}

// processClock combines the world's wall clock with the monotonic clock of the process.
type processClock struct{ p *process }

// Now implements clock.Clock.
func (c processClock) Now() time.Time { return c.p.w.skewed() }

// Monotonic implements clock.Clock.
func (c processClock) Monotonic() time.Duration { return c.p.w.now - c.p.booted }

// Sleep implements clock.Clock: it advances the world's time.
func (c processClock) Sleep(ctx context.Context, d time.Duration) error {
	c.p.w.advance(d)
	return ctx.Err()
}

var tokenKey = types.NamespacedName{Namespace: "team", Name: "token"}
