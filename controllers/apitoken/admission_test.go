package apitoken_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/credname"
	"apitoken.dev/operator/internal/operator"
	"apitoken.dev/operator/test/support/fake"
	"apitoken.dev/operator/test/support/kit"
)

// The tests of this file are not parallel, because the operators of all tests watch the same
// ClusterTokenProviders.

// newSharedWorld returns a world with a ClusterTokenProvider that admits namespaces with the label
// tokens=allowed. Its operator also watches the given namespaces.
func newSharedWorld(t *testing.T, namespaces ...string) *world {
	t.Helper()
	w := newEmptyWorld(t)
	w.createMinter()
	for _, ns := range namespaces {
		w.ExpectApplied(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}})
	}
	w.createStore()
	return w
}

// createStore creates the provider of a shared world.
func (w *world) createStore() {
	w.Helper()
	w.OK(w.Create(w.Context(), &v1alpha1.ClusterTokenProvider{
		ObjectMeta: metav1.ObjectMeta{Name: w.store()},
		Spec: v1alpha1.ClusterProviderSpec{
			ProviderSpec:      kit.ProviderSpec(),
			AllowedNamespaces: &metav1.LabelSelector{MatchLabels: map[string]string{"tokens": "allowed"}},
		},
	}))
}

func (w *world) store() string { return "store-of-" + w.ns }

// useStore makes an ApiToken refer to the provider of a shared world.
func (w *world) useStore(t *v1alpha1.ApiToken) {
	t.Spec.ProviderRef = v1alpha1.ProviderReference{Kind: v1alpha1.KindClusterTokenProvider, Name: w.store()}
}

// deleteStore deletes the provider of a shared world, so that the next test does not see it.
func (w *world) deleteStore() {
	w.Helper()
	store := &v1alpha1.ClusterTokenProvider{ObjectMeta: metav1.ObjectMeta{Name: w.store()}}
	w.OK(w.Delete(w.Context(), store))
	w.expectNoStore()
}

// expectNoStore waits until no ClusterTokenProvider is left.
func (w *world) expectNoStore() {
	w.Helper()
	w.Until(func() string {
		var left v1alpha1.ClusterTokenProviderList
		w.OK(w.List(w.Context(), &left))
		if len(left.Items) > 0 {
			return "the provider is still there"
		}
		return ""
	})
}

// An ApiToken without spec.providerRef.kind names an existing ClusterTokenProvider. The condition says
// so, in either order of creation, until that provider is deleted.
func TestMissingKindOfProviderIsReported(t *testing.T) {
	w := newSharedWorld(t)
	w.start()
	notFound := `TokenProvider "` + w.store() + `" does not exist in namespace "` + w.ns + `": `
	forgotten := func(t *v1alpha1.ApiToken) { t.Spec.ProviderRef = v1alpha1.ProviderReference{Name: w.store()} }
	w.declare("after", forgotten)
	w.expectStalled("after", v1alpha1.ReasonProviderNotFound, notFound+"there is a ClusterTokenProvider of this name", "needs kind: ClusterTokenProvider")
	w.deleteStore()
	w.expectStalled("after", v1alpha1.ReasonProviderNotFound, notFound+"create it, or name another provider")
	w.declare("before", forgotten)
	w.expectStalled("before", v1alpha1.ReasonProviderNotFound, notFound+"create it, or name another provider")
	w.createStore()
	w.expectStalled("before", v1alpha1.ReasonProviderNotFound, notFound+"there is a ClusterTokenProvider of this name")
	w.deleteStore()
}

