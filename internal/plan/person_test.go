package plan_test

import (
	"testing"
	"time"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/provider"
)

// byHand: users create manual credentials, and can edit their addresses.
func byHand(o *plan.Observation) {
	caps := &o.Provider.Capabilities
	caps.ExpiryEnforcedBy = provider.EnforcedByPerson
	caps.Updates = []provider.Field{provider.FieldAllowedIPs, provider.FieldDeniedIPs}
	o.Provider.Form = &provider.Form{
		Where: "Panel > Add token", Edit: "Panel > Edit", Revoke: "Panel > Delete",
		Fields: []provider.FormField{{Label: "Permission", Value: "Read only"}, {Label: "Bucket", Value: "datasets"}},
		Keys:   []string{"KEY", "SECRET"},
	}
	o.Handover.Secret = "training-handover"
	for i := range o.Ledger {
		o.Ledger[i].ByHand, o.Ledger[i].Fixed = true, plan.Fixed(&declaration, caps.Updates)
	}
}

// handed: a user submits a credential.
func handed(o *plan.Observation) { o.Handover.Exists = true }

// otherAddress declares one that the current credential does not have.
func otherAddress(o *plan.Observation) {
	o.Token.Spec.Restrictions.AllowedIPs = []v1alpha1.IPRange{"203.0.113.0/24"}
}

// handIssue is what issuing a credential that was handed over looks like.
func handIssue(revision int64) plan.Issue {
	return plan.Issue{Reason: plan.IssueHandedOver, Revision: revision, Charged: true}
}

var personCases = map[string]nextCase{
	"nothing was made yet": {
		reason: "The values of the form are in the message, and how to hand the credential over.",
		given:  given(unissued, live, byHand),
		rule:   "blocked", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonActionRequired, after: never,
		says: []string{"Panel > Add token", "Permission: Read only; Bucket: datasets. Then put KEY, SECRET into a Secret named ", `"training-handover"`,
			"apitoken.dev/managed: handover, or run: kubectl apitoken handover -n ml training"},
	},
	"handed over": {
		reason: "A manual credential is checked, published and recorded like any other.",
		given:  given(unissued, live, byHand, handed),
		rule:   "issue", action: handIssue(1), state: plan.Progressing, code: v1alpha1.ReasonReissuing, says: []string{"submitted credential"},
	},
	"handed over early": {
		reason: "Who hands a credential over wants it used.",
		given:  given(live, byHand, handed),
		rule:   "issue", action: handIssue(8), state: plan.Progressing, code: v1alpha1.ReasonReissuing,
	},
	"handed over when a rotation is due": {
		reason: "That one is on the schedule.",
		given:  given(live, byHand, handed, entries(ending("own-active", 2*time.Hour)), byHand),
		rule:   "issue", action: plan.Issue{Reason: plan.IssueHandedOver, Revision: 8}, state: plan.Progressing, code: v1alpha1.ReasonReissuing,
	},
	"adopted, and its id not known": {
		reason: "The id is read from the key once the data plane accepts that.",
		given:  given(live, byHand, entries(madeByHand(nameless(active("own-active")))), byHand),
		rule:   "identify", action: plan.Identify{Name: "own-active"}, state: plan.Steady, code: v1alpha1.ReasonReady,
	},
	"handed over and refused": {
		reason: "It is not tried again and again; the message says why.",
		given:  given(unissued, live, byHand, handed, func(o *plan.Observation) { o.Handover.Refused = "the key may write." }),
		rule:   "blocked", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonHandoverRefused, after: never,
		says: []string{"cannot be used: the key may write. create a credential", "Panel > Add token"},
	},
	"a rotation is due": {
		reason: "The workload has what was declared: this is a reminder.",
		given:  given(live, byHand, entries(ending("own-active", 2*time.Hour)), byHand),
		rule:   "blocked", action: plan.Wait{}, state: plan.Steady, code: v1alpha1.ReasonActionRequired,
		says: []string{"create a credential"},
	},
	"a rotation was requested": {
		reason: "The declaration is not met, and only a user can meet it.",
		given:  given(live, byHand, declared(func(s *v1alpha1.ApiTokenSpec) { s.Rotation.Generation = 1 })),
		rule:   "blocked", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonActionRequired,
		says: []string{"create a credential", "Panel > Add token"},
	},
	"it has expired": {
		reason: "It is past its end, and only a user can replace it.",
		given:  given(live, byHand, entries(ending("own-active", -time.Hour)), byHand),
		rule:   "blocked", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonActionRequired, after: never,
		says: []string{"create a credential", "Panel > Add token"},
	},
	"addresses changed": {
		reason: "They can be edited, and the key stays.",
		given:  given(live, byHand, otherAddress),
		rule:   "blocked", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonActionRequired,
		says: []string{"edit credential AKIAown-active", "Panel > Edit", "apitoken.dev/edited=1"},
	},
	"addresses changed and edited": {
		reason: "A user confirmed the edit.",
		given:  given(live, byHand, otherAddress, func(o *plan.Observation) { o.Token.Edited = 1 }),
		rule:   "confirm-edit", action: plan.ConfirmEdit{Name: "own-active"}, state: plan.Progressing, code: v1alpha1.ReasonUpdating,
	},
	"edited for an earlier declaration": {
		reason: "That was another edit.",
		given:  given(live, byHand, otherAddress, func(o *plan.Observation) { o.Token.Edited, o.Token.Generation = 1, 2 }),
		rule:   "blocked", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonActionRequired,
		says: []string{"apitoken.dev/edited=2", "edit credential"},
	},
	"scopes changed": {
		reason: "They cannot be edited: a new key.",
		given:  given(live, byHand, otherScope),
		rule:   "blocked", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonActionRequired,
		says: []string{"create a credential", "Panel > Add token"},
	},
	"the Secret was lost": {
		reason: "The stored copy is published again, without a user's help.",
		given:  given(live, byHand, absent),
		rule:   "republish", action: plan.Republish{Name: "own-active"}, state: plan.Progressing, code: v1alpha1.ReasonPublishing,
	},
	"the Secret was edited": {
		reason: "It was kept, and goes back.",
		given:  given(live, byHand, edited),
		rule:   "republish", action: plan.Republish{Name: "own-active"}, state: plan.Progressing, code: v1alpha1.ReasonPublishing,
	},
	"the old one is due": {
		reason: "It is tried whether the provider still accepts it.",
		given:  given(live, byHand, nextTo(madeByHand(retiring("own-old", -time.Second)))),
		rule:   "revoke", action: plan.Revoke{Names: []string{"own-old"}}, state: plan.Steady, code: v1alpha1.ReasonReady,
	},
	"the old one was tried a moment ago": {
		reason: "It is tried again after a while.",
		given: given(live, byHand, nextTo(madeByHand(retiring("own-old", -time.Second))), func(o *plan.Observation) {
			o.Ledger[1].ProvesIn = 40 * time.Second
		}),
		rule: "steady", action: plan.Wait{}, state: plan.Steady, code: v1alpha1.ReasonReady, after: 40 * time.Second,
	},
}

