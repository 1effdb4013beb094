// Package places limits how many reconciles call a provider at the same time. A reconcile
// takes a place before its first call to a provider. If none is free, it ends and stays in
// the line of that provider. When its turn comes it is woken, and has TurnFor to claim the
// place.
//
// A line is fair: namespaces take turns, however many ApiTokens each has in it. Places are
// limited per provider, per account, per namespace and in total, so hanging calls block
// neither other namespaces nor all workers of the operator.
package places

import (
	"context"
	"errors"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"apitoken.dev/operator/internal/clock"
)

// TurnFor is how long a woken reconcile can claim its place. After that the next one in the
// line is woken.
const TurnFor = 5 * time.Second

// ErrNoPlace is the cause of the error of a call that was not sent, because its caller has no
// place at the provider.
var ErrNoPlace = errors.New("the caller has no place at this provider")

// Class orders the reconciles of one namespace in a line. Lower goes first.
type Class int

// The classes.
const (
	// Ends are hard ends, deletions and due revocations.
	Ends Class = iota
	// Rotates replaces or changes a credential that is in use.
	Rotates
	// Issues issues the first credential.
	Issues
	// Rest has the lowest priority.
	Rest
)

// Want is a request for a place.
type Want struct {
	// Who is the object of the reconcile. Its namespace is the tenant; an object without a
	// namespace is a tenant of its own.
	Who types.NamespacedName
	// Provider is a unique name of the provider. Shared: it serves more than one namespace.
	Provider string
	Shared   bool
	// Account is set for an account with few slots. All providers of the account then share
	// one line and its places.
	Account string
	Class   Class
	// Due orders the reconciles of one class: the earliest first, the zero time last. Equal
	// ones are served in the order of their requests.
	Due time.Time
	// Mints: the reconcile can sleep during its action.
	Mints bool
}

// Limits are the numbers of places; 0: unlimited.
type Limits struct {
	// Shared applies to a provider that serves more than one namespace, Provider to any
	// other, Account to an account with few slots.
	Shared, Provider, Account int
	// SharedEach is the number of places of a shared provider that one namespace can have.
	// The others stay free for other namespaces.
	SharedEach int
	// Namespace applies to all places of one namespace.
	Namespace int
	// Asleep applies to the mints of one namespace, including those that sleep without a place.
	Asleep int
	// InAll applies to all places and sleepers together. It must leave workers for
	// reconciles that call no provider.
	InAll int
}

// Places hands out places. It is safe for concurrent use.
type Places struct {
	clock  clock.Clock
	limits Limits

	mu      sync.Mutex
	wake    func(types.NamespacedName)
	woken   []types.NamespacedName
	tickets map[types.NamespacedName]*ticket
	lines   map[string]*line
	tenants map[string]*tenant
	// order has the waiting tenants, in the order in which they are served.
	order []*tenant
	// turns are the unclaimed turns, the oldest first.
	turns []*ticket
	busy  int
	count uint64
	// kick wakes Run when there is an unclaimed turn.
	kick chan struct{}
}

// New returns Places of which none is taken.
func New(c clock.Clock, limits Limits) *Places {
	return &Places{clock: c, limits: limits, tickets: map[types.NamespacedName]*ticket{}, lines: map[string]*line{},
		tenants: map[string]*tenant{}, kick: make(chan struct{}, 1)}
}

// OnTurn registers a callback for each reconcile whose turn has come. It must not block.
// Call OnTurn before the first Take.
func (s *Places) OnTurn(wake func(types.NamespacedName)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wake = wake
}

// Take returns a place, which the caller must release. If none is free, it returns false:
// the caller is in the line, keeps its position when it calls Take again, and is woken when
// its turn comes.
func (s *Places) Take(w Want) (*Place, bool) {
	var place *Place
	s.locked(func() {
		if t := s.ask(w); t.state == turn || t.state == held {
			s.claim(t)
			place = &Place{s: s, t: t}
		}
	})
	return place, place != nil
}