// Each case is an ApiToken in another state when it loses its admission.
func TestLostAdmissionOnlyStopsIssuing(t *testing.T) {
	cases := map[string]func(w *world, lose func()){
		"an attempt that was published": func(w *world, lose func()) {
			w.operator.stop(w)
			was := w.interruptAttempt(v1alpha1.StateMinting)
			lose()
			w.start()
			w.Until(func() string {
				if e := activeOf(w.token("training")); e == nil || e.ID != was.ID {
					return "it is not adopted with its id"
				}
				return ""
			})
			w.expectLive(was.Name)
		},
		"an abandoned attempt": func(w *world, lose func()) {
			w.operator.stop(w)
			w.interruptAttempt(v1alpha1.StateAbandoned)
			w.deleteSecret("training")
			lose()
			w.start()
			w.waitLedgerSize(0)
			w.expectLive()
		},
		"a previous credential": func(w *world, lose func()) {
			first := activeOf(w.token("training")).Name
			w.edit("training", rotateTo(1))
			second := activeOf(w.waitReplaced("training", first)).Name
			w.waitIdle("training")
			lose()
			w.advance(2 * time.Hour)
			w.expectLive(second)
		},
		"a hard end": func(w *world, lose func()) {
			lose()
			w.edit("training", func(t *v1alpha1.ApiToken) { t.Spec.ExpiresAt = v1alpha1.NewTimestamp(epoch.Add(time.Hour)) })
			w.waitIdle("training")
			w.advance(time.Hour)
			w.expectLive()
		},
		"a deletion": func(w *world, lose func()) {
			w.operator.stop(w)
			lose()
			w.delete("training")
			w.start()
		},
		"a lost status": func(w *world, lose func()) {
			was := activeOf(w.token("training"))
			w.operator.stop(w)
			w.editStatus(func(s *v1alpha1.ApiTokenStatus) { *s = v1alpha1.ApiTokenStatus{} })
			lose()
			w.start()
			w.Until(func() string {
				if e := activeOf(w.token("training")); e == nil || e.ID != was.ID {
					return "it is not adopted"
				}
				return ""
			})
			w.expectLive(was.Name)
		},
		"a deletion with a lost status": func(w *world, lose func()) {
			w.operator.stop(w)
			w.editStatus(func(s *v1alpha1.ApiTokenStatus) { *s = v1alpha1.ApiTokenStatus{} })
			lose()
			w.delete("training")
			w.start()
		},
	}
	for name, run := range cases {
		t.Run(name, func(t *testing.T) {
			w := newSharedWorld(t)
			w.start()
			w.labelNamespace(map[string]string{"tokens": "allowed"})
			w.issue("training", w.useStore)
			w.waitIdle("training")
			run(w, func() { w.labelNamespace(nil) })
			if token := w.token("training"); token != nil && token.DeletionTimestamp.IsZero() {
				w.delete("training")
			}
			w.Until(func() string { // if only the Secret claims a credential, each reconcile waits for a turn
				if w.token("training") == nil {
					return ""
				}
				w.clock.Advance(time.Second)
				return "training is still there"
			})
			w.expectLive()
			w.deleteStore()
		})
	}
}

// callsFor counts the provider calls for a namespace, or for no ApiToken in particular.
func (w *world) callsFor(namespace string) int {
	n := 0
	for _, c := range w.backend.Calls() {
		if c.Phase == fake.Before && c.Verb != fake.Connect && (c.Name != "" || c.Owner.Namespace == namespace) {
			n++
		}
	}
	return n
}

// Without a credential and without admission, an ApiToken causes no provider call.
func TestNotAdmittedMakesNoCalls(t *testing.T) {
	w := newSharedWorld(t)
	w.start()
	const many = 40
	for i := range many {
		w.declare(fmt.Sprint("training-", i), w.useStore)
	}
	w.expectStalled("training-0", v1alpha1.ReasonNamespaceNotAllowed, "label the namespace", w.store())
	for i := range many {
		w.delete(fmt.Sprint("training-", i))
	}
	for i := range many {
		w.expectGone(fmt.Sprint("training-", i))
	}
	if n := w.callsFor(w.ns); n > 0 {
		t.Errorf("%d calls of the provider", n)
	}
	w.deleteStore()
}

// If only a Secret claims a credential, the operator looks up one ApiToken per second.
func TestClaimsWaitForTheirTurn(t *testing.T) {
	w := newSharedWorld(t)
	const many = 5
	names := make([]string, 0, many)
	for i := range many {
		name := fmt.Sprint("training-", i)
		names = append(names, name)
		credential, err := credname.New(cluster, credname.Owner(w.ns, name), 1, 0, zeros{})
		w.OK(err)
		w.OK(w.Create(w.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{
			Namespace: w.ns, Name: name, Labels: map[string]string{v1alpha1.LabelManaged: "true"},
			Annotations: map[string]string{
				v1alpha1.AnnotationToken: name, v1alpha1.AnnotationCluster: cluster, v1alpha1.AnnotationCredential: credential.String(),
			},
		}}))
		w.declare(name, w.useStore)
	}
	w.start()
	for turn := range many {
		w.Until(func() string { // the next turn depends on the clock only
			if n := w.callsFor(w.ns); n < turn+1 {
				return fmt.Sprintf("%d calls after %d s", n, turn)
			}
			return ""
		})
		for _, name := range names {
			w.touch(name)
		}
		if n := w.callsFor(w.ns); n > turn+1 {
			t.Errorf("%d calls after %d s", n, turn)
		}
		w.clock.Advance(time.Second)
	}
	w.operator.stop(w)
	for _, name := range names {
		w.edit(name, func(t *v1alpha1.ApiToken) { t.Finalizers = nil })
		w.delete(name)
	}
	w.start()
	w.deleteStore()
}

