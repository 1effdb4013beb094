package ledger

import (
	"math"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"apitoken.dev/operator/api/v1alpha1"
)

// The mint budget and the backoff.
const (
	// BudgetSize is how many credentials can be issued outside the schedule at once.
	BudgetSize = 5
	// BudgetRefill is how long it takes until another one is allowed.
	BudgetRefill = 10 * time.Minute

	firstBackoff = 5 * time.Second
	maxBackoff   = 10 * time.Minute

	// MaxPause is the longest pause that a provider can request.
	MaxPause = time.Hour
)

// BudgetAt returns the budget at a time, and when it grows next.
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

// Charge counts one credential against the mint budget.
func Charge(s *v1alpha1.ApiTokenStatus, now time.Time) {
	out, _ := BudgetAt(s.MintBudget, now)
	out.Remaining = max(0, out.Remaining-1)
	s.MintBudget = &out
}

// Refund takes one charge back. Call it when the provider rejected the request.
func Refund(s *v1alpha1.ApiTokenStatus, now time.Time) {
	out, _ := BudgetAt(s.MintBudget, now)
	out.Remaining = min(BudgetSize, out.Remaining+1)
	s.MintBudget = &out
}

// Backoff records that another attempt has begun. The wait before the next one doubles from
// 5 seconds to 10 minutes, and is at most a tenth of remaining: how long the credential in use
// stays valid, or otherwise the lifetime of the next one.
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

// Pause extends the backoff to the pause that a provider requests, up to MaxPause. It never
// shortens the backoff.
func Pause(s *v1alpha1.ApiTokenStatus, now time.Time, pause time.Duration) {
	until := timeOf(now.Add(min(pause, MaxPause)))
	if s.Retry != nil && s.Retry.NotBefore.Before(until) {
		s.Retry.NotBefore = *until
	}
}

// EndBackoff allows the next attempt at once.
func EndBackoff(s *v1alpha1.ApiTokenStatus) { s.Retry = nil }
