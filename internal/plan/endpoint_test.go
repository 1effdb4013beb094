package plan_test

import (
	"testing"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/plan"
)

// unverified: the endpoint changed, and the new one does not show what the ledgers have.
func unverified(o *plan.Observation) {
	o.Provider.Ready, o.Provider.Verified, o.Provider.Unverified = false, false, true
	o.Provider.Reason, o.Provider.Message = v1alpha1.ReasonEndpointUnverified, "spec.aws.iamEndpoint: changed from a to b. Change it back to a."
}

var endpointCases = map[string]nextCase{
	"nothing is due": {
		reason: "A credential in order is not touched, however long the endpoint is not verified. That nothing replaces it is said.",
		given:  given(unverified),
		rule:   "steady", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonEndpointUnverified, after: plan.Recheck,
		says: []string{"changed from a to b", "nothing replaces credential AKIAown-active, which ends at "},
	},
	"a credential is wanted": {
		reason: "Nothing is minted at a server that may be another one.",
		given:  given(unissued, live, unverified),
		rule:   "blocked", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonEndpointUnverified, after: plan.Recheck,
		says: []string{`"store"`, "changed from a to b", "back to a"},
	},
	"a revocation is due": {
		reason: `"not found" at another server is not "revoked", and the person is told why it waits.`,
		given:  given(live, unverified, nextTo(retiring("own-old", 0))),
		rule:   "endpoint-unverified", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonEndpointUnverified, after: plan.Recheck,
		says: []string{"changed from a to b", "back to a"},
	},
	"a revocation is due, not checked yet": {
		reason: "After an upgrade the first check records the endpoint without a user's help.",
		given: given(live, unverified, nextTo(retiring("own-old", 0)), func(o *plan.Observation) {
			o.Provider.Reason, o.Provider.Message = "", ""
		}),
		rule: "endpoint-unverified", action: plan.Wait{}, state: plan.Progressing, code: v1alpha1.ReasonProviderNotReady, after: plan.Recheck,
	},
	"deletion": {
		reason: "A deletion ends only where the credentials can be seen gone.",
		given:  given(deleted, unverified),
		rule:   "no-way-to-revoke", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonEndpointUnverified, after: plan.Recheck,
		says: []string{"changed from a to b", "spec.deletionPolicy: Retain"},
	},
	"deletion with Retain": {
		reason: "Retain makes no provider call.",
		given:  given(deleted, retain, unverified),
		rule:   "retain", action: plan.Release{}, state: plan.Progressing, code: v1alpha1.ReasonDeleting,
	},
	"an account that an earlier version called otherwise": {
		reason: "A ledger of an earlier version stays valid.",
		given:  given(deleted, belongs(other), func(o *plan.Observation) { o.Provider.Former = []string{account} }),
		rule:   "purge", action: plan.Purge{Settled: true}, state: plan.Progressing, code: v1alpha1.ReasonDeleting,
	},
}

// TestNothingIsAskedOfAnUnverifiedEndpoint takes every case of this package and makes its
// endpoint unverified: no action that calls the provider is left.
func TestNothingIsAskedOfAnUnverifiedEndpoint(t *testing.T) {
	for table, cases := range tables {
		for name, tc := range cases {
			o := observe(tc.given...)
			unverified(&o)
			switch d := plan.Next(o); d.Action.(type) { //nolint:gochecksumtype // the others ask nothing
			case plan.Issue, plan.Purge, plan.Revoke, plan.Update, plan.Identify, plan.FindRestored, plan.CountSlots, plan.GiveUp:
				t.Errorf("%s, %s: rule %s asks for %T", table, name, d.Rule, d.Action)
			}
		}
	}
}
