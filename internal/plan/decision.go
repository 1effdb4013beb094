package plan

import (
	"time"

	"apitoken.dev/operator/api/v1alpha1"
)

// Limits of the protocol.
const (
	// MaxUnsettled is how many attempts can be unsettled before the operator stops reserving.
	MaxUnsettled = 16
	// MaxLedger is how many entries the ledger holds; the schema has the same number.
	MaxLedger = 32
	// DefaultLifetime of a credential when neither expiresIn nor expiresAt is set.
	DefaultLifetime = 90 * 24 * time.Hour
	// DefaultOverlap is how long the previous credential stays valid after a rotation.
	DefaultOverlap = time.Hour
	// Recheck is the interval for checks of changes that trigger no event.
	Recheck = time.Minute
)

// State says how the ApiToken is doing while a decision holds.
type State int

// The states, in the terms of kstatus.
const (
	// Steady: nothing to do until the next event.
	Steady State = iota
	// Progressing: work is in progress.
	Progressing
	// Stalled: a user must change something.
	Stalled
)

// Decision is one action and the reason for it.
type Decision struct {
	// Rule that decided.
	Rule string
	// Action to take.
	Action Action
	State  State
	// Reason is one of the reasons in conditions.go, Message a sentence.
	Reason, Message string
	// After is when to reconcile again without an event; 0: never.
	After time.Duration
}

func progressing(a Action, reason, message string) Decision {
	return Decision{Action: a, State: Progressing, Reason: reason, Message: message}
}

func stalled(reason, message string, after time.Duration) Decision {
	return Decision{Action: Wait{}, State: Stalled, Reason: reason, Message: message, After: after}
}

// waiting is a decision to wait for something that ends without a user's help.
func waiting(reason, message string, after time.Duration) Decision {
	return Decision{Action: Wait{}, State: Progressing, Reason: reason, Message: message, After: after}
}

func whileDeleting(a Action, message string) Decision {
	return Decision{Action: a, State: Progressing, Reason: v1alpha1.ReasonDeleting, Message: message}
}
