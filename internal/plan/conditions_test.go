package plan_test

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/plan"
)

// was returns a current condition of an ApiToken.
func was(kind string, status metav1.ConditionStatus, reason, message string) metav1.Condition {
	return metav1.Condition{Type: kind, Status: status, Reason: reason, Message: message, ObservedGeneration: 1}
}

// reportOf returns a report on an ApiToken whose conditions are stored in the API server.
func reportOf(o *plan.Observation, next plan.Decision, before ...metav1.Condition) plan.Report {
	t := &v1alpha1.ApiToken{ObjectMeta: metav1.ObjectMeta{Namespace: "ml", Name: "training", Generation: 1}, Spec: o.Token.Spec}
	t.Status.Conditions = before
	for _, e := range o.Ledger {
		t.Status.Credentials = append(t.Status.Credentials, e.LedgerEntry)
	}
	return plan.Report{Token: t, Before: before, Observation: o, Next: next}
}

// changed returns the condition of this type that a report changes, or nil.
func changed(all []plan.Condition, kind string) *plan.Condition {
	for i := range all {
		if all[i].Type == kind {
			return &all[i]
		}
	}
	return nil
}

var (
	backingOff = plan.Decision{Action: plan.Wait{}, State: plan.Progressing, Reason: v1alpha1.ReasonBackoff, Message: "the next one starts soon"}
	notRevoked = plan.Decision{Action: plan.Wait{}, State: plan.Progressing, Reason: v1alpha1.ReasonRevocationFailed, Message: plan.NotRevoked + "no answer"}
	revoking   = plan.Decision{Action: revocation, State: plan.Steady, Reason: v1alpha1.ReasonReady}
)

// TestConditionsKeepTheFailureDuringBackoff: the failure of an attempt stays visible until
// the next attempt starts.
func TestConditionsKeepTheFailureDuringBackoff(t *testing.T) {
	const (
		yes, no = metav1.ConditionTrue, metav1.ConditionFalse
		cause   = "the provider does not answer. The operator retries."
		full    = "the next one starts soon. It ended with: " + cause
	)
	cases := map[string]struct {
		next   plan.Decision
		before metav1.Condition
		kind   string
		want   plan.Condition
	}{
		"a backoff follows a failure": {backingOff, was(v1alpha1.ConditionReconciling, yes, v1alpha1.ReasonProviderError, cause), v1alpha1.ConditionReconciling,
			plan.Condition{Status: yes, Reason: v1alpha1.ReasonBackoff, Message: full}},
		"a failure is not repeated in the message": {backingOff, was(v1alpha1.ConditionReconciling, yes, v1alpha1.ReasonBackoff, full), v1alpha1.ConditionReconciling,
			plan.Condition{Status: yes, Reason: v1alpha1.ReasonBackoff, Message: full}},
		"a progress message is not a failure": {backingOff, was(v1alpha1.ConditionReconciling, yes, v1alpha1.ReasonIssuing, "issuing"), v1alpha1.ConditionReconciling,
			plan.Condition{Status: yes, Reason: v1alpha1.ReasonBackoff, Message: backingOff.Message}},
		"an account stays blocked": {backingOff, was(v1alpha1.ConditionStalled, yes, v1alpha1.ReasonAccountBlocked, "pay the bill"), v1alpha1.ConditionStalled,
			plan.Condition{Status: yes, Reason: v1alpha1.ReasonAccountBlocked, Message: "pay the bill"}},
		"a blocked account is not Reconciling": {backingOff, was(v1alpha1.ConditionStalled, yes, v1alpha1.ReasonAccountBlocked, "pay the bill"),
			v1alpha1.ConditionReconciling, plan.Condition{}},
		"another obstacle does not stay": {backingOff, was(v1alpha1.ConditionStalled, yes, v1alpha1.ReasonNamespaceNotAllowed, "label it"), v1alpha1.ConditionStalled,
			plan.Condition{}},
		"a failed revocation stays until the next one ends": {revoking, was(v1alpha1.ConditionReconciling, yes, v1alpha1.ReasonRevocationFailed, notRevoked.Message),
			v1alpha1.ConditionReconciling, plan.Condition{Status: yes, Reason: v1alpha1.ReasonRevocationFailed, Message: notRevoked.Message}},
		"Ready becomes true, and does not mention the revocation": {revoking, was(v1alpha1.ConditionReady, no, v1alpha1.ReasonRevocationFailed, notRevoked.Message),
			v1alpha1.ConditionReconciling, plan.Condition{}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			o := observe()
			got, _ := reportOf(&o, tc.next, tc.before).Conditions()
			tc.want.Type = tc.kind
			equal(t, "condition", changed(got, tc.kind), &tc.want)
		})
	}
}

// TestFailingRevocationEmitsOneEvent: there is one event, not one for each attempt.
func TestFailingRevocationEmitsOneEvent(t *testing.T) {
	held := plan.Decision{Action: plan.Wait{}, State: plan.Stalled, Reason: v1alpha1.ReasonEndpointUnverified, Message: "another server answers"}
	cases := map[string]struct {
		given  []change
		next   plan.Decision
		before []metav1.Condition
		want   string
	}{
		"it fails for the first time": {given(), notRevoked, nil, notRevoked.Message},
		"it fails again": {given(), notRevoked,
			[]metav1.Condition{was(v1alpha1.ConditionReconciling, metav1.ConditionTrue, v1alpha1.ReasonRevocationFailed, notRevoked.Message)}, ""},
		"an obstacle prevents it":               {given(nextTo(retiring("own-old", 0))), held, nil, plan.NotRevoked + held.Message},
		"an obstacle, and no revocation is due": {given(), held, nil, ""},
		"the same obstacle prevents it again": {given(nextTo(retiring("own-old", 0))), held,
			[]metav1.Condition{was(v1alpha1.ConditionStalled, metav1.ConditionTrue, held.Reason, held.Message)}, ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			o := observe(tc.given...)
			if _, got := reportOf(&o, tc.next, tc.before...).Conditions(); got != tc.want {
				t.Errorf("event %q, want %q", got, tc.want)
			}
		})
	}
}

