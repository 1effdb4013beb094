package clock

import (
	"context"
	"time"
)

// Real is the system clock.
type Real struct{ start time.Time }

// NewReal returns the system clock.
func NewReal() Real { return Real{start: time.Now()} }

// Now implements Clock. The monotonic reading is dropped, so comparisons use the wall time.
func (Real) Now() time.Time { return time.Now().Round(0) }

// Monotonic implements Clock.
func (r Real) Monotonic() time.Duration { return time.Since(r.start) }

// Sleep implements Clock.
func (Real) Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
