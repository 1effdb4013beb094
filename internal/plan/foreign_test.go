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
		given:  given(nextTo(retiring("someone-elses", time.Hour))),
		rule:   "foreign-credential", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonForeignCredential,
		says: []string{"status.credentials", "someone-elses", "--cluster-identity"},
	},
	"foreign name that is due": {
		reason: "It is never revoked: anyone who can write the status could have written it.",
		given:  given(live, nextTo(retiring("someone-elses", -time.Hour))),
		rule:   "foreign-credential", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonForeignCredential,
		says: []string{"someone-elses", "is not revoked"},
	},
	"foreign name of an attempt given up": {
		reason: "An attempt of another ApiToken is not revoked either.",
		given:  given(live, nextTo(attempt("someone-elses", v1alpha1.StateAbandoned, 0))),
		rule:   "foreign-credential", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonForeignCredential,
		says: []string{"someone-elses", "is not revoked"},
	},
	"foreign name while deleting": {
		reason: "Deleting an ApiToken must not revoke another's credential; Retain helps.",
		given:  given(deleted, nextTo(retiring("someone-elses", -time.Hour))),
		rule:   "no-way-to-revoke", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonForeignCredential, after: plan.Recheck,
		says: []string{"someone-elses", "Retain"},
	},
	"foreign name, new credential wanted": {
		reason: "Under another cluster identity nothing is issued: the old credentials would be lost.",
		given:  given(live, otherScope, nextTo(retiring("someone-elses", time.Hour))),
		rule:   "foreign-credential", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonForeignCredential,
		says: []string{"someone-elses", "--cluster-identity"},
	},
	"foreign name next to one of ours that is due": {
		reason: "Our own old credentials go as ever.",
		given:  given(live, nextTo(retiring("someone-elses", -time.Hour), retiring("own-old", 0))),
		rule:   "revoke", action: plan.Revoke{Names: []string{"own-old"}}, state: plan.Stalled, code: v1alpha1.ReasonForeignCredential,
		says: []string{"someone-elses", "--cluster-identity"},
	},
	"foreign name of an attempt that the Secret holds": {
		reason: "Another's credential is not adopted.",
		given:  given(live, holding("someone-elses"), nextTo(attempt("someone-elses", v1alpha1.StateAbandoned, time.Minute))),
		rule:   "foreign-credential", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonForeignCredential,
		says: []string{"someone-elses", "--cluster-identity"},
	},
	"foreign name, hard end ahead": {
		reason: "The Secret is deleted at the hard end, also with a foreign entry.",
		given:  given(endsIn(time.Second), nextTo(retiring("someone-elses", time.Hour))),
		rule:   "foreign-credential", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonForeignCredential, after: time.Second,
		says: []string{"someone-elses", "--cluster-identity"},
	},
}
