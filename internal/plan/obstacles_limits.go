package plan

import (
	"fmt"
	"time"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/ledger"
)

func ledgerFull(s *situation) (Decision, bool) {
	unsettled := 0
	for i := range s.Ledger {
		e := &s.Ledger[i]
		if e.IssuedAt == nil && e.State != v1alpha1.StateActive && !e.Settled {
			unsettled++
		}
	}
	if unsettled < MaxUnsettled && len(s.Ledger) < MaxLedger {
		return Decision{}, false
	}
	return waiting(v1alpha1.ReasonLedgerFull, fmt.Sprintf(
		"%d credentials in the ledger, %d of them unfinished attempts, must be revoked first: nothing more is issued until there is room in the ledger",
		len(s.Ledger), unsettled), Recheck), true
}

// listWindowFull: the provider lists its newest credentials only, and an attempt with an
// unknown outcome must stay in that list. Half of the list is left to other clients.
func listWindowFull(s *situation) (Decision, bool) {
	window := s.Provider.Capabilities.Listed / 2
	if window == 0 || s.Provider.Shared.NewerThanDoubt < window {
		return Decision{}, false
	}
	return waiting(v1alpha1.ReasonListingWindow, fmt.Sprintf(
		"the provider lists only its newest %d credentials, and %d were reserved after %s with an unknown outcome: nothing more is issued until it is resolved",
		s.Provider.Capabilities.Listed, s.Provider.Shared.NewerThanDoubt, s.doubtfulAttempt()), Recheck), true
}

// doubtfulAttempt names the oldest attempt with an unknown outcome, if it belongs to the
// namespace of this ApiToken.
func (o *Observation) doubtfulAttempt() string {
	name := o.Provider.Shared.Doubt
	if o.entry(name) != nil {
		return "attempt " + name
	}
	for _, h := range o.Provider.Shared.Open {
		if h.Credential == name && h.Namespace == o.Token.Namespace {
			return fmt.Sprintf("attempt %s of ApiToken %s", name, h.Name)
		}
	}
	return "an attempt of another ApiToken"
}

func slotsExhausted(s *situation) (Decision, bool) {
	if !s.accountFull() {
		return Decision{}, false
	}
	return waiting(v1alpha1.ReasonSlotsExhausted, fmt.Sprintf(
		"the account may have %d credentials in all and has %s. The one in use is not revoked to make room: delete one that is not needed, or wait until a previous one is revoked",
		s.Provider.Capabilities.MaxLive, holders(s.usedSlots())), Recheck), true
}

func backoff(s *situation) (Decision, bool) {
	r := s.Token.Retry
	if r == nil || !s.Now.Before(r.NotBefore.Time) {
		return Decision{}, false
	}
	return waiting(v1alpha1.ReasonBackoff,
		fmt.Sprintf("attempt %d failed; the next one starts at %s", r.Failures, r.NotBefore.UTC().Format(time.RFC3339)),
		r.NotBefore.Sub(s.Now)), true
}

func budgetExhausted(s *situation) (Decision, bool) {
	if !s.wanted() || !s.charged {
		return Decision{}, false
	}
	budget, next := ledger.BudgetAt(s.Token.Budget, s.Now)
	if budget.Remaining > 0 {
		return Decision{}, false
	}
	return waiting(v1alpha1.ReasonMintBudgetExhausted,
		fmt.Sprintf("%d credentials were issued outside the schedule in a short time; the next one is allowed at %s", ledger.BudgetSize, next.UTC().Format(time.RFC3339)),
		next.Sub(s.Now)), true
}
