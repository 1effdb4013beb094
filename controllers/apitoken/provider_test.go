package apitoken_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/test/support/fake"
	"apitoken.dev/operator/test/support/kit"
)

// Creating the missing objects suffices.
func TestProviderCreatedLaterIsNoticed(t *testing.T) {
	t.Parallel()
	w := newEmptyWorld(t)
	w.start()
	w.declare("training")
	w.expectStalled("training", v1alpha1.ReasonProviderNotFound, "spec.providerRef", `TokenProvider "store" does not exist`, "create it")
	w.createProvider()
	w.expectCondition("training", v1alpha1.ConditionReady, v1alpha1.ReasonProviderNotReady, `"store" is not ready (CredentialsMissing)`, "minter")
	if token := w.waitIdle("training"); len(token.Status.Credentials) > 0 {
		t.Errorf("something was reserved: %+v", token.Status.Credentials)
	}
	w.createMinter()
	// A new Secret without the label causes no event: the provider is checked again after a while.
	w.clock.Advance(2 * time.Minute)
	w.waitReady("training")
	w.usableCredential("training")
	w.expectMints(1)
}

// The account can grant more scopes than before. Only the provider's status shows that.
func TestNewGrantableScopesWakeApiTokens(t *testing.T) {
	t.Parallel()
	w := newEmptyWorld(t)
	w.backend.GrantOnly("objectstorage:object-read-write")
	w.createMinter()
	w.createProvider()
	w.start()
	w.declare("training")
	w.expectStalled("training", v1alpha1.ReasonScopeNotGrantable, "spec.scopes", "objectstorage:object-read-only")
	w.backend.GrantOnly("objectstorage:object-read-only", "objectstorage:object-read-write")
	w.editSecret("minter", func(s *corev1.Secret) { s.Data["note"] = []byte("have the provider checked again") })
	w.waitReady("training")
	w.usableCredential("training")
}

// The test is not parallel, because the operators of all tests watch the same ClusterTokenProviders.
func TestNamespaceNotAdmittedIsReported(t *testing.T) {
	w := newEmptyWorld(t)
	w.createMinter()
	store := &v1alpha1.ClusterTokenProvider{
		ObjectMeta: metav1.ObjectMeta{Name: "shared-store"},
		Spec: v1alpha1.ClusterProviderSpec{
			ProviderSpec:      kit.ProviderSpec(),
			AllowedNamespaces: &metav1.LabelSelector{MatchLabels: map[string]string{"tokens": "allowed"}},
		},
	}
	w.ExpectApplied(store)
	w.driver.Refuse = func(r provider.MintRequest) *provider.Refusal {
		if slices.Contains(r.Grant.Buckets, "nowhere") {
			return &provider.Refusal{Reason: provider.RefusedBucket, Field: "spec.buckets", Value: "nowhere", Message: "it does not exist"}
		}
		return nil
	}
	w.start()
	shared := func(t *v1alpha1.ApiToken) {
		t.Spec.ProviderRef = v1alpha1.ProviderReference{Kind: v1alpha1.KindClusterTokenProvider, Name: "shared-store"}
	}
	w.declare("training", shared)
	// The operator issues nothing for this ApiToken. Its condition shows the labels in the operator's cache.
	w.declare("probe", shared, func(t *v1alpha1.ApiToken) { t.Spec.Buckets = []v1alpha1.Bucket{"nowhere"} })
	w.expectStalled("training", v1alpha1.ReasonNamespaceNotAllowed, "spec.providerRef", `does not admit namespace "`+w.ns+`"`, "label the namespace")
	w.waitIdle("training")
	w.expectMints(0)
	w.labelNamespace(map[string]string{"tokens": "allowed"})
	first := activeOf(w.waitReady("training")).Name
	w.usableCredential("training")
	w.expectStalled("probe", v1alpha1.ReasonBucketNotGrantable)

	// Without admission, a working credential is not replaced, and no rotation is announced.
	w.labelNamespace(nil)
	w.expectStalled("probe", v1alpha1.ReasonNamespaceNotAllowed)
	w.expectStalled("training", v1alpha1.ReasonNamespaceNotAllowed, "label the namespace", "nothing replaces credential")
	if token := w.waitReady("training"); token.Status.RotatesAt != nil || token.Status.Columns.Rotates != "" || token.Status.ExpiresAt == nil {
		t.Errorf("without admission it rotates at %v, and ends at %v", token.Status.RotatesAt, token.Status.ExpiresAt)
	}
	w.labelNamespace(map[string]string{"tokens": "allowed"})
	token := w.expectCondition("training", v1alpha1.ConditionReady, v1alpha1.ReasonReady)
	if stalled := meta.FindStatusCondition(token.Status.Conditions, v1alpha1.ConditionStalled); stalled != nil || token.Status.RotatesAt == nil {
		t.Errorf("after the admission it rotates at %v, and is Stalled: %+v", token.Status.RotatesAt, stalled)
	}
	w.expectStalled("probe", v1alpha1.ReasonBucketNotGrantable)

	w.labelNamespace(nil)
	w.expectStalled("probe", v1alpha1.ReasonNamespaceNotAllowed)
	w.edit("training", func(t *v1alpha1.ApiToken) { t.Spec.Rotation.Generation = 1 })
	w.expectCondition("training", v1alpha1.ConditionReady, v1alpha1.ReasonNamespaceNotAllowed, "still holds credential")
	w.expectLive(first)

	// The provider stays until all its credentials are revoked, including those without admission.
	w.OK(w.Delete(w.Context(), store))
	for _, name := range []string{"training", "probe"} {
		w.delete(name)
		w.expectGone(name)
	}
	w.expectLive()
	w.expectNoStore()
}

