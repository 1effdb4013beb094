package plan

import (
	"fmt"
	"time"
)

// obstacle is a reason not to reserve anything.
type obstacle struct {
	check func(*Observation) (Decision, bool)
	// lasts: while it is Stalled it is in the way of every credential to come, whatever is
	// wanted now. So a rotation must not be promised.
	lasts bool
}

// obstacles are in the order in which they are reported.
var obstacles = []obstacle{
	{attemptUnderWay, false}, {namespaceEnding, false}, {unreadable, true}, {suspended, false}, {unknownState, true},
	{foreignCredential, true}, {foreignSecret, true}, {secretDeleting, false}, {attemptNotGivenUp, false},
	{(*Observation).providerBlocked, true}, {accountBlocked, true}, {refused, true}, {shared, true}, {awaitsPerson, false},
	{ledgerFull, false}, {windowFull, false}, {slotsExhausted, false}, {backoff, false}, {budgetExhausted, false},
}

// blocked says why nothing may be reserved now.
func (o *Observation) blocked() (Decision, bool) {
	for _, obstacle := range obstacles {
		if d, ok := obstacle.check(o); ok {
			return d, true
		}
	}
	return Decision{}, false
}

// NotReplaced returns why no other credential can replace the one in use until somebody
// changes something. A rotation must not be promised then.
func (o *Observation) NotReplaced() (Decision, bool) {
	e := o.active()
	if e == nil || o.Token.Deleting || o.Token.Spec.Suspend || o.ended() || expired(e, o.Now) {
		return Decision{}, false
	}
	for _, obstacle := range obstacles {
		d, found := obstacle.check(o)
		if !found || !obstacle.lasts || d.State != Stalled {
			continue
		}
		ends := ""
		if e.ExpiresAt != nil {
			ends = ", which ends at " + e.ExpiresAt.UTC().Format(time.RFC3339)
		}
		d.Message = Sentences(d.Message, fmt.Sprintf("Until then nothing replaces credential %s%s", Called(&e.LedgerEntry), ends))
		return d, true
	}
	return Decision{}, false
}
