// Package clock is the only place that reads the system clock.
package clock

import (
	"context"
	"time"
)

// Clock has two times: the wall time, which can jump, and a monotonic time, which only
// moves forward and is valid in this process only.
type Clock interface {
	// Now is the wall time.
	Now() time.Time
	// Monotonic is the time since a fixed moment in this process.
	Monotonic() time.Duration
	// Sleep waits for d. If the context ends first, it returns the context's error.
	Sleep(ctx context.Context, d time.Duration) error
}