// The condition mentions the provider of the other kind as long as it exists. The test is not parallel,
// because the operators of all tests watch the same ClusterTokenProviders.
func TestProviderOfOtherKindIsReported(t *testing.T) {
	w := newEmptyWorld(t)
	w.start()
	named := func(kind v1alpha1.ProviderKind) func(*v1alpha1.ApiToken) {
		return func(t *v1alpha1.ApiToken) {
			t.Spec.ProviderRef = v1alpha1.ProviderReference{Kind: kind, Name: w.store()}
		}
	}
	w.declare("training", named(v1alpha1.KindTokenProvider))
	const create = "create it, or name another provider"
	w.expectStalled("training", v1alpha1.ReasonProviderNotFound, create)

	cluster := &v1alpha1.ClusterTokenProvider{ObjectMeta: metav1.ObjectMeta{Name: w.store()}, Spec: v1alpha1.ClusterProviderSpec{ProviderSpec: kit.ProviderSpec()}}
	w.ExpectApplied(cluster)
	w.expectStalled("training", v1alpha1.ReasonProviderNotFound, "there is a ClusterTokenProvider of this name", "kind: ClusterTokenProvider")
	w.deleteStore()
	w.expectStalled("training", v1alpha1.ReasonProviderNotFound, create)

	w.declare("serving", named(v1alpha1.KindClusterTokenProvider))
	w.expectStalled("serving", v1alpha1.ReasonProviderNotFound, create)
	w.OK(w.Create(w.Context(), kit.TokenProvider(w.ns, w.store())))
	w.expectStalled("serving", v1alpha1.ReasonProviderNotFound, "there is a TokenProvider of this name", "kind: TokenProvider")
}

func (w *world) labelNamespace(labels map[string]string) {
	w.Helper()
	ns := &corev1.Namespace{}
	w.OK(w.Get(w.Context(), keyOf(w.ns), ns))
	delete(ns.Labels, "tokens")
	for k, v := range labels {
		ns.Labels[k] = v
	}
	w.OK(w.Update(w.Context(), ns))
}

