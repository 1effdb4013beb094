package ledger

import (
	"time"

	"apitoken.dev/operator/api/v1alpha1"
)

// BeginGap retires the credential in use, due now, although no other one exists.
func BeginGap(s *v1alpha1.ApiTokenStatus, name string, now time.Time) {
	s.GapSince = timeOf(now)
	Retire(s, now, name)
}

// EndGap ends the gap, if there is one, and returns how long it was.
func EndGap(s *v1alpha1.ApiTokenStatus, now time.Time) (gap time.Duration, ended bool) {
	if s.GapSince == nil {
		return 0, false
	}
	gap = max(0, now.Sub(s.GapSince.Time).Round(time.Second))
	s.GapSince, s.LastGap = nil, gap.String()
	return gap, true
}
