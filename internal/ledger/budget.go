package ledger

import (
	"math"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"apitoken.dev/operator/api/v1alpha1"
)

// The mint budget and the backoff.
const (
	// BudgetSize is how many credentials outside the schedule may be issued at once.
	BudgetSize = 5
	// BudgetRefill is how long it takes until one more is allowed.
	BudgetRefill = 10 * time.Minute

	firstBackoff = 5 * time.Second
	maxBackoff   = 10 * time.Minute

	// MaxPause is the longest pause that a provider may ask for.
	MaxPause = time.Hour
)

// BudgetAt is the budget at a time, and when it grows next.
func BudgetAt(b *v1alpha1.MintBudget, now time.Time) (v1alpha1.MintBudget, time.Time) {
	if b == nil {
		b = &v1alpha1.MintBudget{Remaining: BudgetSize, RefilledAt: metav1.NewTime(now)}
	}
	out := *b
	if passed := now.Sub(out.RefilledAt.Time); passed >= BudgetRefill {
		added := passed / BudgetRefill
		out.Remaining += int32(min(BudgetSize, added))
		out.RefilledAt = metav1.NewTime(out.RefilledAt.Add(added * BudgetRefill))
	}
	if out.Remaining >= BudgetSize {
		out.Remaining, out.RefilledAt = BudgetSize, metav1.NewTime(now)
	}
	return out, out.RefilledAt.Add(BudgetRefill)
}

// Charge counts one credential against the budget.
func Charge(s *v1alpha1.ApiTokenStatus, now time.Time) {
	out, _ := BudgetAt(s.MintBudget, now)
	out.Remaining = max(0, out.Remaining-1)
	s.MintBudget = &out
}

// Refund gives one charge back, because the provider rejected the request.
func Refund(s *v1alpha1.ApiTokenStatus, now time.Time) {
	out, _ := BudgetAt(s.MintBudget, now)
	out.Remaining = min(BudgetSize, out.Remaining+1)
	s.MintBudget = &out
}

// Backoff notes that one more attempt has begun: the next one waits, doubling from
// 5 s to 10 minutes, and never over a tenth of remaining, which is how long the
// credential in use, or else the next one, has to live.
func Backoff(s *v1alpha1.ApiTokenStatus, now time.Time, remaining time.Duration) {
	failures := int32(1)
	if r := s.Retry; r != nil && r.Failures > 0 {
		failures = min(r.Failures, math.MaxInt32-1) + 1
	}
	wait := maxBackoff
	if shift := failures - 1; shift < 8 {
		wait = min(maxBackoff, firstBackoff<<shift)
	}
	if remaining > 0 {
		wait = min(wait, max(remaining/10, time.Second))
	}
	s.Retry = &v1alpha1.Retry{Failures: failures, NotBefore: metav1.NewTime(now.Add(wait))}
}

// Pause makes the backoff as long as a provider asks for, up to MaxPause, if that is
// longer than it is.
func Pause(s *v1alpha1.ApiTokenStatus, now time.Time, pause time.Duration) {
	until := timeOf(now.Add(min(pause, MaxPause)))
	if s.Retry != nil && s.Retry.NotBefore.Before(until) {
		s.Retry.NotBefore = *until
	}
}

// EndBackoff lets the next attempt begin at once.
func EndBackoff(s *v1alpha1.ApiTokenStatus) { s.Retry = nil }
