package rights

import (
	"context"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
)

const guardedNamespace = "apitoken-system"

// deletionGuard installs config/components/deletion-guard until the test ends.
func deletionGuard(t *testing.T, c client.Client) {
	t.Helper()
	for _, o := range manifests(t, "components", "deletion-guard", "policy.yaml") {
		create(t, c, o)
		t.Cleanup(func() { // the other tests of this package delete CRDs and namespaces
			if err := c.Delete(context.WithoutCancel(t.Context()), o); err != nil {
				t.Error(err)
			}
		})
	}
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: guardedNamespace}}
	ok(t, client.IgnoreAlreadyExists(c.Create(t.Context(), ns)))
}

// guarded are the objects that the policy protects.
func guarded() []client.Object {
	out := []client.Object{&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: guardedNamespace}}}
	for _, name := range []string{"apitokens.apitoken.dev", "tokenproviders.apitoken.dev", "clustertokenproviders.apitoken.dev"} {
		crd := &unstructured.Unstructured{}
		crd.SetAPIVersion("apiextensions.k8s.io/v1")
		crd.SetKind("CustomResourceDefinition")
		crd.SetName(name)
		out = append(out, crd)
	}
	return out
}

// TestDeletionGuardRefusesWhileCredentialsAreLive: while a ClusterTokenProvider counts live credentials, neither the
// operator's namespace nor its CRDs can be deleted, and the error says what to do first.
func TestDeletionGuardRefusesWhileCredentialsAreLive(t *testing.T) {
	c := admin(t)
	p := clusterProvider("guarded")
	create(t, c, p)
	p.Status.LiveCredentials = 3
	ok(t, c.Status().Update(t.Context(), p))
	deletionGuard(t, c)
	for _, o := range guarded() {
		var err error
		eventually(t, func() error {
			if err = c.Delete(t.Context(), o, client.DryRunAll); !apierrors.IsForbidden(err) {
				return fmt.Errorf("%s can be deleted: %w", o.GetName(), err)
			}
			return nil
		})
		for _, part := range []string{"ClusterTokenProvider guarded has 3 live credentials", "kubectl delete apitokens.apitoken.dev --all --all-namespaces",
			"kubectl delete clustertokenproviders.apitoken.dev --all", "docs/tasks/uninstall.md"} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("the refusal for %s does not say %q: %v", o.GetName(), part, err)
			}
		}
	}
	// A deletion of a collection is checked for each CRD that it would delete.
	for _, crd := range guarded()[1:] {
		err := c.DeleteAllOf(t.Context(), crd, client.DryRunAll, client.MatchingFields{"metadata.name": crd.GetName()})
		if !apierrors.IsForbidden(err) {
			t.Errorf("%s can be deleted with a collection: %v", crd.GetName(), err)
		}
	}
	other := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace(t, c, nil)}}
	ok(t, c.Delete(t.Context(), other, client.DryRunAll))
	free := func(t *testing.T) {
		t.Helper()
		for _, o := range guarded() {
			eventually(t, func() error { return c.Delete(t.Context(), o, client.DryRunAll) })
		}
	}
	t.Run("no live credential", func(t *testing.T) {
		p.Status.LiveCredentials = 0
		ok(t, c.Status().Update(t.Context(), p))
		free(t)
	})
	ok(t, c.Delete(t.Context(), p))
	gone(t, c, p)
	t.Run("no ClusterTokenProvider", free)
	t.Run("a TokenProvider is not counted", func(t *testing.T) {
		own := &v1alpha1.TokenProvider{ObjectMeta: metav1.ObjectMeta{Namespace: guardedNamespace, Name: "own"}, Spec: providerSpec()}
		create(t, c, own)
		own.Status.LiveCredentials = 2
		ok(t, c.Status().Update(t.Context(), own))
		free(t)
		ok(t, c.Delete(t.Context(), own))
	})
}
