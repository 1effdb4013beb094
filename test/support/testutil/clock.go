// Package testutil holds what tests of several packages need: a clock that a
// test sets, a count of the requests to an API server, and a log that can be
// searched. It is never linked into the operator.
package testutil

import (
	"context"
	"sync"
	"time"

	"apitoken.dev/operator/internal/clock"
)

// Clock is a clock.Clock that stands still until a test moves it. It is safe for
// concurrent use.
type Clock struct {
	mu        sync.Mutex
	wall      time.Time
	monotonic time.Duration
	sleepers  int
	// changed is closed and replaced at every change.
	changed chan struct{}
}

var _ clock.Clock = (*Clock)(nil)

// NewClock returns a Clock that shows this wall time.
func NewClock(wall time.Time) *Clock {
	return &Clock{wall: wall, changed: make(chan struct{})}
}

// Now implements clock.Clock.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.wall
}

// Monotonic implements clock.Clock.
func (c *Clock) Monotonic() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.monotonic
}

// Advance moves both times forward.
func (c *Clock) Advance(d time.Duration) {
	c.change(func() {
		c.wall = c.wall.Add(d)
		c.monotonic += d
	})
}

// AdvanceTo moves both times forward until the wall shows at; it never moves back.
func (c *Clock) AdvanceTo(at time.Time) {
	c.change(func() {
		if d := at.Sub(c.wall); d > 0 {
			c.wall = at
			c.monotonic += d
		}
	})
}

// SetWall lets the wall jump, as an adjusted computer clock does.
func (c *Clock) SetWall(at time.Time) { c.change(func() { c.wall = at }) }

// AdvanceMonotonic moves the monotonic time only, as on a computer whose wall stands still.
func (c *Clock) AdvanceMonotonic(d time.Duration) { c.change(func() { c.monotonic += d }) }

// Sleep implements clock.Clock: it returns once the monotonic time has moved by d.
func (c *Clock) Sleep(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	until := c.monotonic + d
	c.mu.Unlock()
	c.change(func() { c.sleepers++ })
	defer c.change(func() { c.sleepers-- })
	return c.wait(ctx, func() bool { return c.monotonic >= until })
}

// WaitForSleepers returns once at least n calls of Sleep are waiting.
func (c *Clock) WaitForSleepers(ctx context.Context, n int) error {
	return c.wait(ctx, func() bool { return c.sleepers >= n })
}

func (c *Clock) change(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
	close(c.changed)
	c.changed = make(chan struct{})
}

// wait returns once holds does, which is asked with the lock held.
func (c *Clock) wait(ctx context.Context, holds func() bool) error {
	for {
		c.mu.Lock()
		done, changed := holds(), c.changed
		c.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		}
	}
}
