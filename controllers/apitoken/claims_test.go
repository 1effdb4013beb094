package apitoken

import (
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/provider"
)

// describedStatus returns the status that describe writes for an ApiToken with one credential.
func describedStatus(t *testing.T, edit func(p *reconciliation)) *v1alpha1.ApiTokenStatus {
	t.Helper()
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	at := func(d time.Duration) *metav1.Time { return &metav1.Time{Time: now.Add(d)} }
	token := &v1alpha1.ApiToken{ObjectMeta: metav1.ObjectMeta{Namespace: "ml", Name: "training", Generation: 1, UID: "u"}}
	token.Spec.ProviderRef = v1alpha1.ProviderReference{Kind: v1alpha1.KindClusterTokenProvider, Name: "store"}
	token.Spec.Scopes = []v1alpha1.Scope{"objectstorage:object-read-only"}
	p := &reconciliation{token: token, base: token.Status.DeepCopy()}
	p.obs = plan.Observation{
		Now:   now,
		Token: plan.Token{Namespace: "ml", Name: "training", UID: "u", Generation: 1, Spec: token.Spec, HasFinalizer: true, Revision: 1},
		Ledger: []plan.Entry{{Settled: true, LedgerEntry: v1alpha1.LedgerEntry{
			Name: "own-1", ID: "AKIA1", State: v1alpha1.StateActive, Account: "a", IssuedAt: at(-time.Hour), ExpiresAt: at(89 * 24 * time.Hour),
			Fingerprint: plan.Fingerprint(&token.Spec),
		}}},
		Secret:   plan.Secret{Live: true, Exists: true, Name: "training", Credential: "own-1", Intact: true, MetadataCurrent: true, SettingsCurrent: true, DeclarationCurrent: true},
		Provider: plan.Provider{Found: true, Ready: true, Admitted: true, Verified: true, Account: "a"},
	}
	edit(p)
	p.obs.Token.Spec = token.Spec
	(&Reconciler{}).describe(p, plan.Next(p.obs), nil)
	return &token.Status
}

