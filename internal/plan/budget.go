package plan

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

// Charge is the budget after one credential was paid from it.
func Charge(b *v1alpha1.MintBudget, now time.Time) *v1alpha1.MintBudget {
	out, _ := BudgetAt(b, now)
	out.Remaining = max(0, out.Remaining-1)
	return &out
}

// Backoff is the retry after one more attempt has begun: doubling from 5 s to
// 10 minutes, and never over a tenth of what the credential in use, or else the
// next one, has left to live.
func Backoff(r *v1alpha1.Retry, now time.Time, remaining time.Duration) *v1alpha1.Retry {
	failures := int32(1)
	if r != nil && r.Failures > 0 {
		failures = min(r.Failures, math.MaxInt32-1) + 1
	}
	wait := maxBackoff
	if shift := failures - 1; shift < 8 {
		wait = min(maxBackoff, firstBackoff<<shift)
	}
	if remaining > 0 {
		wait = min(wait, max(remaining/10, time.Second))
	}
	return &v1alpha1.Retry{Failures: failures, NotBefore: metav1.NewTime(now.Add(wait))}
}

// Remaining is how long the credential in use has left, or how long the next
// one would live when there is none.
func Remaining(o *Observation) time.Duration {
	if e := o.active(); e != nil && e.ExpiresAt != nil && o.Now.Before(e.ExpiresAt.Time) {
		return e.ExpiresAt.Sub(o.Now)
	}
	return ExpiryFor(&o.Token.Spec, o.Now, 0).Sub(o.Now)
}
