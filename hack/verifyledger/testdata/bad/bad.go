// Package bad changes a ledger, and decides, in each way that the check knows.
package bad

import (
	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/plan"
)

func change(s *v1alpha1.ApiTokenStatus, other v1alpha1.LedgerEntry) {
	s.Credentials = nil                  // want ApiTokenStatus.Credentials
	s.Revision++                         // want ApiTokenStatus.Revision
	s.Credentials[0] = other             // want LedgerEntry
	e := &s.Credentials[0]               // reading through a pointer is allowed
	e.State = other.State                // want LedgerEntry.State
	*e = other                           // want LedgerEntry
	keep(&e.Updating)                    // want LedgerEntry.Updating
	s.Retry.NotBefore = *other.IssuedAt  // want Retry.NotBefore
	s.MintBudget = &v1alpha1.MintBudget{ // want ApiTokenStatus.MintBudget
		Remaining: 5, // want MintBudget{Remaining
	}
	for s.Revision = range other.RotationGeneration { // want ApiTokenStatus.Revision
	}
	_ = v1alpha1.LedgerEntry{
		State: v1alpha1.StateActive, // want LedgerEntry{State
	}
	type embedded struct{ v1alpha1.LedgerEntry }
	var x embedded
	x.Gone = true            // want LedgerEntry.Gone
	s.GapReason = ""         // want ApiTokenStatus.GapReason
	s.ObservedGeneration = 1 // not of the ledger
	_ = v1alpha1.LedgerEntry{Name: "a"}
	clear(s.Credentials)                               // want ApiTokenStatus.Credentials
	copy(s.Credentials, []v1alpha1.LedgerEntry{other}) // want ApiTokenStatus.Credentials
	*s = v1alpha1.ApiTokenStatus{}                     // want ApiTokenStatus
}

func replace(t, other *v1alpha1.ApiToken, s *v1alpha1.ApiTokenStatus) {
	t.Status = other.Status // want ApiToken.Status
	*t = *other             // want ApiToken
	kept := struct{ before v1alpha1.ApiTokenStatus }{}
	kept.before = *s // a copy is allowed
}

func keep(*string) {}

// An event can have the name of a reason.
const event = "Issued"

func decide(d *plan.Decision) plan.Decision {
	d.State = plan.Stalled // want Decision.State
	d.Message = "allowed"
	if d.Reason == v1alpha1.ReasonReady { // want v1alpha1.ReasonReady
		d.After = 1
	}
	if d.Reason == "Backoff" { // want the reason "Backoff"
		d.After = 2
	}
	_ = v1alpha1.ReasonHelp[d.Reason]
	_ = plan.Decision{Action: plan.Wait{}}
	return plan.Decision{
		Action: plan.Wait{},
		State:  d.State, // want Decision{State
		Reason: "Own",   // want Decision{Reason
	}
}
