package plan_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/provider"
)

// claim is a reason, a state in which the rules give it, and what it says about that state.
type claim struct {
	given []change
	// issuing: it says that a credential is being issued.
	issuing bool
	// acts: it says that a user must act.
	acts bool
}

// claims has a row for each reason that the rules give.
var claims = map[string]claim{
	v1alpha1.ReasonReady:                  {given: []change{}},
	v1alpha1.ReasonIssuing:                {given: []change{unissued, live, absent}, issuing: true},
	v1alpha1.ReasonReissuing:              {given: []change{live, otherScope}, issuing: true},
	v1alpha1.ReasonResolving:              {given: []change{live, entries(attempt("own-1", v1alpha1.StateMinting, 0)), absent}},
	v1alpha1.ReasonPublishing:             {given: []change{untrusted}},
	v1alpha1.ReasonDeleting:               {given: []change{deleted}},
	v1alpha1.ReasonSuspended:              {given: []change{live, suspend, otherScope}},
	v1alpha1.ReasonExpired:                {given: []change{endsIn(0), entries(), live, absent}, acts: true},
	v1alpha1.ReasonBackoff:                {given: []change{live, otherScope, retry(2, time.Minute)}},
	v1alpha1.ReasonMintBudgetExhausted:    {given: []change{live, otherScope, budget(0, time.Minute)}},
	v1alpha1.ReasonLedgerFull:             {given: []change{live, entries(), absent, all(entries(), overlaps(plan.MaxLedger))}},
	v1alpha1.ReasonUnknownState:           {given: []change{live, entries(attempt("own-1", "Frozen", 0)), absent}, acts: true},
	v1alpha1.ReasonForeignCredential:      {given: []change{live, entries(active("their-1")), absent}, acts: true},
	v1alpha1.ReasonProviderNotFound:       {given: []change{live, unissued, absent, missing}, acts: true},
	v1alpha1.ReasonProviderNotReady:       {given: []change{live, unissued, absent, notReady}},
	v1alpha1.ReasonProviderDeleting:       {given: []change{live, unissued, absent, leaving}, acts: true},
	v1alpha1.ReasonNamespaceNotAllowed:    {given: []change{live, unissued, absent, notAdmitted}, acts: true},
	v1alpha1.ReasonProviderAccountChanged: {given: []change{belongs(other)}, acts: true},
	v1alpha1.ReasonScopeNotGrantable: {given: []change{live, otherScope, refusing(provider.Refusal{
		Reason: provider.RefusedScope, Field: "spec.scopes[0]", Value: "a:b", Message: "not granted here"})}, acts: true},
	v1alpha1.ReasonSecretNotOwned: {given: []change{live, foreign}, acts: true},
	v1alpha1.ReasonSecretDeleting: {given: []change{live, current, beingDeleted, holding("own-active")}},
	v1alpha1.ReasonPublishRefused: {given: []change{live, otherScope, publishRefused}, issuing: false},
}

// givenElsewhere are the reasons of other rows and tests: with what gives them.
var givenElsewhere = map[string]string{
	v1alpha1.ReasonEndpointUnverified: "endpoint_test.go", v1alpha1.ReasonLifetimeTooLong: "as ScopeNotGrantable", v1alpha1.ReasonTooManyBuckets: "as ScopeNotGrantable",
	v1alpha1.ReasonBucketNotGrantable: "as ScopeNotGrantable", v1alpha1.ReasonRestrictionUnsupported: "as ScopeNotGrantable", v1alpha1.ReasonProviderRefused: "as ScopeNotGrantable",
	v1alpha1.ReasonSecretContested: "secret_test.go", v1alpha1.ReasonSlotsExhausted: "slots_test.go", v1alpha1.ReasonProviderShared: "slots_test.go",
	v1alpha1.ReasonListingWindow: "blocked_test.go", v1alpha1.ReasonAccountBlocked: "blocked_test.go", v1alpha1.ReasonUpdating: "update_test.go",
	v1alpha1.ReasonActionRequired: "manual_test.go", v1alpha1.ReasonHandoverRefused: "manual_test.go", v1alpha1.ReasonCreateCredential: "manual_test.go",
	v1alpha1.ReasonEditCredential: "manual_test.go", v1alpha1.ReasonDeleteCredential: "manual_test.go", v1alpha1.ReasonUnreadableValue: "blocked_test.go",
	v1alpha1.ReasonRevocationFailed: "end_test.go", v1alpha1.ReasonCredentialMissing: "drift_test.go", v1alpha1.ReasonCredentialDisabled: "drift_test.go",
	v1alpha1.ReasonCredentialChanged: "drift_test.go",

	v1alpha1.ReasonProviderError: "package apitoken, of a failed call", v1alpha1.ReasonNotIssued: "package apitoken", v1alpha1.ReasonIssued: "package apitoken",
	v1alpha1.ReasonPublished: "package apitoken", v1alpha1.ReasonSecretMissing: "package apitoken", v1alpha1.ReasonSecretChanged: "package apitoken",

	v1alpha1.ReasonCredentialsMissing: "a provider", v1alpha1.ReasonCredentialsRejected: "a provider", v1alpha1.ReasonUnreachable: "a provider",
	v1alpha1.ReasonDriverMissing: "a provider", v1alpha1.ReasonInvalidSettings: "a provider", v1alpha1.ReasonInUse: "a provider",
}

// saysIssuing reports whether a sentence says that a credential is being issued now.
func saysIssuing(s string) bool {
	return strings.Contains(s, "is being issued.") || strings.Contains(s, "is being issued,") || strings.HasPrefix(s, "issuing ")
}

