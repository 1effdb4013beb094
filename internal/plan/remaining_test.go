package plan_test

import (
	"testing"
	"time"

	"apitoken.dev/operator/internal/plan"
)

func TestRemainingIsOfTheCredentialInUse(t *testing.T) {
	cases := map[string]struct {
		reason string
		given  []change
		want   time.Duration
	}{
		"in use":                   {"until it expires", given(expires(time.Hour)), time.Hour},
		"expired":                  {"as long as the next one would live", given(expires(-time.Hour)), 90 * day},
		"nothing issued":           {"as long as the next one would live", given(unissued), 90 * day},
		"without an expiry":        {"as long as the next one would live", given(entry(func(e *plan.Entry) { e.ExpiresAt = nil })), 90 * day},
		"nothing issued, hard end": {"until the hard end", given(unissued, endsIn(time.Minute)), time.Minute},
		"old ones only":            {"what retires is not in use", given(entries(retiring("own-old", time.Second))), 90 * day},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			o := observe(tc.given...)
			if got := plan.Remaining(&o); got != tc.want {
				t.Errorf("%s: %s, want %s", tc.reason, got, tc.want)
			}
		})
	}
}
