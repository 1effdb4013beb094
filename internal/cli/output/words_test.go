package output

import (
	"testing"
	"time"

	"apitoken.dev/operator/internal/plan"
)

func TestAwayIsRelativeToNow(t *testing.T) {
	now := time.Date(2026, 12, 1, 8, 0, 0, 0, time.UTC)
	for want, d := range map[string]time.Duration{"now": 0, "in 3h": 3 * time.Hour, "2d ago": -48 * time.Hour} {
		if got := Away(now.Add(d), now); got != want {
			t.Errorf("%s: %q, want %q", d, got, want)
		}
	}
	for want, d := range map[string]time.Duration{"1h": time.Hour, "1m30s": 90 * time.Second, "1h30m": 90 * time.Minute, "20m": 20 * time.Minute} {
		if got := plan.Short(d); got != want {
			t.Errorf("%s: %q, want %q", d, got, want)
		}
	}
}