// TestReasonsClaimWhatIsTrue: each reason has a state, and says that something is being
// issued, or that a user must act, exactly when the decision does.
func TestReasonsClaimWhatIsTrue(t *testing.T) {
	for reason, help := range v1alpha1.ReasonHelp {
		c, found := claims[reason]
		if !found {
			if givenElsewhere[reason] == "" {
				t.Errorf("%s has no row", reason)
			}
			if saysIssuing(help) {
				t.Errorf("%s says that a credential is being issued: %s", reason, help)
			}
			continue
		}
		o := observe(c.given...)
		d := plan.Next(o)
		if d.Reason != reason || (d.State == plan.Stalled) != c.acts {
			t.Errorf("%s: the decision is %+v", reason, d)
		}
		if says := saysIssuing(help); says != c.issuing || says != leadsToIssue(&o, d) {
			t.Errorf("%s says issuing: %t, and the decision is %T %s", reason, says, d.Action, help)
		}
	}
}

// leadsToIssue reports whether a decision is a step towards a credential.
func leadsToIssue(o *plan.Observation, d plan.Decision) bool {
	if d.Rule == "make-room" {
		return true
	}
	switch d.Action.(type) { //nolint:gochecksumtype // the others issue nothing
	case plan.Issue, plan.CountSlots, plan.GiveUp, plan.AddFinalizer:
		return true
	case plan.Abandon, plan.Adopt, plan.Withdraw: // they end an attempt
		return false
	default: // another process is at it
		return slices.ContainsFunc(o.Ledger, func(e plan.Entry) bool { return e.State == v1alpha1.StateMinting })
	}
}

// spoken: no decision says that a credential is being issued while none is, ends a sentence
// twice, promises a rotation that something is in the way of, or leaves an ApiToken that is
// not Ready without saying who must act.
func spoken(o *plan.Observation, d plan.Decision) string {
	ready := plan.ReadinessOf(o)
	obstacle, notReplaced := o.NotReplaced()
	_, issuesNow := d.Action.(plan.Issue)
	switch {
	case strings.Contains(d.Message, "..") || strings.Contains(d.Message, ". . "):
		return "a sentence ends twice"
	case (saysIssuing(d.Message) || saysIssuing(v1alpha1.ReasonHelp[d.Reason])) && !leadsToIssue(o, d):
		return "nothing is being issued"
	case notReplaced && (issuesNow || obstacle.State != plan.Stalled || !strings.Contains(obstacle.Message, "nothing replaces credential")):
		return "a credential that is not replaced is replaced"
	case d.State == plan.Steady && !ready.Ready && d.Reason != v1alpha1.ReasonSuspended && d.Reason != v1alpha1.ReasonIssuing && !acts(d) && !o.Token.Deleting:
		return "it is not Ready, and the message names no one to act"
	}
	return ""
}

// acts reports whether a decision does anything, after which the rules are asked again.
func acts(d plan.Decision) bool {
	_, waits := d.Action.(plan.Wait)
	return !waits
}

// TestObstacleMessagesNameTheObstacleAndLostAccess: a sentence about what is in the way says which one, and keeps what
// the workload has lost.
func TestObstacleMessagesNameTheObstacleAndLostAccess(t *testing.T) {
	otherKind := func(o *plan.Observation) {
		missing(o)
		o.Provider.OtherKind = v1alpha1.KindClusterTokenProvider
	}
	cases := map[string]struct {
		given     []change
		says, not []string
	}{
		"the kind was forgotten": {[]change{live, unissued, absent, otherKind},
			[]string{`TokenProvider "store" does not exist in namespace "ml": there is a ClusterTokenProvider of this name, for which spec.providerRef needs kind: ClusterTokenProvider`},
			[]string{"create it"}},
		"lost, and suspended": {[]change{live, drifts(v1alpha1.DriftMissing), suspend},
			[]string{"grants no access", "set spec.suspend to false and raise spec.rotation.generation"}, nil},
		"lost, to be repaired, and suspended": {[]change{live, drifts(v1alpha1.DriftMissing), repairs, suspend},
			[]string{"grants no access", "Repair replaces nothing while spec.suspend is true"}, []string{"wait for the operator"}},
		"lost, to be repaired, and not admitted": {[]change{live, drifts(v1alpha1.DriftMissing), repairs, notAdmitted},
			[]string{"grants no access. spec.providerRef: ", "label the namespace"}, []string{"wait for the operator"}},
		"disabled, and suspended": {[]change{live, drifts(v1alpha1.DriftDisabled), suspend},
			[]string{"is disabled at the provider", "set spec.suspend to false and raise"}, nil},
		"not admitted, and suspended": {[]change{live, notAdmitted, suspend}, nil, []string{"nothing replaces"}},
	}
	for name, c := range cases {
		o := observe(c.given...)
		d := plan.Next(o)
		for _, part := range c.says {
			if !strings.Contains(d.Message, part) {
				t.Errorf("%s: the message does not say %q: %s", name, part, d.Message)
			}
		}
		for _, part := range c.not {
			if strings.Contains(d.Message, part) {
				t.Errorf("%s: the message says %q: %s", name, part, d.Message)
			}
		}
	}
	for want, all := range map[string][]string{"a. b": {"a.", "", "b"}, "a. b.": {"a", "b."}, "a.": {"a."}, "": nil} {
		if got := plan.Sentences(all...); got != want {
			t.Errorf("%q becomes %q, want %q", all, got, want)
		}
	}
}
