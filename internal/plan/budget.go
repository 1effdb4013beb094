package plan

import (
	"math"
	"time"
)

// Remaining is how long the credential in use has left, or how long the next
// one would live when there is none.
func Remaining(o *Observation) time.Duration {
	if e := o.activeEntry(); e != nil && e.ExpiresAt != nil && o.Now.Before(e.ExpiresAt.Time) {
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
