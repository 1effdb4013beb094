package ledger

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"apitoken.dev/operator/api/v1alpha1"
)

// BeginGap retires the credential in use, due now, although no other one exists. The
// reason is the one that the next credential is issued for.
func BeginGap(s *v1alpha1.ApiTokenStatus, name, reason string, now time.Time) {
	s.GapSince, s.GapReason = timeOf(now), reason
	Retire(s, now, name)
}

// EndGap ends the gap, if there is one, and returns how long it was.
func EndGap(s *v1alpha1.ApiTokenStatus, now time.Time) (gap time.Duration, ended bool) {
	if s.GapSince == nil {
		return 0, false
	}
	gap = max(0, now.Sub(s.GapSince.Time).Round(time.Second))
	s.GapSince, s.GapReason, s.LastGap = nil, "", gap.String()
	return gap, true
}

// maxAhead is how far ahead of the clock a recorded time may be. Replicas whose clocks
// differ by more do not work anyway: TLS certificates and leases depend on them.
const maxAhead = time.Minute

// Ahead reports whether a recorded time is so far ahead of the clock that the clock was
// wrong when it was recorded, or is wrong now. Longest is how far ahead it may be.
func Ahead(t, now time.Time, longest time.Duration) bool {
	return t.After(now.Add(longest + maxAhead))
}

// Correct replaces times that a clock far ahead has left behind by now: nothing waits
// for them. Overlap is how long an entry lives on after another one has replaced it;
// the end of an overlap that is further ahead than that moves to one overlap from now.
// Call it for each status that was read.
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