func TestProviderBeingDeletedWaitsForApiTokens(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.issue("old")
	w.OK(w.Delete(w.Context(), &v1alpha1.TokenProvider{ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: storeName}}))
	w.declare("new")
	w.expectStalled("new", v1alpha1.ReasonProviderDeleting, `TokenProvider "store" is being deleted`, "another provider")
	w.expectMints(1)
	w.usableCredential("old")
	w.waitReady("old")
	w.delete("new")
	w.expectGone("new")
	w.delete("old")
	w.expectGone("old")
	w.expectLive()
}

// removeProvider deletes the provider and its finalizer while the operator is stopped.
func (w *world) removeProvider() {
	w.Helper()
	w.operator.stop(w)
	store := kit.TokenProvider(w.ns, storeName)
	kit.Change(w.Kit, store, func(p *v1alpha1.TokenProvider) { p.Finalizers = nil })
	w.OK(w.Delete(w.Context(), store))
	w.start()
}

// The condition says that the credential cannot be revoked.
func TestForciblyRemovedProviderBlocksRevocation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	name := activeOf(w.issue("training")).Name
	w.removeProvider()
	w.delete("training")
	w.expectStalled("training", v1alpha1.ReasonProviderNotFound, "cannot be revoked", "create it again", "Retain")
	w.expectLive(name)
	w.createProvider()
	w.Until(func() string { // a change of the provider triggers reconciles of its ApiTokens
		if w.token("training") != nil {
			return "training is still there"
		}
		return ""
	})
	w.expectLive()
}

// The condition has the reason. Issuing continues once the declaration is changed.
func TestRefusedDeclarationsReserveNothing(t *testing.T) {
	t.Parallel()
	w := newEmptyWorld(t)
	w.driver.Caps.Scopes = []string{"objectstorage:object-read-only"}
	w.driver.Caps.MaxLifetime = 100 * day
	w.driver.Refuse = func(r provider.MintRequest) *provider.Refusal {
		if len(r.Grant.Buckets) > 2 {
			return &provider.Refusal{Reason: provider.RefusedBuckets, Field: "spec.buckets", Value: "3 buckets", Message: "2 fit; split the ApiToken"}
		}
		return nil
	}
	w.createMinter()
	w.createProvider()
	w.start()
	cases := []struct {
		name, reason string
		says         []string
		wrong, right func(*v1alpha1.ApiTokenSpec)
	}{
		{
			"scope", v1alpha1.ReasonScopeNotGrantable, []string{"spec.scopes[0]", "billing:read-only", "objectstorage:object-read-only"},
			func(s *v1alpha1.ApiTokenSpec) { s.Scopes = []v1alpha1.Scope{"billing:read-only"} },
			func(s *v1alpha1.ApiTokenSpec) { s.Scopes = []v1alpha1.Scope{"objectstorage:object-read-only"} },
		},
		{
			"lifetime", v1alpha1.ReasonLifetimeTooLong, []string{"spec.expiresIn", "2424h0m0s", "2400h0m0s"},
			func(s *v1alpha1.ApiTokenSpec) { s.ExpiresIn = &metav1.Duration{Duration: 101 * day} },
			func(s *v1alpha1.ApiTokenSpec) { s.ExpiresIn = &metav1.Duration{Duration: 100 * day} },
		},
		{
			"buckets", v1alpha1.ReasonTooManyBuckets, []string{"spec.buckets", "3 buckets", "2 fit"},
			func(s *v1alpha1.ApiTokenSpec) { s.Buckets = []v1alpha1.Bucket{"b1", "b2", "b3"} },
			func(s *v1alpha1.ApiTokenSpec) { s.Buckets = []v1alpha1.Bucket{"b1", "b2"} },
		},
	}
	for _, c := range cases {
		w.declare(c.name, func(t *v1alpha1.ApiToken) { c.wrong(&t.Spec) })
	}
	for _, c := range cases {
		w.expectStalled(c.name, c.reason, c.says...)
		if token := w.waitIdle(c.name); token.Status.Revision > 0 {
			t.Errorf("%s: something was reserved: %+v", c.name, token.Status.Credentials)
		}
	}
	w.expectMints(0)
	for _, c := range cases {
		w.edit(c.name, func(t *v1alpha1.ApiToken) { c.right(&t.Spec) })
	}
	for _, c := range cases {
		w.waitReady(c.name)
		w.usableCredential(c.name)
	}
	w.expectMints(3)
	// An invalid change does not affect the credential in use.
	w.edit("scope", func(t *v1alpha1.ApiToken) { cases[0].wrong(&t.Spec) })
	w.expectCondition("scope", v1alpha1.ConditionReady, v1alpha1.ReasonScopeNotGrantable, "still holds credential")
	w.usableCredential("scope")
	w.expectLiveCount(3)
}

