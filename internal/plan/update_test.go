package plan_test

import (
	"testing"
	"time"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/provider"
)

// updating: the provider changes scopes, IPs and expiry in place, and the
// credential was issued while it did.
func updating(o *plan.Observation) {
	o.Provider.Capabilities.Updates = []provider.Field{provider.FieldScopes, provider.FieldAllowedIPs, provider.FieldExpiry}
	for i := range o.Ledger {
		o.Ledger[i].Fixed = plan.Fixed(&declaration, o.Provider.Capabilities.Updates)
	}
}

// lifetime declares another one.
func lifetime(d time.Duration) change {
	return declared(func(s *v1alpha1.ApiTokenSpec) { s.ExpiresIn = lasting(d) })
}

var updateCases = map[string]nextCase{
	"scopes": {
		reason: "The provider changes them, and the workload keeps its secret.",
		given:  given(live, updating, otherScope),
		rule:   "update", action: plan.Update{Name: "own-active"}, state: plan.Progressing, code: v1alpha1.ReasonUpdating, says: []string{"its secret stays"},
	},
	"a longer lifetime": {
		reason: "Its lifetime still counts from when it was issued.",
		given:  given(live, updating, lifetime(200*24*time.Hour)),
		rule:   "update", action: plan.Update{Name: "own-active"}, state: plan.Progressing, code: v1alpha1.ReasonUpdating,
	},
	"a lifetime so short that it is over": {
		reason: "Counted from when it was issued, it would have ended: another one is needed.",
		given:  given(live, updating, lifetime(time.Hour)),
		rule:   "issue", action: issuing(plan.IssueSpecChanged), state: plan.Progressing, code: v1alpha1.ReasonReissuing,
	},
	"a lifetime that is due at once": {
		reason: "It would be rotated right after the update.",
		given:  given(live, updating, lifetime(30*time.Hour)),
		rule:   "issue", action: issuing(plan.IssueSpecChanged), state: plan.Progressing, code: v1alpha1.ReasonReissuing,
	},
	"something that cannot be changed": {
		reason: "Buckets are not among what the provider changes.",
		given:  given(live, updating, declared(func(s *v1alpha1.ApiTokenSpec) { s.Buckets = []v1alpha1.Bucket{"models"} })),
		rule:   "issue", action: issuing(plan.IssueSpecChanged), state: plan.Progressing, code: v1alpha1.ReasonReissuing,
	},
	"both": {
		reason: "One new credential does it.",
		given:  given(live, updating, otherScope, declared(func(s *v1alpha1.ApiTokenSpec) { s.Buckets = []v1alpha1.Bucket{"models"} })),
		rule:   "issue", action: issuing(plan.IssueSpecChanged), state: plan.Progressing, code: v1alpha1.ReasonReissuing,
	},
	"an update that was read": {
		reason: "It may have happened, or may yet: only a new credential is known to be as declared.",
		given:  given(live, updating, otherScope, entry(func(e *plan.Entry) { e.Updating, e.Ours = "something", true })),
		rule:   "issue", action: issuing(plan.IssueSpecChanged), state: plan.Progressing, code: v1alpha1.ReasonReissuing,
	},
	"an update that was read, and the declaration turned back": {
		reason: "The credential may have been changed to what is no longer declared.",
		given:  given(live, updating, entry(func(e *plan.Entry) { e.Updating, e.Ours = "something", true })),
		rule:   "issue", action: issuing(plan.IssueSpecChanged), state: plan.Progressing, code: v1alpha1.ReasonReissuing,
	},
	"a rotation asked for as well": {
		reason: "It wants another secret.",
		given:  given(live, updating, otherScope, rotation(1)),
		rule:   "issue", action: issuing(plan.IssueSpecChanged), state: plan.Progressing, code: v1alpha1.ReasonReissuing,
	},
	"a Secret that was edited as well": {
		reason: "It wants another secret.",
		given:  given(live, updating, otherScope, edited),
		rule:   "issue", action: issuing(plan.IssueSpecChanged), state: plan.Progressing, code: v1alpha1.ReasonReissuing,
	},
	"a credential of before": {
		reason: "The entry does not say which part of it cannot be changed.",
		given:  given(live, updating, otherScope, entry(func(e *plan.Entry) { e.Fixed = "" })),
		rule:   "issue", action: issuing(plan.IssueSpecChanged), state: plan.Progressing, code: v1alpha1.ReasonReissuing,
	},
	"a scope that is not granted": {
		reason: "The account may not give it, and says which it may.",
		given: given(live, updating, otherScope, func(o *plan.Observation) {
			o.Provider.GrantableScopes = []string{"objectstorage:object-read-only"}
		}),
		rule: "blocked", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonScopeNotGrantable,
		says: []string{"spec.scopes: objectstorage:object-read-write", "grants objectstorage:object-read-only"},
	},
	"not while attempts fail": {
		reason: "The pause is for updates too.",
		given:  given(live, updating, otherScope, retry(1, 20*time.Second)),
		rule:   "blocked", action: plan.Wait{}, state: plan.Progressing, code: v1alpha1.ReasonBackoff,
	},
}

func TestFixedIgnoresFieldsThatCanChangeInPlace(t *testing.T) {
	base := declaration
	fields := []provider.Field{provider.FieldScopes, provider.FieldExpiry}
	if got := plan.Fixed(&base, nil); got != "" {
		t.Errorf("a provider that changes nothing in place: %q", got)
	}
	scopes := declaration
	scopes.Scopes = []v1alpha1.Scope{"a:b"}
	scopes.ExpiresIn = lasting(time.Hour)
	if plan.Fixed(&base, fields) != plan.Fixed(&scopes, fields) {
		t.Error("what the provider can change makes a difference")
	}
	buckets := declaration
	buckets.Buckets = []v1alpha1.Bucket{"models"}
	if plan.Fixed(&base, fields) == plan.Fixed(&buckets, fields) {
		t.Error("what the provider cannot change makes no difference")
	}
	all := []provider.Field{provider.FieldBuckets, provider.FieldAllowedIPs, provider.FieldDeniedIPs, provider.FieldSubaccounts}
	restricted := declaration
	restricted.Restrictions = v1alpha1.Restrictions{
		AllowedIPs: []v1alpha1.IPRange{"10.0.0.0/8"}, DeniedIPs: []v1alpha1.IPRange{"10.1.0.0/16"}, Subaccounts: []string{"s"},
	}
	if plan.Fixed(&base, all) != plan.Fixed(&restricted, all) || plan.Fixed(&base, all) == plan.Fixed(&scopes, all) {
		t.Error("the fields are not told apart")
	}
	if len(restricted.Restrictions.AllowedIPs) != 1 {
		t.Error("the spec was changed")
	}
}
