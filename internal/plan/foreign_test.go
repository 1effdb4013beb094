package plan_test

import (
	"time"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/plan"
)

// foreignCases: a ledger that names what was not made for this ApiToken.
var foreignCases = map[string]nextCase{
	"foreign name in the ledger": {
		reason: "A name that was not made for this ApiToken in this cluster holds back reservations.",
		given:  given(beside(retiring("someone-elses", time.Hour))),
		rule:   "foreign-credential", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonForeignCredential,
		says: []string{"status.credentials", "someone-elses", "--cluster-identity"},
	},
	"foreign name that is due": {
		reason: "It is never revoked, whoever wrote it there.",
		given:  given(live, beside(retiring("someone-elses", -time.Hour))),
		rule:   "foreign-credential", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonForeignCredential,
		says: []string{"someone-elses", "is not revoked"},
	},
	"foreign name of an attempt given up": {
		reason: "Nor is an attempt of somebody else cleared up.",
		given:  given(live, beside(attempt("someone-elses", v1alpha1.StateAbandoned, 0))),
		rule:   "foreign-credential", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonForeignCredential,
		says: []string{"someone-elses", "is not revoked"},
	},
	"foreign name while deleting": {
		reason: "Deleting an ApiToken must not revoke another's credential; Retain is the way out.",
		given:  given(deleted, beside(retiring("someone-elses", -time.Hour))),
		rule:   "no-way-to-revoke", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonForeignCredential, after: plan.Recheck,
		says: []string{"someone-elses", "Retain"},
	},
}
