package plan

import (
	"time"

	"apitoken.dev/operator/test/support/clitest"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/provider"
)

// given creates the objects of a case, including the ApiToken shop/one. reason is the reason of the
// operator's decision. due: the operator must first take a step that does not follow from the
// declaration, and the plugin assumes that it is done.
type given struct {
	given  func(*agreement)
	reason string
	due    bool
}

// twoSlots sets an account with two slots, which one ApiToken needs for its rotations.
func (a *agreement) twoSlots() { a.driver.Caps.MaxLive = 2 }

func rotates(t *v1alpha1.ApiToken) { t.Spec.Rotation.Generation = 1 }

var agreements = map[string]given{
	"nothing was issued":       {given: func(a *agreement) { a.token() }, reason: v1alpha1.ReasonIssuing},
	"a credential is in use":   {given: func(a *agreement) { t := a.token(); a.issued(t, 0, a.entry(t, 1)) }, reason: v1alpha1.ReasonReady},
	"a rotation was requested": {given: func(a *agreement) { t := a.token(rotates); a.issued(t, 0, a.entry(t, 1)) }, reason: v1alpha1.ReasonReissuing},
	"the declaration changed": {reason: v1alpha1.ReasonReissuing, given: func(a *agreement) {
		t := a.token()
		a.issued(t, 0, a.entry(t, 1, func(e *v1alpha1.LedgerEntry) { e.Fingerprint, e.Fixed = "f0", "x0" }))
	}},
	"the Secret is missing": {given: func(a *agreement) { t := a.token(); a.issued(t, -1, a.entry(t, 1)) }, reason: v1alpha1.ReasonReissuing},
	"suspended": {reason: v1alpha1.ReasonSuspended, given: func(a *agreement) {
		t := a.token(rotates, func(t *v1alpha1.ApiToken) { t.Spec.Suspend = true })
		a.issued(t, 0, a.entry(t, 1))
	}},
	"the hard end has passed": {reason: v1alpha1.ReasonExpired, given: func(a *agreement) {
		end := v1alpha1.Timestamp(clitest.Now.Add(-day).Format(time.RFC3339))
		a.token(func(t *v1alpha1.ApiToken) { t.Spec.ExpiresAt = &end })
	}},
	"deleting": {due: true, reason: v1alpha1.ReasonDeleting, given: func(a *agreement) {
		t := a.token()
		a.issued(t, 0, a.entry(t, 1))
		a.ok(a.Delete(a.Context(), t))
	}},
	"the namespace is being deleted": {reason: v1alpha1.ReasonDeleting, given: func(a *agreement) {
		a.token()
		a.server.TerminateNamespace("shop")
	}},

	// The provider.
	"the driver refuses": {reason: v1alpha1.ReasonScopeNotGrantable, given: func(a *agreement) {
		a.driver.Caps.Scopes = []string{"objects:write"}
		a.token()
	}},
	"the driver finds its settings invalid": {reason: v1alpha1.ReasonProviderRefused, given: func(a *agreement) {
		a.driver.invalid = provider.Invalid("spec.fake.mode is not one of a and b")
		a.token()
	}},
	"the driver finds its settings invalid after an issue": {reason: v1alpha1.ReasonProviderRefused, given: func(a *agreement) {
		a.driver.invalid = provider.Invalid("spec.fake.mode is not one of a and b")
		t := a.token(rotates)
		a.issued(t, 0, a.entry(t, 1))
	}},
	"no provider":                {given: func(a *agreement) { a.token(uses(v1alpha1.KindTokenProvider, "nowhere")) }, reason: v1alpha1.ReasonProviderNotFound},
	"a provider of another kind": {given: func(a *agreement) { a.token(uses(v1alpha1.KindClusterTokenProvider, "store")) }, reason: v1alpha1.ReasonProviderNotFound},
	"the provider is not Ready": {reason: v1alpha1.ReasonProviderNotReady, given: func(a *agreement) {
		a.clusterProvider("late", func(o account.Object) { o.Status.Conditions = nil })
		a.token(uses(v1alpha1.KindClusterTokenProvider, "late"))
	}},
	"the provider is being deleted": {reason: v1alpha1.ReasonProviderDeleting, given: func(a *agreement) {
		a.clusterProvider("leaving")
		a.token(uses(v1alpha1.KindClusterTokenProvider, "leaving"))
		a.ok(a.Delete(a.Context(), &v1alpha1.ClusterTokenProvider{ObjectMeta: metav1.ObjectMeta{Name: "leaving"}}))
	}},
	"the endpoint is not verified": {reason: v1alpha1.ReasonProviderNotReady, given: func(a *agreement) {
		a.clusterProvider("moved", func(o account.Object) { o.Status.Endpoint = "https://elsewhere.example.com" })
		a.token(uses(v1alpha1.KindClusterTokenProvider, "moved"))
	}},
	"the endpoint is not verified after an issue": {reason: v1alpha1.ReasonProviderNotReady, given: func(a *agreement) {
		a.clusterProvider("moved", func(o account.Object) { o.Status.Endpoint = "https://elsewhere.example.com" })
		t := a.token(uses(v1alpha1.KindClusterTokenProvider, "moved"), rotates)
		a.issued(t, 0, a.entry(t, 1))
	}},
	"the namespace is not admitted": {reason: v1alpha1.ReasonNamespaceNotAllowed, given: func(a *agreement) {
		a.clusterProvider("closed", closed)
		a.token(uses(v1alpha1.KindClusterTokenProvider, "closed"))
	}},
	"the namespace is no longer admitted": {reason: v1alpha1.ReasonNamespaceNotAllowed, given: func(a *agreement) {
		a.clusterProvider("closed", closed)
		t := a.token(uses(v1alpha1.KindClusterTokenProvider, "closed"), rotates)
		a.issued(t, 0, a.entry(t, 1))
	}},
	"the credential is missing at a provider that repairs": {reason: v1alpha1.ReasonCredentialMissing, given: func(a *agreement) {
		a.clusterProvider("repairing", func(o account.Object) { o.Spec.Drift = v1alpha1.DriftRepair })
		t := a.token(uses(v1alpha1.KindClusterTokenProvider, "repairing"))
		a.issued(t, 0, a.entry(t, 1, func(e *v1alpha1.LedgerEntry) { e.Drift = v1alpha1.DriftMissing }))
	}},

	// Manual credentials.
	"manual": {given: func(a *agreement) { a.manual(); a.token() }, reason: v1alpha1.ReasonActionRequired},
	"manual, and a credential was submitted": {reason: v1alpha1.ReasonReissuing, given: func(a *agreement) {
		a.manual()
		a.token()
		a.ok(a.Create(a.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: "one" + v1alpha1.HandoverSuffix, Labels: map[string]string{v1alpha1.LabelManaged: v1alpha1.ManagedHandover},
		}}))
	}},
	"manual, and the edit was confirmed": {reason: v1alpha1.ReasonUpdating, given: func(a *agreement) {
		a.manual()
		a.driver.Caps.Updates = []provider.Field{provider.FieldBuckets}
		t := a.token(func(t *v1alpha1.ApiToken) { t.Annotations = map[string]string{v1alpha1.AnnotationEdited: "1"} })
		a.issued(t, 0, a.entry(t, 1, func(e *v1alpha1.LedgerEntry) { e.Fingerprint, e.ByHand = "f0", true }))
	}},

	// Other ApiTokens of the account.
	"an older ApiToken has the slots": {reason: v1alpha1.ReasonProviderShared, given: func(a *agreement) {
		a.twoSlots()
		a.token(named("shop", "older"))
		a.clock.Advance(time.Hour)
		a.token()
	}},
	"an older ApiToken of another provider has the slots of the account": {reason: v1alpha1.ReasonProviderShared, given: func(a *agreement) {
		a.twoSlots()
		a.clusterProvider("same")
		a.token(named("other", "older"), uses(v1alpha1.KindClusterTokenProvider, "same"))
		a.clock.Advance(time.Hour)
		a.token()
	}},
	"an older ApiToken has the slots of another account": {reason: v1alpha1.ReasonIssuing, given: func(a *agreement) {
		a.twoSlots()
		a.clusterProvider("different", func(o account.Object) { o.Spec.AWS.Region, o.Status.Account = "eu-2", "account-eu-2" })
		a.token(named("other", "older"), uses(v1alpha1.KindClusterTokenProvider, "different"))
		a.clock.Advance(time.Hour)
		a.token()
	}},
	"the namespace chooses the server, and another provider has the same credentials": {reason: v1alpha1.ReasonProviderShared, given: func(a *agreement) {
		a.declaredServer("minter")
	}},
	"the namespace chooses the server, and another provider has other credentials": {reason: v1alpha1.ReasonIssuing, given: func(a *agreement) {
		a.declaredServer("other-minter")
	}},
	"an ApiToken of the same age has the slots": {reason: v1alpha1.ReasonProviderShared, given: func(a *agreement) {
		a.twoSlots()
		a.token(named("shop", "before-one"))
		a.token()
	}},
	"an ApiToken of the same age comes later": {reason: v1alpha1.ReasonIssuing, given: func(a *agreement) {
		a.twoSlots()
		a.token(named("shop", "two"))
		a.token()
	}},
	"a younger ApiToken has a credential": {reason: v1alpha1.ReasonProviderShared, given: func(a *agreement) {
		a.twoSlots()
		a.token()
		a.clock.Advance(time.Hour)
		t := a.token(named("shop", "two"))
		a.issued(t, 0, a.entry(t, 1))
	}},
	"an older ApiToken is not admitted": {reason: v1alpha1.ReasonIssuing, given: func(a *agreement) {
		a.twoSlots()
		a.clusterProvider("closed", closed)
		a.token(named("other", "older"), uses(v1alpha1.KindClusterTokenProvider, "closed"))
		a.clock.Advance(time.Hour)
		a.token()
	}},
	"an older ApiToken gave its credential up": {reason: v1alpha1.ReasonProviderShared, given: func(a *agreement) {
		a.twoSlots()
		t := a.token(named("shop", "two"))
		t.Status.GapSince, t.Status.GapReason = ago(time.Minute), "Scheduled"
		a.ok(a.Status().Update(a.Context(), t))
		a.token()
	}},
	"another ApiToken has an open attempt": {reason: v1alpha1.ReasonIssuing, given: func(a *agreement) {
		a.driver.Caps.Listed = 100
		t := a.token(named("shop", "two"))
		a.issued(t, -1, a.entry(t, 1, attempt))
		a.token()
	}},

	// The ledger and the Secret.
	"two Active entries, and the Secret names the older": {reason: v1alpha1.ReasonReissuing, given: func(a *agreement) {
		t := a.token()
		newer := a.entry(t, 2, func(e *v1alpha1.LedgerEntry) { e.IssuedAt = ago(time.Hour) })
		a.issued(t, 0, a.entry(t, 1, func(e *v1alpha1.LedgerEntry) { e.Fingerprint, e.Fixed = "f0", "x0" }), newer)
	}},
	"two Active entries, and the Secret names the newer": {reason: v1alpha1.ReasonReady, given: func(a *agreement) {
		t := a.token()
		older := a.entry(t, 1, func(e *v1alpha1.LedgerEntry) { e.Fingerprint, e.Fixed = "f0", "x0" })
		a.issued(t, 1, older, a.entry(t, 2, func(e *v1alpha1.LedgerEntry) { e.IssuedAt = ago(time.Hour) }))
	}},
	"two Active entries, and no Secret": {reason: v1alpha1.ReasonReissuing, given: func(a *agreement) {
		t := a.token()
		a.issued(t, -1, a.entry(t, 1), a.entry(t, 2))
	}},
	"an attempt is open": {due: true, reason: v1alpha1.ReasonResolving, given: func(a *agreement) { t := a.token(); a.issued(t, -1, a.entry(t, 1, attempt)) }},
	"an entry of another cluster": {reason: v1alpha1.ReasonForeignCredential, given: func(a *agreement) {
		t := a.token(rotates)
		foreign := a.entry(t, 2)
		foreign.Name = "at1-zzzzzzzz-zzzzzzzzzzzz-2-aaaaaaaaaa"
		a.issued(t, 0, a.entry(t, 1), foreign)
	}},
	"an unknown state": {reason: v1alpha1.ReasonUnknownState, given: func(a *agreement) {
		t := a.token(rotates)
		a.issued(t, 0, a.entry(t, 1), a.entry(t, 2, func(e *v1alpha1.LedgerEntry) { e.State = "Paused" }))
	}},
	"a clock ahead of time left its times": {reason: v1alpha1.ReasonMintBudgetExhausted, given: func(a *agreement) {
		t := a.token(rotates)
		t.Status.MintBudget = &v1alpha1.MintBudget{RefilledAt: *after(1000 * day)}
		t.Status.Retry = &v1alpha1.Retry{NotBefore: *after(1000 * day)}
		a.issued(t, 0, a.entry(t, 1))
	}},
	"the last attempt failed": {reason: v1alpha1.ReasonBackoff, given: func(a *agreement) {
		t := a.token()
		t.Status.Retry = &v1alpha1.Retry{NotBefore: *after(time.Minute), Failures: 1}
		a.ok(a.Status().Update(a.Context(), t))
	}},
	"the Secret belongs to another": {reason: v1alpha1.ReasonSecretNotOwned, given: func(a *agreement) {
		a.token()
		a.ok(a.Create(a.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "one", Labels: map[string]string{"app.kubernetes.io/managed-by": "Helm"}}}))
	}},
	"the Secret is being deleted": {reason: v1alpha1.ReasonSecretDeleting, given: func(a *agreement) {
		t := a.token()
		a.ok(a.Create(a.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "one", Finalizers: []string{"example.com/held"},
			Annotations: map[string]string{v1alpha1.AnnotationToken: t.Name}}}))
		a.ok(a.Delete(a.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "one"}}))
	}},
	"the Secret lacks a declared label": {due: true, reason: v1alpha1.ReasonReady, given: func(a *agreement) {
		t := a.token()
		a.issued(t, 0, a.entry(t, 1))
		t.Spec.Secret.Labels = map[string]string{"team": "ml"}
		a.ok(a.Update(a.Context(), t))
	}},
	"the Secret holds a credential that a lost status had": {reason: v1alpha1.ReasonResolving, given: func(a *agreement) {
		t := a.token()
		a.issued(t, 0, a.entry(t, 1))
		t.Status = v1alpha1.ApiTokenStatus{}
		a.ok(a.Status().Update(a.Context(), t))
	}},
	"a publish was rejected": {due: true, reason: v1alpha1.ReasonPublishRefused, given: func(a *agreement) {
		t := a.token()
		t.Status.Conditions = []metav1.Condition{condition(v1alpha1.ConditionPublished, false, v1alpha1.ReasonPublishRefused, "", 1)}
		a.ok(a.Status().Update(a.Context(), t))
	}},
}

