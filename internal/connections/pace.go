package connections

import (
	"context"
	"math"
	"slices"
	"sync"
	"time"

	"apitoken.dev/operator/internal/clock"
)

const (
	// reservedPart is the part of a provider's burst that is kept for namespaces that
	// made no call lately: what one namespace asks for never delays the first call of
	// another.
	reservedPart = 4
	// lately is how long a call of a namespace counts.
	lately = time.Second
)

// pace lets calls to one provider go at its rate. Those that wait are served by
// namespace in turns. rate.Limiter hands turns out first come, first served, and
// at most promises them far ahead; here nothing is promised.
type pace struct {
	clock clock.Clock
	// interval is the time in which one call becomes possible; 0: no limit. Burst calls
	// may go at once after a rest, of which reserved only for those without a call lately.
	interval        time.Duration
	burst, reserved int

	mu sync.Mutex
	// spent is the monotonic time at which the burst is whole again (GCRA, the
	// virtual-scheduling form of ITU-T I.371).
	spent time.Duration
	// called is when each tenant made its last call.
	called map[string]time.Duration
	// round are the tenants that wait, in the order in which they are served.
	round []*queued
}

// queued are the waiting calls of one tenant.
type queued struct {
	tenant string
	calls  []*waiting
}

// waiting is a call that waits.
type waiting struct {
	served bool
	// go ends its sleep.
	wake context.CancelFunc
}

// newPace returns a pace of so many calls a second; below 0: no limit.
func newPace(c clock.Clock, rate float64, burst int) *pace {
	p := &pace{clock: c, burst: burst, reserved: burst / reservedPart, called: map[string]time.Duration{}}
	if rate > 0 {
		p.interval = time.Duration(math.Ceil(float64(time.Second) / rate))
	}
	return p
}

// wait returns when a call of a tenant may go. It waits no longer than patience:
// crowded is then how long it would take, and nothing was used up. An error is the
// context's.
func (p *pace) wait(ctx context.Context, tenant string, patience time.Duration) (waited, crowded time.Duration, err error) {
	sleep, wake := context.WithCancel(ctx)
	defer wake()
	w := &waiting{wake: wake}
	p.mu.Lock()
	defer p.mu.Unlock()
	began := p.clock.Monotonic()
	if left := p.ahead(tenant, began); left > patience {
		return 0, left, nil
	}
	p.enter(tenant, w)
	for {
		p.serve()
		now := p.clock.Monotonic()
		waited = now - began
		switch {
		case w.served:
			return waited, 0, nil
		case ctx.Err() != nil:
			p.leave(tenant, w)
			return waited, 0, ctx.Err()
		case waited >= patience:
			p.leave(tenant, w)
			return waited, p.ahead(tenant, now), nil
		}
		next := min(p.next(now), patience-waited)
		p.mu.Unlock()
		_ = p.clock.Sleep(sleep, next) // it ends early when the call is served, or given up
		p.mu.Lock()
	}
}

// ahead is how long one more call of a tenant would wait, with what waits now. The
// tenants take turns, so of another tenant's calls no more go first than of its own:
// one tenant's line never makes another's call hopeless.
func (p *pace) ahead(tenant string, now time.Duration) time.Duration {
	own := 1
	for _, q := range p.round {
		if q.tenant == tenant {
			own += len(q.calls)
		}
	}
	before := own
	for _, q := range p.round {
		if q.tenant != tenant {
			before += min(own, len(q.calls))
		}
	}
	return p.until(before+p.kept(tenant, now), now)
}

// estimate is ahead for one who does not hold the lock.
func (p *pace) estimate(tenant string) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ahead(tenant, p.clock.Monotonic())
}

// until is how long until so many calls may go at once.
func (p *pace) until(calls int, now time.Duration) time.Duration {
	return max(0, max(p.spent, now)+time.Duration(calls-p.burst)*p.interval-now)
}

// kept is how much of the burst is not for this tenant.
func (p *pace) kept(tenant string, now time.Duration) int {
	if last, ok := p.called[tenant]; ok && now-last < lately {
		return p.reserved
	}
	return 0
}

// next is how long until some call that waits may go.
func (p *pace) next(now time.Duration) time.Duration {
	soonest := time.Duration(math.MaxInt64)
	for _, q := range p.round {
		soonest = min(soonest, p.until(1+p.kept(q.tenant, now), now))
		if last, ok := p.called[q.tenant]; ok && p.reserved > 0 && now-last < lately {
			soonest = min(soonest, max(lately-(now-last), p.until(1, now)))
		}
	}
	return soonest
}

// serve lets those go that may, one of each tenant in turn.
func (p *pace) serve() {
	now := p.clock.Monotonic()
	for {
		i := slices.IndexFunc(p.round, func(q *queued) bool { return p.until(1+p.kept(q.tenant, now), now) == 0 })
		if i < 0 {
			return
		}
		q := p.round[i]
		w := q.calls[0]
		q.calls = q.calls[1:]
		p.round = slices.Delete(p.round, i, i+1)
		if len(q.calls) > 0 {
			p.round = append(p.round, q)
		}
		p.spent = max(p.spent, now) + p.interval
		p.call(q.tenant, now)
		w.served = true
		w.wake()
	}
}

// call notes a call of a tenant, and forgets those that no longer count.
func (p *pace) call(tenant string, now time.Duration) {
	if p.reserved == 0 {
		return
	}
	for who, last := range p.called {
		if now-last >= lately {
			delete(p.called, who)
		}
	}
	p.called[tenant] = now
}

func (p *pace) enter(tenant string, w *waiting) {
	for _, q := range p.round {
		if q.tenant == tenant {
			q.calls = append(q.calls, w)
			return
		}
	}
	p.round = append(p.round, &queued{tenant: tenant, calls: []*waiting{w}})
}

func (p *pace) leave(tenant string, w *waiting) {
	for i, q := range p.round {
		n := slices.Index(q.calls, w)
		if q.tenant != tenant || n < 0 {
			continue
		}
		q.calls = slices.Delete(q.calls, n, n+1)
		if len(q.calls) == 0 {
			p.round = slices.Delete(p.round, i, i+1)
		}
		return
	}
}