// In another account, "not found" does not mean "revoked".
func TestAccountChangeStopsMintingAndRevoking(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := activeOf(w.issue("training")).Name
	w.edit("training", func(t *v1alpha1.ApiToken) { t.Spec.Rotation.Generation = 1 })
	second := activeOf(w.waitReplaced("training", first)).Name
	w.backend.UseAccount("another-account")
	w.editSecret("minter", func(s *corev1.Secret) { s.Data["note"] = []byte("other credentials") })
	says := []string{"fake-account", "another-account", "restore the old ones"}
	w.expectCondition("training", v1alpha1.ConditionStalled, v1alpha1.ReasonProviderAccountChanged, says...)

	w.advance(2 * time.Hour) // the overlap of the previous one has ended
	w.waitIdle("training")
	w.expectLive(first, second)
	w.edit("training", func(t *v1alpha1.ApiToken) { t.Spec.Rotation.Generation = 2 })
	w.expectCondition("training", v1alpha1.ConditionStalled, v1alpha1.ReasonProviderAccountChanged, says...)
	w.waitIdle("training")
	w.expectMints(2)

	w.backend.UseAccount(fake.DefaultAccount)
	w.editSecret("minter", func(s *corev1.Secret) { delete(s.Data, "note") })
	third := activeOf(w.waitReplaced("training", second)).Name
	w.advance(2 * time.Hour)
	w.expectLive(third)
	w.usableCredential("training")
}

// The condition says how to remove the ApiToken.
func TestAccountChangeDelaysDeletion(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	name := activeOf(w.issue("training")).Name
	w.backend.UseAccount("another-account")
	w.editSecret("minter", func(s *corev1.Secret) { s.Data["note"] = []byte("other credentials") })
	w.expectCondition("training", v1alpha1.ConditionStalled, v1alpha1.ReasonProviderAccountChanged)
	w.delete("training")
	w.expectStalled("training", v1alpha1.ReasonProviderAccountChanged, "Retain")
	w.expectLive(name)
	w.backend.UseAccount(fake.DefaultAccount)
	w.editSecret("minter", func(s *corev1.Secret) { delete(s.Data, "note") })
	w.expectGone("training")
	w.expectLive()
}

// A replaced minting credential is used at once.
func TestRejectedMintingCredentialsAreReadAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := activeOf(w.issue("training")).Name
	w.hook(func(_ context.Context, call fake.Call) fake.Fault {
		if call.Verb == fake.Mint && call.Phase == fake.Before && strings.HasPrefix(call.Name, "at1-") {
			return fake.Fault{Kind: fake.Reject, Code: provider.CodeUnauthenticated}
		}
		return fake.Fault{}
	})
	w.edit("training", func(t *v1alpha1.ApiToken) { t.Spec.Rotation.Generation = 1 })
	w.expectCondition("training", v1alpha1.ConditionReady, v1alpha1.ReasonBackoff, "still holds credential")
	w.hook(nil)
	w.advance(time.Minute)
	w.waitReplaced("training", first)
	w.usableCredential("training")
}