func madeByHand(e plan.Entry) plan.Entry {
	e.ByHand = true
	return e
}

func TestTaskSaysWhatAUserMustDo(t *testing.T) {
	old := madeByHand(retiring("own-old", -time.Second))
	cases := map[string]struct {
		given  []change
		reason string
	}{
		"nothing to do":           {given(live, byHand), ""},
		"to make one":             {given(unissued, live, byHand), v1alpha1.ReasonCreateCredential},
		"handed over":             {given(unissued, live, byHand, handed), ""},
		"to edit it":              {given(live, byHand, otherAddress), v1alpha1.ReasonEditCredential},
		"to delete the old one":   {given(live, byHand, nextTo(old)), v1alpha1.ReasonDeleteCredential},
		"not yet":                 {given(live, byHand, nextTo(madeByHand(retiring("own-old", time.Hour)))), ""},
		"to make one first":       {given(live, byHand, otherScope, nextTo(old)), v1alpha1.ReasonCreateCredential},
		"suspended":               {given(unissued, live, byHand, suspend), ""},
		"unreadable hard end":     {given(unissued, live, byHand, declared(func(s *v1alpha1.ApiTokenSpec) { s.ExpiresAt = text("x") })), ""},
		"deleted":                 {given(live, byHand, deleted), v1alpha1.ReasonDeleteCredential},
		"minted by the operator":  {given(live, otherScope, nextTo(retiring("own-old", -time.Second))), ""},
		"never made, and deleted": {given(unissued, live, byHand, deleted), ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			o := observe(tc.given...)
			task := o.Task()
			switch {
			case tc.reason == "" && task != nil:
				t.Errorf("asks for %+v", task)
			case tc.reason != "" && (task == nil || task.Reason != tc.reason || task.Message == ""):
				t.Errorf("got %+v, want %s", task, tc.reason)
			}
		})
	}
}
