package plan_test

import (
	"fmt"
	"testing"
	"time"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/provider"
)

// manual: users create manual credentials, and can edit their addresses.
func manual(o *plan.Observation) {
	caps := &o.Provider.Capabilities
	caps.ExpiryEnforcedBy = provider.EnforcedByUser
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

// submittedOne: a user submits a credential.
func submittedOne(o *plan.Observation) { o.Handover.Exists = true }

// otherAddress declares an address that the current credential does not have.
func otherAddress(o *plan.Observation) {
	o.Token.Spec.Restrictions.AllowedIPs = []v1alpha1.IPRange{"203.0.113.0/24"}
}

// manualIssue returns the action that issues a submitted credential.
func manualIssue(revision int64) plan.Issue {
	return plan.Issue{Reason: plan.IssueHandedOver, Revision: revision, Charged: true}
}

var manualCases = map[string]nextCase{
	"no credential yet": {
		reason: "The message has the values of the form, and how to submit the credential.",
		given:  given(unissued, live, manual),
		rule:   "blocked", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonActionRequired, after: never,
		says: []string{"Panel > Add token", "Permission: Read only; Bucket: datasets. Then put KEY, SECRET into a Secret named ", `"training-handover"`,
			"apitoken.dev/managed: handover, or run: kubectl apitoken handover -n ml training"},
	},
	"submitted": {
		reason: "A manual credential is checked, published and recorded like any other.",
		given:  given(unissued, live, manual, submittedOne),
		rule:   "issue", action: manualIssue(1), state: plan.Progressing, code: v1alpha1.ReasonReissuing, says: []string{"submitted credential"},
	},
	"submitted before a rotation is due": {
		reason: "A user who submits a credential wants it used.",
		given:  given(live, manual, submittedOne),
		rule:   "issue", action: manualIssue(8), state: plan.Progressing, code: v1alpha1.ReasonReissuing,
	},
	"submitted when a rotation is due": {
		reason: "It is scheduled, so it is not charged to the mint budget.",
		given:  given(live, manual, submittedOne, entries(ending("own-active", 2*time.Hour)), manual),
		rule:   "issue", action: plan.Issue{Reason: plan.IssueHandedOver, Revision: 8}, state: plan.Progressing, code: v1alpha1.ReasonReissuing,
	},
	"adopted, with an unknown id": {
		reason: "The id is read from the key once the data plane accepts the key.",
		given:  given(live, manual, entries(manualEntry(nameless(active("own-active")))), manual),
		rule:   "identify", action: plan.Identify{Name: "own-active"}, state: plan.Steady, code: v1alpha1.ReasonReady,
	},
	"submitted and rejected": {
		reason: "It is not retried; the message says why.",
		given:  given(unissued, live, manual, submittedOne, func(o *plan.Observation) { o.Handover.Refused = "the key may write." }),
		rule:   "blocked", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonHandoverRefused, after: never,
		says: []string{"cannot be used: the key may write. create a credential", "Panel > Add token"},
	},
	"a rotation is due": {
		reason: "The declaration is met, so the ApiToken stays ready: this is a reminder.",
		given:  given(live, manual, entries(ending("own-active", 2*time.Hour)), manual),
		rule:   "blocked", action: plan.Wait{}, state: plan.Steady, code: v1alpha1.ReasonActionRequired,
		says: []string{"create a credential"},
	},
	"a rotation was requested": {
		reason: "The declaration is not met, and only a user can meet it.",
		given:  given(live, manual, declared(func(s *v1alpha1.ApiTokenSpec) { s.Rotation.Generation = 1 })),
		rule:   "blocked", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonActionRequired,
		says: []string{"create a credential", "Panel > Add token"},
	},
	"it has expired": {
		reason: "It is past its end, and only a user can replace it.",
		given:  given(live, manual, entries(ending("own-active", -time.Hour)), manual),
		rule:   "blocked", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonActionRequired, after: never,
		says: []string{"create a credential", "Panel > Add token"},
	},
	"addresses changed": {
		reason: "Addresses can be edited, and the key stays.",
		given:  given(live, manual, otherAddress),
		rule:   "blocked", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonActionRequired,
		says: []string{"edit credential AKIAown-active", "Panel > Edit", "apitoken.dev/edited=1"},
	},
	"addresses changed and edited": {
		reason: "A user confirmed the edit.",
		given:  given(live, manual, otherAddress, func(o *plan.Observation) { o.Token.Edited = 1 }),
		rule:   "confirm-edit", action: plan.ConfirmEdit{Name: "own-active"}, state: plan.Progressing, code: v1alpha1.ReasonUpdating,
	},
	"edited for an earlier declaration": {
		reason: "The annotation confirms another edit.",
		given:  given(live, manual, otherAddress, func(o *plan.Observation) { o.Token.Edited, o.Token.Generation = 1, 2 }),
		rule:   "blocked", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonActionRequired,
		says: []string{"apitoken.dev/edited=2", "edit credential"},
	},
	"scopes changed": {
		reason: "Scopes cannot be edited: a new key is needed.",
		given:  given(live, manual, otherScope),
		rule:   "blocked", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonActionRequired,
		says: []string{"create a credential", "Panel > Add token"},
	},
	"the Secret was lost": {
		reason: "The stored copy is published again, without a user's help.",
		given:  given(live, manual, absent),
		rule:   "republish", action: plan.Republish{Name: "own-active"}, state: plan.Progressing, code: v1alpha1.ReasonPublishing,
	},
	"the Secret was edited": {
		reason: "The stored copy is published again.",
		given:  given(live, manual, edited),
		rule:   "republish", action: plan.Republish{Name: "own-active"}, state: plan.Progressing, code: v1alpha1.ReasonPublishing,
	},
	"the revocation of the old one is due": {
		reason: "The operator checks whether the provider still accepts it.",
		given:  given(live, manual, nextTo(manualEntry(retiring("own-old", -time.Second)))),
		rule:   "revoke", action: plan.Revoke{Names: []string{"own-old"}}, state: plan.Steady, code: v1alpha1.ReasonReady,
	},
	"the old one was checked a moment ago": {
		reason: "It is checked again after ProofInterval.",
		given: given(live, manual, nextTo(manualEntry(retiring("own-old", -time.Second))), func(o *plan.Observation) {
			o.Ledger[1].ProvesIn = 40 * time.Second
		}),
		rule: "steady", action: plan.Wait{}, state: plan.Steady, code: v1alpha1.ReasonReady, after: 40 * time.Second,
	},
}

func manualEntry(e plan.Entry) plan.Entry {
	e.ByHand = true
	return e
}

func TestTaskSaysWhatAUserMustDo(t *testing.T) {
	old := manualEntry(retiring("own-old", -time.Second))
	cases := map[string]struct {
		given  []change
		reason string
	}{
		"nothing to do":          {given(live, manual), ""},
		"no credential yet":      {given(unissued, live, manual), v1alpha1.ReasonCreateCredential},
		"submitted":              {given(unissued, live, manual, submittedOne), ""},
		"an edit":                {given(live, manual, otherAddress), v1alpha1.ReasonEditCredential},
		"the old one, due":       {given(live, manual, nextTo(old)), v1alpha1.ReasonDeleteCredential},
		"the old one, not due":   {given(live, manual, nextTo(manualEntry(retiring("own-old", time.Hour)))), ""},
		"a new one comes first":  {given(live, manual, otherScope, nextTo(old)), v1alpha1.ReasonCreateCredential},
		"suspended":              {given(unissued, live, manual, suspend), ""},
		"unreadable hard end":    {given(unissued, live, manual, declared(func(s *v1alpha1.ApiTokenSpec) { s.ExpiresAt = text("x") })), ""},
		"deleted":                {given(live, manual, deleted), v1alpha1.ReasonDeleteCredential},
		"minted by the operator": {given(live, otherScope, nextTo(retiring("own-old", -time.Second))), ""},
		"deleted without one":    {given(unissued, live, manual, deleted), ""},
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

func TestTextSaysWhyAManualCredentialCannotBeUsed(t *testing.T) {
	inUse, old := active("own-1").LedgerEntry, retiring("own-1", time.Hour).LedgerEntry
	o := observe(manual)
	const edit = "an annotation says that credential AKIAown-1 was edited, but it does not work as declared: %s. " +
		"Correct it at the provider (Panel > Edit); the operator checks it again every minute"
	cases := map[string]struct{ got, want string }{
		"submitted again, in use":    {plan.SubmittedAgain(&inUse), "credential AKIAown-1 is already in use, and a different one is needed: create a new one"},
		"submitted again, replaced":  {plan.SubmittedAgain(&old), "credential AKIAown-1 is no longer in use and cannot be used again: create a new one"},
		"edited, key is rejected":    {o.EditTask(&inUse, nil), fmt.Sprintf(edit, "the provider does not accept it")},
		"edited, access is rejected": {o.EditTask(&inUse, provider.Invalid("the key may write")), fmt.Sprintf(edit, "the key may write")},
	}
	for name, c := range cases {
		if c.got != c.want {
			t.Errorf("%s: %q, want %q", name, c.got, c.want)
		}
	}
}
