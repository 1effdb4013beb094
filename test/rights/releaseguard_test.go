package rights

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/clock"
	"apitoken.dev/operator/internal/operator"
	"apitoken.dev/operator/test/support/fake"
	"apitoken.dev/operator/test/support/kit"
	"apitoken.dev/operator/test/support/repofile"
)

// releaseGuard installs config/components/release-guard, and waits until the API server enforces it.
func releaseGuard(k *kit.Kit) {
	k.Helper()
	for _, o := range repofile.Objects(k, "config/components/release-guard/policy.yaml") {
		k.OK(client.IgnoreAlreadyExists(k.Create(k.Context(), o)))
	}
	own := k.Namespace("rights", nil)
	editor(k, own)
	probe := live(k, own, "probe")
	k.Eventually(func() error {
		if err := release(k, as(k, own, "editor"), probe, client.DryRunAll); !apierrors.IsForbidden(err) {
			return fmt.Errorf("the policy is not asked yet: %w", err)
		}
		return nil
	})
	probe.Status.Credentials = nil
	k.OK(k.Status().Update(k.Context(), probe))
	k.OK(release(k, k, probe))
}

// editor is a service account that may do with ApiTokens what the role edit may, and more if there are rules.
func editor(k *kit.Kit, namespace string, more ...rbacv1.PolicyRule) {
	k.Helper()
	rules := append([]rbacv1.PolicyRule{{APIGroups: []string{"apitoken.dev"}, Resources: []string{"apitokens"},
		Verbs: []string{"get", "list", "watch", "create", "update", "patch", "delete"}}}, more...)
	k.ExpectApplied(&rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "editor"}, Rules: rules},
		&rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "editor"},
			RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "editor"},
			Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: "editor"}}})
	k.Eventually(func() error {
		return as(k, namespace, "editor").List(k.Context(), &v1alpha1.ApiTokenList{}, client.InNamespace(namespace))
	})
}

// live makes an ApiToken with the finalizer and a ledger that is not empty.
func live(k *kit.Kit, namespace, name string) *v1alpha1.ApiToken {
	k.Helper()
	token := kit.ApiToken(namespace, name, kit.OfNamespace("none"))
	token.Finalizers = []string{v1alpha1.Finalizer, "example.com/other"}
	k.ExpectApplied(token)
	token.Status.Credentials = []v1alpha1.LedgerEntry{{Name: "at1-" + name, State: v1alpha1.StateActive, Account: "a"}}
	k.OK(k.Status().Update(k.Context(), token))
	return token
}

// release takes the operator's finalizer off, as kubectl patch does.
func release(k *kit.Kit, c client.Client, token *v1alpha1.ApiToken, opts ...client.PatchOption) error {
	k.Helper()
	kept := slices.DeleteFunc(slices.Clone(token.Finalizers), func(f string) bool { return f == v1alpha1.Finalizer })
	changed := token.DeepCopy()
	changed.Finalizers = kept
	return c.Patch(k.Context(), changed, client.MergeFrom(token), opts...)
}

// With the policy, only those with the verb release give up what is live.
func TestReleaseGuardKeepsTheFinalizerOfALiveLedger(t *testing.T) {
	k := newKit(t)
	releaseGuard(k)
	own := k.Namespace("rights", nil)
	editor(k, own)
	asEditor := as(k, own, "editor")
	token := live(k, own, "t")

	err := release(k, asEditor, token)
	if !apierrors.IsForbidden(err) {
		k.Fatalf("an editor can remove the finalizer: %v", err)
	}
	for _, part := range []string{"ApiToken " + own + "/t still has 1 credentials", "nothing revokes them", "kubectl describe", `verb "release"`} {
		if !strings.Contains(err.Error(), part) {
			k.Errorf("the error does not say %q: %v", part, err)
		}
	}
	t.Run("other changes of metadata and spec are allowed", func(t *testing.T) {
		k := k.In(t)
		changed := token.DeepCopy()
		changed.Finalizers, changed.Spec.Suspend = []string{v1alpha1.Finalizer}, true
		k.OK(asEditor.Patch(k.Context(), changed, client.MergeFrom(token)))
	})
	t.Run("an empty ledger is allowed", func(t *testing.T) {
		k := k.In(t)
		empty := live(k, own, "empty")
		empty.Status.Credentials = nil
		k.OK(k.Status().Update(k.Context(), empty))
		k.OK(release(k, asEditor, empty))
	})
	t.Run("a deletion waits for the finalizer", func(t *testing.T) {
		k := k.In(t)
		k.OK(asEditor.Delete(k.Context(), token))
		k.OK(k.Get(k.Context(), client.ObjectKeyFromObject(token), token))
		if err := release(k, asEditor, token); !apierrors.IsForbidden(err) {
			k.Errorf("while it is being deleted, an editor can remove the finalizer: %v", err)
		}
	})
	t.Run("a deletion with Retain is allowed", func(t *testing.T) {
		k := k.In(t)
		retained := live(k, own, "retained")
		before := retained.DeepCopy()
		retained.Spec.DeletionPolicy = v1alpha1.DeletionRetain
		k.OK(asEditor.Patch(k.Context(), retained, client.MergeFrom(before)))
		k.OK(asEditor.Delete(k.Context(), retained))
		k.OK(release(k, k, retained))
	})
	t.Run("the verb release allows it", func(t *testing.T) {
		k := k.In(t)
		other := k.Namespace("rights", nil)
		editor(k, other, rbacv1.PolicyRule{APIGroups: []string{"apitoken.dev"}, Resources: []string{"apitokens"}, Verbs: []string{"release"}})
		k.OK(release(k, as(k, other, "editor"), live(k, other, "t")))
	})
	k.OK(release(k, k, token))
}

// The operator has the verb release, so the deletion of a namespace works as without the policy: the operator
// revokes, and the garbage collector removes the Secret.
func TestReleaseGuardAllowsTheDeletionOfANamespace(t *testing.T) {
	k := newKit(t)
	releaseGuard(k)
	own := k.Namespace("rights", nil)
	installed(k, own)
	backend := fake.NewBackend(clock.NewReal())
	run(k, env.AsServiceAccount(own, account), operator.Options{Registry: drivers(k, backend), Namespace: own, ClusterIdentity: own})
	team := k.Namespace("rights", map[string]string{"tokens": own})
	p := clusterProvider(own)
	token := kit.ApiToken(team, "t", kit.OfCluster(own))
	k.ExpectApplied(kit.Minter(own, kit.MinterToken), p, token)
	k.ExpectReady(token)
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: team}}
	k.ExpectDeleted(ns)
	k.ExpectGone(ns)
	if left := backend.LiveNames(); len(left) != 0 {
		k.Errorf("live after the namespace is gone: %v", left)
	}
	k.ExpectDeleted(p)
	k.ExpectGone(p)
}