// declaredServer creates an older ApiToken at a second TokenProvider of the same server, with minting
// credentials from a Secret. The server does not verify accounts.
func (a *agreement) declaredServer(secret string) {
	a.Helper()
	a.twoSlots()
	a.driver.At = func(provider.Config) provider.Server {
		return provider.Server{Host: "fake.invalid", URL: "https://fake.invalid", Declared: true}
	}
	if secret != "minter" {
		a.ok(a.Create(a.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: secret}, Data: map[string][]byte{"token": []byte(secret)}}))
	}
	a.provider(account.Of(&v1alpha1.TokenProvider{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "second"}}),
		func(o account.Object) { o.Spec.CredentialsSecretRef.Name = secret })
	a.token(named("shop", "older"), uses(v1alpha1.KindTokenProvider, "second"))
	a.clock.Advance(time.Hour)
	a.token()
}

// closed makes a provider admit no namespace of these tests.
func closed(o account.Object) {
	if p, ok := o.Raw.(*v1alpha1.ClusterTokenProvider); ok {
		p.Spec.AllowedNamespaces = &metav1.LabelSelector{MatchLabels: map[string]string{"team": "ml"}}
	}
}

// attempt changes an entry into an attempt with an unknown outcome.
func attempt(e *v1alpha1.LedgerEntry) {
	e.State, e.ID, e.IssuedAt = v1alpha1.StateMinting, "", nil
}
