package plan

import (
	"math"
	"time"
)

// Remaining is how long the credential in use stays valid, or the lifetime of the next one
// if no credential is in use.
func Remaining(o *Observation) time.Duration {
	if e := o.activeEntry(); e != nil && e.ExpiresAt != nil && o.Now.Before(e.ExpiresAt.Time) {
		return e.ExpiresAt.Sub(o.Now)
	}
	return ExpiryFor(&o.Token.Spec, o.Now, 0).Sub(o.Now)
}

// free reports whether replacing the credential does not count against the mint budget,
// with any need: the schedule replaces it now, and half of the requested lifetime has
// passed since the last reservation. The lifetime that the provider granted does not count:
// a credential that ends too early makes no rotation free.
func (o *Observation) free(e *Entry) bool {
	return e != nil && o.due(e) && !o.Now.Before(o.lastReserved().Add(asked(e)/2))
}

// asked is the lifetime that was requested when the credential was reserved, or the granted
// one if the entry does not have it.
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

// lastReserved is when the newest entry of the ledger was reserved; zero: the ledger is empty.
func (o *Observation) lastReserved() time.Time {
	var last time.Time
	for i := range o.Ledger {
		if at := o.Ledger[i].reserved(); at.After(last) {
			last = at
		}
	}
	return last
}

// reserved is when the entry was reserved, or if that is unknown, issued.
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