// Await is Take for a caller with its own goroutine: it blocks until its turn comes. An
// error is the context's.
func (s *Places) Await(ctx context.Context, w Want) (*Place, error) {
	var t *ticket
	s.locked(func() {
		if t = s.ask(w); t.state == turn || t.state == held {
			s.claim(t)
		} else {
			t.granted = make(chan struct{})
		}
	})
	place := &Place{s: s, t: t}
	if t.granted == nil {
		return place, nil
	}
	select {
	case <-t.granted:
		return place, nil
	case <-ctx.Done():
		s.locked(func() { s.drop(t) })
		return nil, ctx.Err()
	}
}

// Leave removes an object from its line. An object that has a place keeps it.
func (s *Places) Leave(who types.NamespacedName) {
	s.locked(func() {
		if t := s.tickets[who]; t != nil && t.state != held && t.state != asleep {
			s.drop(t)
		}
	})
}

// Run hands unclaimed turns to the next in the line, until the context ends.
func (s *Places) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		var wait time.Duration
		s.locked(func() {
			if len(s.turns) > 0 {
				wait = s.turns[0].until - s.clock.Monotonic()
			}
		})
		if wait > 0 {
			_ = s.clock.Sleep(ctx, wait) // ends with the context
			continue
		}
		select {
		case <-s.kick:
		case <-ctx.Done():
		}
	}
	return nil
}

// Stats are the current numbers.
type Stats struct {
	// Waiting objects are in a line. Held places are taken, or reserved for a woken
	// reconcile. Asleep are the mints that wait without a place.
	Waiting, Held, Asleep int
	// Oldest is how long the oldest waiting object has waited.
	Oldest time.Duration
}

// Stats returns the current numbers.
func (s *Places) Stats() Stats {
	var out Stats
	s.locked(func() {
		now := s.clock.Monotonic()
		for _, t := range s.tickets {
			switch t.state {
			case held:
				out.Held++
				continue
			case asleep:
				out.Asleep++
				continue
			case turn:
				out.Held++
			case left:
				continue
			case waiting, late:
				out.Waiting++
			}
			out.Oldest = max(out.Oldest, now-t.since)
		}
	})
	return out
}

// locked runs f with the lock held, and then wakes the reconciles whose turn has come.
func (s *Places) locked(f func()) {
	woken, wake, watch := s.holding(f)
	if watch {
		select {
		case s.kick <- struct{}{}:
		default:
		}
	}
	for _, who := range woken {
		if wake != nil {
			wake(who)
		}
	}
}

// holding runs f with the lock held. It returns what must be done without the lock: the
// reconciles to wake, the callback, and whether Run must watch a turn.
func (s *Places) holding(f func()) (woken []types.NamespacedName, wake func(types.NamespacedName), watch bool) {
	s.mu.Lock()
	defer s.mu.Unlock() // even if f panics, because all callers need the lock
	s.expire()
	f()
	s.expire()
	woken, s.woken = s.woken, nil
	return woken, s.wake, len(s.turns) > 0
}

// Place is a place at a provider. It can be released.
type Place struct {
	s *Places
	t *ticket
}

// Check returns ErrNoPlace unless this is an unreleased place at that provider.
func (p *Place) Check(provider string) error {
	if p == nil {
		return ErrNoPlace
	}
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	if p.t.state != held || p.t.want.Provider != provider {
		return ErrNoPlace
	}
	return nil
}

// Tenant is the namespace that has the place, or the object if it has no namespace.
func (p *Place) Tenant() string {
	if p == nil {
		return ""
	}
	return p.t.group.tenant.name
}

// Release releases the place. It can be called more than once.
func (p *Place) Release() {
	if p == nil {
		return
	}
	p.s.locked(func() { p.s.drop(p.t) })
}

// Sleep releases the place and waits for d, or until the context ends. After that the
// caller has no place and must not call the provider in this reconcile.
func (p *Place) Sleep(ctx context.Context, d time.Duration) error {
	p.s.locked(func() { p.s.fallAsleep(p.t) })
	return p.s.clock.Sleep(ctx, d)
}
