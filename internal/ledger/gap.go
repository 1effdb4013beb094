package ledger

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"apitoken.dev/operator/api/v1alpha1"
)

// BeginGap retires the credential in use, due now, before another one exists. The next
// credential is issued for the same reason.
func BeginGap(s *v1alpha1.ApiTokenStatus, name, reason string, now time.Time) {
	s.GapSince, s.GapReason = timeOf(now), reason
	Retire(s, now, name)
}

// EndGap ends the gap, if one is open, and returns its length.
func EndGap(s *v1alpha1.ApiTokenStatus, now time.Time) (gap time.Duration, ended bool) {
	if s.GapSince == nil {
		return 0, false
	}
	gap = max(0, now.Sub(s.GapSince.Time).Round(time.Second))
	s.GapSince, s.GapReason, s.LastGap = nil, "", gap.String()
	return gap, true
}

// maxAhead is how far ahead of the clock a recorded time can be. With a larger difference
// between the clocks of replicas, TLS certificates and leases would not work either.
const maxAhead = time.Minute

// Ahead reports whether a recorded time is more than longest ahead of the clock. Then the
// clock was wrong when the time was recorded, or is wrong now.
func Ahead(t, now time.Time, longest time.Duration) bool {
	return t.After(now.Add(longest + maxAhead))
}

// Correct replaces recorded times that are too far ahead of the clock, so that nothing waits
// for them. A time becomes now, and the end of an overlap becomes one overlap from now, where
// overlap is how long an entry stays valid after another one has replaced it. Call it for each
// status that was read.
func Correct(s *v1alpha1.ApiTokenStatus, now time.Time, overlap func(*v1alpha1.LedgerEntry) time.Duration) {
	for i := range s.Credentials {
		e := &s.Credentials[i]
		if e.State == v1alpha1.StateRetiring && e.RetireAt != nil && Ahead(e.RetireAt.Time, now, overlap(e)) {
			e.RetireAt = timeOf(now.Add(overlap(e)))
		}
	}
	if s.Retry != nil && Ahead(s.Retry.NotBefore.Time, now, MaxPause) {
		s.Retry.NotBefore = metav1.NewTime(now)
	}
	if s.MintBudget != nil && Ahead(s.MintBudget.RefilledAt.Time, now, 0) {
		s.MintBudget.RefilledAt = metav1.NewTime(now)
	}
	if s.GapSince != nil && Ahead(s.GapSince.Time, now, 0) {
		s.GapSince = timeOf(now)
	}
}