// The Secret names a revoked credential, and the namespace is not admitted.
func TestAbsentClaimedCredentialIsLookedUpOnce(t *testing.T) {
	w := newSharedWorld(t)
	credential, err := credname.New(cluster, credname.Owner(w.ns, "training"), 1, 0, zeros{})
	w.OK(err)
	w.OK(w.Create(w.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{
		Namespace: w.ns, Name: "training", Labels: map[string]string{v1alpha1.LabelManaged: "true"},
		Annotations: map[string]string{
			v1alpha1.AnnotationToken: "training", v1alpha1.AnnotationCluster: cluster, v1alpha1.AnnotationCredential: credential.String(),
		},
	}}))
	w.declare("training", w.useStore)
	w.start()
	outside := func() string {
		c := meta.FindStatusCondition(w.token("training").Status.Conditions, v1alpha1.ConditionReady)
		if c == nil || c.Reason != v1alpha1.ReasonNamespaceNotAllowed {
			return fmt.Sprintf("Ready is %+v", c)
		}
		return ""
	}
	w.Until(outside)
	w.requests.Take()
	for range 3 {
		w.touch("training")
		w.waitIdle("training")
		w.clock.Advance(5 * time.Second)
	}
	w.waitIdle("training")
	if n := w.callsFor(w.ns); n != 1 {
		t.Errorf("%d calls of the provider", n)
	}
	if counts := w.requests.Take(); counts[statusUpdate] != 0 {
		t.Errorf("the status is written again: %s", counts)
	}
	w.clock.Advance(time.Minute)
	w.Until(func() string {
		if n := w.callsFor(w.ns); n != 2 {
			return fmt.Sprintf("%d calls after a minute", n)
		}
		return ""
	})
	w.Until(outside)
	w.operator.stop(w)
	w.edit("training", func(t *v1alpha1.ApiToken) { t.Finalizers = nil })
	w.delete("training")
	w.start()
	w.deleteStore()
}

// An ApiToken of a namespace that is not admitted counts only if it has a credential in the account. Its
// name is not shown in another namespace.
func TestNotAdmittedApiTokensHoldNoSlot(t *testing.T) {
	const outside = "outside-of-the-account"
	w := newSharedWorld(t, outside)
	w.driver.Caps.MaxLive = 2
	outsider := &v1alpha1.ApiToken{
		ObjectMeta: metav1.ObjectMeta{Namespace: outside, Name: "outsider"},
		Spec:       v1alpha1.ApiTokenSpec{Scopes: []v1alpha1.Scope{"objectstorage:object-read-only"}, Buckets: []v1alpha1.Bucket{"datasets"}},
	}
	w.useStore(outsider)
	w.ExpectApplied(outsider)
	w.labelNamespace(map[string]string{"tokens": "allowed"})
	w.start(func(o *operator.Options) { o.Namespaces = append(o.Namespaces, outside) })
	w.issue("training", w.useStore)
	w.delete("training")
	w.expectGone("training")

	w.Until(func() string {
		w.OK(w.Get(w.Context(), client.ObjectKeyFromObject(outsider), outsider))
		outsider.Status.Credentials = []v1alpha1.LedgerEntry{{Name: "held", State: v1alpha1.StateActive, ID: "HELD0001"}}
		if err := w.Status().Update(w.Context(), outsider); err != nil {
			return err.Error()
		}
		return ""
	})
	w.declare("training", w.useStore)
	w.expectStalled("training", v1alpha1.ReasonProviderShared, "1 ApiToken of another namespace")
	for _, c := range w.token("training").Status.Conditions {
		if strings.Contains(c.Message, outside) || strings.Contains(c.Message, "outsider") {
			t.Errorf("%s names an object of another namespace: %s", c.Type, c.Message)
		}
	}
	if meta.FindStatusCondition(outsider.Status.Conditions, v1alpha1.ConditionReady) == nil {
		t.Error("the operator has not reconciled the outsider, so this test proves nothing")
	}
	w.delete("training")
	w.expectGone("training")
	w.operator.stop(w)
	w.Until(func() string {
		w.OK(w.Get(w.Context(), client.ObjectKeyFromObject(outsider), outsider))
		outsider.Finalizers = nil
		if err := w.Update(w.Context(), outsider); err != nil {
			return err.Error()
		}
		return ""
	})
	w.OK(w.Delete(w.Context(), outsider))
	w.start()
	w.deleteStore()
}