// TestReportedConditionsAreNotRewritten: a reported failure is not written again, and a
// refused publish stays until the Secret can be written.
func TestReportedConditionsAreNotRewritten(t *testing.T) {
	refused := was(v1alpha1.ConditionPublished, metav1.ConditionFalse, v1alpha1.ReasonPublishRefused, "refused")
	notReady := was(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonPublishRefused, "refused")
	older := notReady
	older.ObservedGeneration = 0
	underWay := plan.Decision{Rule: plan.RuleUnderWay, Action: plan.Wait{}, State: plan.Progressing}
	cases := map[string]struct {
		reason string
		given  []change
		edit   func(*plan.Report)
		before []metav1.Condition
		stays  []string
	}{
		"nothing is reported": {"each condition is set", given(absent, live), func(*plan.Report) {}, nil, nil},
		"the failure is reported": {"the same text is not written again", given(absent, live), func(r *plan.Report) { r.Reported = true }, []metav1.Condition{notReady, refused},
			[]string{v1alpha1.ConditionReady, v1alpha1.ConditionReconciling, v1alpha1.ConditionStalled, v1alpha1.ConditionPublished}},
		"it was reported for an older declaration": {"Ready must be of this generation", given(absent, live), func(r *plan.Report) { r.Reported = true },
			[]metav1.Condition{older}, nil},
		"another process owns the attempt": {"that process reports its progress", given(absent, live), func(r *plan.Report) { r.Next = underWay }, []metav1.Condition{notReady},
			[]string{v1alpha1.ConditionReady, v1alpha1.ConditionReconciling, v1alpha1.ConditionStalled}},
		"a publish was rejected": {"it stays until a write succeeds", given(absent, live), func(*plan.Report) {}, []metav1.Condition{refused},
			[]string{v1alpha1.ConditionPublished}},
		"a publish was rejected, and there is nothing to write": {"it is resolved", given(), func(*plan.Report) {}, []metav1.Condition{refused}, nil},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			o := observe(tc.given...)
			r := reportOf(&o, backingOff, tc.before...)
			tc.edit(&r)
			got, _ := r.Conditions()
			for _, kind := range []string{v1alpha1.ConditionReady, v1alpha1.ConditionReconciling, v1alpha1.ConditionStalled, v1alpha1.ConditionPublished} {
				stays := strings.Contains(strings.Join(tc.stays, " "), kind)
				if changes := changed(got, kind) != nil; changes == stays {
					t.Errorf("%s: %s changes: %t", tc.reason, kind, changes)
				}
			}
		})
	}
	o := observe(absent, live)
	r := reportOf(&o, backingOff)
	r.Outcome = plan.SecretRefused{Why: "the Secret is immutable"}
	got, _ := r.Conditions()
	equal(t, "a refused publish", changed(got, v1alpha1.ConditionPublished),
		&plan.Condition{Type: v1alpha1.ConditionPublished, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonPublishRefused, Message: "the Secret is immutable"})
}

// TestWaitForPlaceIsWrittenOnce: a wait for a place is written only if Ready was true and
// the ApiToken is not ready any more.
func TestWaitForPlaceIsWrittenOnce(t *testing.T) {
	ready := was(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady, "")
	notReady := was(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonIssuing, "")
	cases := map[string]struct {
		given  []change
		before []metav1.Condition
		d      plan.Decision
		reason string
	}{
		"still ready":                     {given(), []metav1.Condition{ready}, revoking, ""},
		"the credential has expired":      {given(expires(0)), []metav1.Condition{ready}, revoking, v1alpha1.ReasonIssuing},
		"the decision has a reason":       {given(expires(0)), []metav1.Condition{ready}, backingOff, v1alpha1.ReasonBackoff},
		"Ready is already false":          {given(expires(0)), []metav1.Condition{notReady}, revoking, ""},
		"there is no condition Ready yet": {given(expires(0)), nil, revoking, ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			o := observe(tc.given...)
			got, writes := plan.WaitsForPlace(reportOf(&o, tc.d, tc.before...).Token, &o, tc.d)
			if got.Reason != tc.reason || writes != (tc.reason != "") {
				t.Errorf("writes: %t, decision %+v", writes, got)
			}
		})
	}
}

// TestDeferredIsWrittenOnlyWithoutAReason: a Deferred outcome is written only if the status
// does not say yet why there is no access.
func TestDeferredIsWrittenOnlyWithoutAReason(t *testing.T) {
	resolving := was(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonResolving, "")
	deleting := was(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonDeleting, "")
	older := resolving
	older.ObservedGeneration = 0
	cases := map[string]struct {
		given  []change
		before []metav1.Condition
		want   bool
	}{
		"no condition":                             {given(), nil, false},
		"a reason":                                 {given(), []metav1.Condition{resolving}, true},
		"a reason for an older declaration":        {given(), []metav1.Condition{older}, false},
		"deleting, and another reason":             {given(deleted), []metav1.Condition{resolving}, false},
		"deleting, and the reason is the deletion": {given(deleted), []metav1.Condition{deleting}, true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			o := observe(tc.given...)
			if got := plan.ExplainsNotReady(reportOf(&o, backingOff, tc.before...).Token, &o); got != tc.want {
				t.Errorf("got %t", got)
			}
		})
	}
}
