// Package places shares out what is scarce when many ApiTokens wait for
// providers: places at a provider. A reconcile takes a place before its first
// call of a provider. If there is none, it ends at once and stays in the line of
// that provider. When its turn comes it is woken, and has TurnFor to claim it.
//
// A line is fair between namespaces: they take turns, however many ApiTokens
// each has in it. The limits are per provider, per account, per namespace and in
// all, so that calls that hang hold neither another namespace's places nor the
// workers of the operator.
package places

import (
	"context"
	"errors"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"apitoken.dev/operator/internal/clock"
)

// TurnFor is how long a turn waits for the reconcile that it woke. After that
// the next one in the line has it.
const TurnFor = 5 * time.Second

// ErrNoPlace is the cause of the error for a call that was not sent, because its
// caller has no place at the provider.
var ErrNoPlace = errors.New("the caller has no place at this provider")

// Class orders what one namespace has in a line. Lower goes first.
type Class int

// The classes.
const (
	// Ends are hard ends, deletions and due revocations.
	Ends Class = iota
	// Rotates replaces or changes a credential that is in use.
	Rotates
	// Issues is a first credential.
	Issues
	// Rest can wait for everything else.
	Rest
)

// Want is what a reconcile asks for.
type Want struct {
	// Who asks. Its namespace is the one that the line is fair to; an object without
	// a namespace stands for itself.
	Who types.NamespacedName
	// Provider names the provider, in any form that is unique. Shared says that it
	// serves more than one namespace.
	Provider string
	Shared   bool
	// Account is set for an account that has room for few credentials: all providers
	// of that account then share one line and its places.
	Account string
	Class   Class
	// Due orders one class: the earliest goes first, the zero time last. Those that are
	// equal go in the order in which they came.
	Due time.Time
	// Mints says that the reconcile may sleep in the course of its action.
	Mints bool
}

// Limits are how many places there are; 0 is no limit.
type Limits struct {
	// Shared is for a provider that serves more than one namespace, Provider for any
	// other, Account for an account with room for few credentials.
	Shared, Provider, Account int
	// SharedEach is how many of the places of a shared provider one namespace may
	// have: the others are free for other namespaces at once.
	SharedEach int
	// Namespace is for what one namespace has at all providers.
	Namespace int
	// Asleep is for the mints of one namespace, also those that sleep without a place.
	Asleep int
	// InAll is for places and sleepers together. It must leave workers for reconciles
	// that call no provider.
	InAll int
}

// Places shares out places. It is safe for concurrent use.
type Places struct {
	clock  clock.Clock
	limits Limits

	mu      sync.Mutex
	wake    func(types.NamespacedName)
	woken   []types.NamespacedName
	tickets map[types.NamespacedName]*ticket
	lines   map[string]*line
	tenants map[string]*tenant
	// order are the tenants that wait, in the order in which they are served.
	order []*tenant
	// turns are those that were not claimed yet, the oldest first.
	turns []*ticket
	busy  int
	count uint64
	// kick tells Run that there is a turn to watch.
	kick chan struct{}
}

// New returns Places without any taken.
func New(c clock.Clock, limits Limits) *Places {
	return &Places{clock: c, limits: limits, tickets: map[types.NamespacedName]*ticket{}, lines: map[string]*line{},
		tenants: map[string]*tenant{}, kick: make(chan struct{}, 1)}
}

// OnTurn sets what is called with the name of each reconcile whose turn has come.
// It must not wait. Set it before the first Take.
func (s *Places) OnTurn(wake func(types.NamespacedName)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wake = wake
}

// Take returns a place, which has to be released. Without one it returns false:
// the caller is in line, keeps its position there when it asks again, and is
// woken when its turn comes.
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

// Await is Take for a caller that has a goroutine of its own: it waits for its
// turn. An error is the context's.
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

// Leave takes one out of its line that no longer wants a place. One that holds a
// place keeps it.
func (s *Places) Leave(who types.NamespacedName) {
	s.locked(func() {
		if t := s.tickets[who]; t != nil && t.state != held && t.state != asleep {
			s.drop(t)
		}
	})
}

// Run passes on turns that are not claimed, until the context ends.
func (s *Places) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		var wait time.Duration
		s.locked(func() {
			if len(s.turns) > 0 {
				wait = s.turns[0].until - s.clock.Monotonic()
			}
		})
		if wait > 0 {
			_ = s.clock.Sleep(ctx, wait) // it ends with the context
			continue
		}
		select {
		case <-s.kick:
		case <-ctx.Done():
		}
	}
	return nil
}

// Stats are numbers at one moment.
type Stats struct {
	// Waiting are in a line. Held are places that are taken, or kept for those that
	// were woken. Asleep wait without a place for a credential to become usable.
	Waiting, Held, Asleep int
	// Oldest is how long the first of those in a line has waited.
	Oldest time.Duration
}

// Stats returns how many wait, and since when.
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

// locked runs f with the lock held, and then wakes those whose turn has come.
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

// holding runs f with the lock held. It returns what is to be done without the lock:
// whom to wake, how, and whether a turn is to be watched.
func (s *Places) holding(f func()) (woken []types.NamespacedName, wake func(types.NamespacedName), watch bool) {
	s.mu.Lock()
	defer s.mu.Unlock() // also when f panics: everyone needs the lock
	s.expire()
	f()
	s.expire()
	woken, s.woken = s.woken, nil
	return woken, s.wake, len(s.turns) > 0
}

// Place is a place at a provider, or what is left of it.
type Place struct {
	s *Places
	t *ticket
}

// Check returns ErrNoPlace unless this is a place at that provider now.
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

// Tenant is whom the place was given to: a namespace, or an object without one.
func (p *Place) Tenant() string {
	if p == nil {
		return ""
	}
	return p.t.group.tenant.name
}

// Release gives the place back. It may be called more than once.
func (p *Place) Release() {
	if p == nil {
		return
	}
	p.s.locked(func() { p.s.drop(p.t) })
}

// Sleep gives the place back and waits for d, or until the context ends. After
// that the caller has no place: it must not call the provider in this reconcile.
func (p *Place) Sleep(ctx context.Context, d time.Duration) error {
	p.s.locked(func() { p.s.fallAsleep(p.t) })
	return p.s.clock.Sleep(ctx, d)
}
