// Package clock gives the time to whoever needs it, so that nothing else does.
package clock

import (
	"context"
	"time"
)

// Clock tells two times: the wall's, which is shared and may jump, and a
// monotonic one, which is this process's own and only moves forward.
type Clock interface {
	// Now is the wall time.
	Now() time.Time
	// Monotonic is the time since some moment in this process's life.
	Monotonic() time.Duration
	// Sleep waits for d or until the context ends, and returns the context's error then.
	Sleep(ctx context.Context, d time.Duration) error
}
