package pacing

import (
	"context"
	"math"
	"slices"
	"sync"
	"time"

	"apitoken.dev/operator/internal/clock"
)

const (
	// reservedPart: one of reservedPart calls of a burst is reserved for tenants without a
	// recent call, so one tenant's calls never delay the first call of another.
	reservedPart = 4
	// recently is how long a call of a tenant counts.
	recently = time.Second
)

// limiter is the rate limiter of one provider. Queued calls are served in turns between
// tenants. A rate.Limiter from golang.org/x/time serves first come, first served, and
// reserves tokens ahead of time, so one tenant could delay all others.
type limiter struct {
	clock clock.Clock
	// interval is the time in which one call becomes possible; 0: no limit. Burst calls
	// may go at once after an idle time, of which reserved are only for tenants without a
	// recent call.
	interval        time.Duration
	burst, reserved int

	mu sync.Mutex
	// fullAt is the monotonic time at which the burst is available in full again (GCRA,
	// the virtual-scheduling form of ITU-T I.371).
	fullAt time.Duration
	// called is when each tenant made its last call.
	called map[string]time.Duration
	// queues are the tenants with queued calls, in the order in which they are served.
	queues []*queue
}

// queue has the queued calls of one tenant.
type queue struct {
	tenant string
	calls  []*queuedCall
}

type queuedCall struct {
	served bool
	// wake ends its sleep.
	wake context.CancelFunc
}

// newLimiter returns a limiter of rate calls per second; unlimited when rate is negative.
func newLimiter(c clock.Clock, rate float64, burst int) *limiter {
	l := &limiter{clock: c, burst: burst, reserved: burst / reservedPart, called: map[string]time.Duration{}}
	if rate > 0 {
		l.interval = time.Duration(math.Ceil(float64(time.Second) / rate))
	}
	return l
}

// wait returns when a call of a tenant may be sent, and how long it was queued. If that
// would take longer than maxWait, tooLong is the time that it would take, and the call
// counts against no limit. An error is the context's.
func (l *limiter) wait(ctx context.Context, tenant string, maxWait time.Duration) (waited, tooLong time.Duration, err error) {
	sleep, wake := context.WithCancel(ctx)
	defer wake()
	c := &queuedCall{wake: wake}
	l.mu.Lock()
	defer l.mu.Unlock()
	began := l.clock.Monotonic()
	if left := l.delay(tenant, began); left > maxWait {
		return 0, left, nil
	}
	l.enqueue(tenant, c)
	for {
		l.serve()
		now := l.clock.Monotonic()
		waited = now - began
		switch {
		case c.served:
			return waited, 0, nil
		case ctx.Err() != nil:
			l.remove(tenant, c)
			return waited, 0, ctx.Err()
		case waited >= maxWait:
			l.remove(tenant, c)
			return waited, l.delay(tenant, now), nil
		}
		next := min(l.next(now), maxWait-waited)
		l.mu.Unlock()
		_ = l.clock.Sleep(sleep, next) // ends early when the call is served or canceled
		l.mu.Lock()
	}
}

// delay is how long one more call of a tenant would be queued behind the current queues.
// Tenants take turns, so at most as many calls of each other tenant are served first as
// calls of its own: a long queue of one tenant does not block another.
func (l *limiter) delay(tenant string, now time.Duration) time.Duration {
	own := 1
	for _, q := range l.queues {
		if q.tenant == tenant {
			own += len(q.calls)
		}
	}
	before := own
	for _, q := range l.queues {
		if q.tenant != tenant {
			before += min(own, len(q.calls))
		}
	}
	return l.until(before+l.reservedFrom(tenant, now), now)
}

// estimate is delay, for a caller without the lock.
func (l *limiter) estimate(tenant string) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.delay(tenant, l.clock.Monotonic())
}

// until is the time until this number of calls may be sent at once.
func (l *limiter) until(calls int, now time.Duration) time.Duration {
	return max(0, max(l.fullAt, now)+time.Duration(calls-l.burst)*l.interval-now)
}

// reservedFrom is the part of the burst that this tenant may not use.
func (l *limiter) reservedFrom(tenant string, now time.Duration) int {
	if last, ok := l.called[tenant]; ok && now-last < recently {
		return l.reserved
	}
	return 0
}

// next is how long until a queued call may be sent.
func (l *limiter) next(now time.Duration) time.Duration {
	soonest := time.Duration(math.MaxInt64)
	for _, q := range l.queues {
		soonest = min(soonest, l.until(1+l.reservedFrom(q.tenant, now), now))
		if last, ok := l.called[q.tenant]; ok && l.reserved > 0 && now-last < recently {
			soonest = min(soonest, max(recently-(now-last), l.until(1, now)))
		}
	}
	return soonest
}

// serve wakes the calls that may be sent now, one of each tenant in turn.
func (l *limiter) serve() {
	now := l.clock.Monotonic()
	for {
		i := slices.IndexFunc(l.queues, func(q *queue) bool { return l.until(1+l.reservedFrom(q.tenant, now), now) == 0 })
		if i < 0 {
			return
		}
		q := l.queues[i]
		c := q.calls[0]
		q.calls = q.calls[1:]
		l.queues = slices.Delete(l.queues, i, i+1)
		if len(q.calls) > 0 {
			l.queues = append(l.queues, q)
		}
		l.fullAt = max(l.fullAt, now) + l.interval
		l.count(q.tenant, now)
		c.served = true
		c.wake()
	}
}

// count records a call of a tenant, and drops those that are no longer recent.
func (l *limiter) count(tenant string, now time.Duration) {
	if l.reserved == 0 {
		return
	}
	for other, last := range l.called {
		if now-last >= recently {
			delete(l.called, other)
		}
	}
	l.called[tenant] = now
}

func (l *limiter) enqueue(tenant string, c *queuedCall) {
	for _, q := range l.queues {
		if q.tenant == tenant {
			q.calls = append(q.calls, c)
			return
		}
	}
	l.queues = append(l.queues, &queue{tenant: tenant, calls: []*queuedCall{c}})
}

func (l *limiter) remove(tenant string, c *queuedCall) {
	for i, q := range l.queues {
		n := slices.Index(q.calls, c)
		if q.tenant != tenant || n < 0 {
			continue
		}
		q.calls = slices.Delete(q.calls, n, n+1)
		if len(q.calls) == 0 {
			l.queues = slices.Delete(l.queues, i, i+1)
		}
		return
	}
}
