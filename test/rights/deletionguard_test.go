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

	"apitoken.dev/operator/test/support/kit"
	"apitoken.dev/operator/test/support/repofile"
)

const guardedNamespace = "apitoken-system"

// deletionGuard installs config/components/deletion-guard until the test ends.
func deletionGuard(k *kit.Kit) {
	k.Helper()
	for _, o := range repofile.Objects(k, "config/components/deletion-guard/policy.yaml") {
		k.ExpectApplied(o)
		k.Cleanup(func() { // the other tests of this package delete CRDs and namespaces
			if err := k.Delete(context.WithoutCancel(k.Context()), o); err != nil {
				k.Error(err)
			}
		})
	}
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: guardedNamespace}}
	k.OK(client.IgnoreAlreadyExists(k.Create(k.Context(), ns)))
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
	k := newKit(t)
	p := clusterProvider("guarded")
	k.ExpectApplied(p)
	p.Status.LiveCredentials = 3
	k.OK(k.Status().Update(k.Context(), p))
	deletionGuard(k)
	for _, o := range guarded() {
		var err error
		k.Eventually(func() error {
			if err = k.Delete(k.Context(), o, client.DryRunAll); !apierrors.IsForbidden(err) {
				return fmt.Errorf("%s can be deleted: %w", o.GetName(), err)
			}
			return nil
		})
		for _, part := range []string{"ClusterTokenProvider guarded has 3 live credentials", "kubectl delete apitokens.apitoken.dev --all --all-namespaces",
			"kubectl delete clustertokenproviders.apitoken.dev --all", "docs/tasks/uninstall.md"} {
			if !strings.Contains(err.Error(), part) {
				k.Errorf("the refusal for %s does not say %q: %v", o.GetName(), part, err)
			}
		}
	}
	// A deletion of a collection is checked for each CRD that it would delete.
	for _, crd := range guarded()[1:] {
		err := k.DeleteAllOf(k.Context(), crd, client.DryRunAll, client.MatchingFields{"metadata.name": crd.GetName()})
		if !apierrors.IsForbidden(err) {
			k.Errorf("%s can be deleted with a collection: %v", crd.GetName(), err)
		}
	}
	other := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: k.Namespace("rights", nil)}}
	k.OK(k.Delete(k.Context(), other, client.DryRunAll))
	free := func(k *kit.Kit) {
		k.Helper()
		for _, o := range guarded() {
			k.Eventually(func() error { return k.Delete(k.Context(), o, client.DryRunAll) })
		}
	}
	t.Run("no live credential", func(t *testing.T) {
		k := k.In(t)
		p.Status.LiveCredentials = 0
		k.OK(k.Status().Update(k.Context(), p))
		free(k)
	})
	k.ExpectDeleted(p)
	k.ExpectGone(p)
	t.Run("no ClusterTokenProvider", func(t *testing.T) { free(k.In(t)) })
	t.Run("a TokenProvider is not counted", func(t *testing.T) {
		k := k.In(t)
		own := kit.TokenProvider(guardedNamespace, "own")
		k.ExpectApplied(own)
		own.Status.LiveCredentials = 2
		k.OK(k.Status().Update(k.Context(), own))
		free(k)
		k.ExpectDeleted(own)
	})
}