// A condition announces a rotation only if there will be one.
func TestConditionsAreTrue(t *testing.T) {
	type shown struct{ kind, status, reason, says string }
	no := string(metav1.ConditionFalse)
	yes := string(metav1.ConditionTrue)
	expired := func(p *reconciliation) {
		end := v1alpha1.Timestamp("2029-12-31T00:00:00Z")
		p.token.Spec.ExpiresAt = &end
	}
	notFound := func(p *reconciliation) { p.obs.Provider = plan.Provider{} }
	gone := func(p *reconciliation) { p.obs.Ledger, p.obs.Secret = nil, plan.Secret{Live: true, Name: "training"} }
	cases := map[string]struct {
		given   func(p *reconciliation)
		rotates bool
		want    []shown
	}{
		"healthy": {func(*reconciliation) {}, true, []shown{
			{"Ready", yes, "Ready", "holds credential AKIA1"}, {"Published", yes, "Published", `Secret "training" holds it`}, {"Stalled", "", "", ""}}},
		"one key more in the Secret": {func(p *reconciliation) { p.obs.Secret.Intact = false }, true, []shown{
			{"Published", no, "SecretChanged", `another client added, changed or removed keys of Secret "training"`},
			{"Ready", no, "Reissuing", "the data of the Secret was changed"}}},
		"Secret deleted": {func(p *reconciliation) { p.obs.Secret = plan.Secret{Live: true, Name: "training"} }, true, []shown{
			{"Published", no, "SecretMissing", `Secret "training" does not exist`}, {"Ready", no, "Reissuing", "issuing a new credential"}}},
		"Secret of another credential": {func(p *reconciliation) { p.obs.Secret.Credential = "own-0" }, true, []shown{
			{"Published", no, "SecretMissing", "does not hold credential AKIA1"}}},
		"Secret of another owner": {func(p *reconciliation) { p.obs.Secret.Foreign, p.obs.Secret.Owner = true, "another ApiToken" }, false, []shown{
			{"Published", no, "SecretNotOwned", "belongs to another ApiToken"}, {"Stalled", yes, "SecretNotOwned", "name another Secret"}}},
		"Secret is being deleted": {func(p *reconciliation) { p.obs.Secret.Deleting, p.obs.Secret.HeldBy = true, "x/y" }, true, []shown{
			{"Published", no, "SecretDeleting", "is being deleted"}}},
		"Secret changed and not read": {func(p *reconciliation) { p.obs.Secret.Live = false }, true, []shown{
			{"Published", no, "Publishing", "has not been read since"}}},
		"access has ended": {func(p *reconciliation) { gone(p); expired(p) }, false, []shown{
			{"Published", no, "NotIssued", "there is no live credential"}, {"Ready", no, "Expired", "raise spec.expiresAt"}, {"Stalled", yes, "Expired", ""}}},
		"nothing issued, no provider": {func(p *reconciliation) { gone(p); notFound(p) }, false, []shown{
			{"Published", no, "NotIssued", "there is no live credential"}, {"Issued", no, "NotIssued", "no live credential"}, {"Stalled", yes, "ProviderNotFound", "create it"}}},
		"suspended": {func(p *reconciliation) { p.token.Spec.Suspend = true }, false, []shown{{"Ready", yes, "Suspended", "nothing replaces it"}, {"Stalled", "", "", ""}}},
		"namespace no longer admitted": {func(p *reconciliation) { p.obs.Provider.Admitted = false }, false, []shown{
			{"Ready", yes, "NamespaceNotAllowed", `Secret "training" holds credential AKIA1. spec.providerRef: `},
			{"Ready", yes, "NamespaceNotAllowed", "nothing replaces credential AKIA1, which ends at 2030-03-31T00:00:00Z"},
			{"Stalled", yes, "NamespaceNotAllowed", "label the namespace"}}},
		"provider gone": {notFound, false, []shown{{"Ready", yes, "ProviderNotFound", "nothing replaces"}, {"Stalled", yes, "ProviderNotFound", ""}}},
		"not admitted, change wanted": {func(p *reconciliation) { p.obs.Provider.Admitted, p.token.Spec.Rotation.Generation = false, 1 }, false, []shown{
			{"Ready", no, "NamespaceNotAllowed", `Until then Secret "training" still holds credential AKIA1`}}},
		"a scope is no longer granted": {func(p *reconciliation) {
			p.obs.Provider.Refusal = &provider.Refusal{Reason: provider.RefusedScope, Field: "spec.scopes[0]", Value: "a:b", Message: "not granted here"}
		}, false, []shown{
			{"Ready", yes, "ScopeNotGrantable", "spec.scopes[0]: a:b: not granted here. Until then nothing replaces credential AKIA1"},
			{"Stalled", yes, "ScopeNotGrantable", "not granted here"}}},
		"a state of a newer version": {func(p *reconciliation) {
			p.obs.Ledger = append(p.obs.Ledger, plan.Entry{Settled: true, LedgerEntry: v1alpha1.LedgerEntry{Name: "own-0", State: "Frozen"}})
		}, false, []shown{
			{"Ready", yes, v1alpha1.ReasonUnknownState, `credential own-0 is in state "Frozen"`}, {"Stalled", yes, v1alpha1.ReasonUnknownState, "nothing replaces"}}},
		"endpoint of another server": {func(p *reconciliation) {
			p.obs.Provider.Unverified, p.obs.Provider.Ready, p.obs.Provider.Reason = true, false, v1alpha1.ReasonEndpointUnverified
		}, false, []shown{{"Ready", yes, "EndpointUnverified", "nothing replaces"}, {"Stalled", yes, "EndpointUnverified", ""}}},
		"provider does not answer": {func(p *reconciliation) {
			p.obs.Provider.Ready, p.obs.Provider.Reason = false, v1alpha1.ReasonUnreachable
		}, true, []shown{{"Ready", yes, "Ready", ""}, {"Stalled", "", "", ""}}},
		"deletion with one credential": {func(p *reconciliation) {
			p.obs.Token.Deleting, p.token.Status.Credentials = true, []v1alpha1.LedgerEntry{{Name: "own-1", State: v1alpha1.StateRetiring}}
			p.obs.Ledger[0].State = v1alpha1.StateRetiring
		}, false, []shown{{"Issued", no, "Deleting", "revocations that are not finished: 1"}}},
	}
	for name, c := range cases {
		s := describedStatus(t, c.given)
		if (s.RotatesAt != nil) != c.rotates || c.rotates != (s.Columns.Rotates != "") {
			t.Errorf("%s: a rotation is promised for %v, in the column %q", name, s.RotatesAt, s.Columns.Rotates)
		}
		if before := s.Effective.Before != ""; before != c.rotates && s.ExpiresAt != nil {
			t.Errorf("%s: before is shown: %t", name, before)
		}
		for _, want := range c.want {
			got := meta.FindStatusCondition(s.Conditions, want.kind)
			if want.status == "" {
				if got != nil {
					t.Errorf("%s: there is %+v", name, *got)
				}
				continue
			}
			if got == nil || string(got.Status) != want.status || got.Reason != want.reason || !strings.Contains(got.Message, want.says) {
				t.Errorf("%s: want %+v, got %+v", name, want, got)
			}
		}
		for _, got := range s.Conditions {
			if strings.Contains(got.Message, "..") {
				t.Errorf("%s: a sentence has two periods: %s", name, got.Message)
			}
		}
	}
}
