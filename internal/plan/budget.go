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

// free reports whether replacing the credential costs nothing, whatever else is a
// reason for it: the schedule replaces it now, and half of the lifetime that was
// asked for has passed since the last reservation. What the provider answers has
// no say in the latter: a credential that ends too early makes no rotation free.
func (o *Observation) free(e *Entry) bool {
	return e != nil && o.due(e) && !o.Now.Before(o.lastReserved().Add(asked(e)/2))
}

// asked is the lifetime that was asked for when the credential was reserved. An
// entry that does not say has the lifetime that it got.
func asked(e *Entry) time.Duration {
	switch {
	case e.LifetimeSeconds > 0:
		return time.Duration(min(e.LifetimeSeconds, math.MaxInt64/int64(time.Second))) * time.Second
	case e.ExpiresAt == nil || e.IssuedAt == nil:
		return 0
	default:
		return e.ExpiresAt.Sub(e.IssuedAt.Time)
	}
}

// lastReserved is when the newest entry of the ledger was reserved; zero: never.
func (o *Observation) lastReserved() time.Time {
	var last time.Time
	for i := range o.Ledger {
		if at := o.Ledger[i].reserved(); at.After(last) {
			last = at
		}
	}
	return last
}

// reserved is when the entry was reserved, or issued if only that is known.
func (e *Entry) reserved() time.Time {
	switch {
	case e.ReservedAt != nil:
		return e.ReservedAt.Time
	case e.IssuedAt != nil:
		return e.IssuedAt.Time
	default:
		return time.Time{}
	}
}
