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
)

// releaseGuard installs config/components/release-guard, and waits until the API server enforces it.
func releaseGuard(t *testing.T, c client.Client) {
	t.Helper()
	for _, o := range manifests(t, "components", "release-guard", "policy.yaml") {
		ok(t, client.IgnoreAlreadyExists(c.Create(t.Context(), o)))
	}
	own := namespace(t, c, nil)
	editor(t, c, own)
	probe := live(t, c, own, "probe")
	eventually(t, func() error {
		if err := release(t, as(t, own, "editor"), probe, client.DryRunAll); !apierrors.IsForbidden(err) {
			return fmt.Errorf("the policy is not asked yet: %w", err)
		}
		return nil
	})
	probe.Status.Credentials = nil
	ok(t, c.Status().Update(t.Context(), probe))
	ok(t, release(t, c, probe))
}

// editor is a service account that may do with ApiTokens what the role edit may, and more if there are rules.
func editor(t *testing.T, c client.Client, namespace string, more ...rbacv1.PolicyRule) {
	t.Helper()
	rules := append([]rbacv1.PolicyRule{{APIGroups: []string{"apitoken.dev"}, Resources: []string{"apitokens"},
		Verbs: []string{"get", "list", "watch", "create", "update", "patch", "delete"}}}, more...)
	create(t, c, &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "editor"}, Rules: rules},
		&rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "editor"},
			RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "editor"},
			Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: "editor"}}})
	eventually(t, func() error {
		return as(t, namespace, "editor").List(t.Context(), &v1alpha1.ApiTokenList{}, client.InNamespace(namespace))
	})
}

// live makes an ApiToken with the finalizer and a ledger that is not empty.
func live(t *testing.T, c client.Client, namespace, name string) *v1alpha1.ApiToken {
	t.Helper()
	token := apiToken(namespace, name, v1alpha1.KindTokenProvider, "none")
	token.Finalizers = []string{v1alpha1.Finalizer, "example.com/other"}
	create(t, c, token)
	token.Status.Credentials = []v1alpha1.LedgerEntry{{Name: "at1-" + name, State: v1alpha1.StateActive, Account: "a"}}
	ok(t, c.Status().Update(t.Context(), token))
	return token
}

// release takes the operator's finalizer off, as kubectl patch does.
func release(t *testing.T, c client.Client, token *v1alpha1.ApiToken, opts ...client.PatchOption) error {
	t.Helper()
	kept := slices.DeleteFunc(slices.Clone(token.Finalizers), func(f string) bool { return f == v1alpha1.Finalizer })
	changed := token.DeepCopy()
	changed.Finalizers = kept
	return c.Patch(t.Context(), changed, client.MergeFrom(token), opts...)
}

// With the policy, only those with the verb release give up what is live.
func TestReleaseGuardKeepsTheFinalizerOfALiveLedger(t *testing.T) {
	c := admin(t)
	releaseGuard(t, c)
	own := namespace(t, c, nil)
	editor(t, c, own)
	asEditor := as(t, own, "editor")
	token := live(t, c, own, "t")

	err := release(t, asEditor, token)
	if !apierrors.IsForbidden(err) {
		t.Fatalf("an editor can remove the finalizer: %v", err)
	}
	for _, part := range []string{"ApiToken " + own + "/t still has 1 credentials", "nothing revokes them", "kubectl describe", `verb "release"`} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error does not say %q: %v", part, err)
		}
	}
	t.Run("other changes of metadata and spec are allowed", func(t *testing.T) {
		changed := token.DeepCopy()
		changed.Finalizers, changed.Spec.Suspend = []string{v1alpha1.Finalizer}, true
		ok(t, asEditor.Patch(t.Context(), changed, client.MergeFrom(token)))
	})
	t.Run("an empty ledger is allowed", func(t *testing.T) {
		empty := live(t, c, own, "empty")
		empty.Status.Credentials = nil
		ok(t, c.Status().Update(t.Context(), empty))
		ok(t, release(t, asEditor, empty))
	})
	t.Run("a deletion waits for the finalizer", func(t *testing.T) {
		ok(t, asEditor.Delete(t.Context(), token))
		ok(t, c.Get(t.Context(), client.ObjectKeyFromObject(token), token))
		if err := release(t, asEditor, token); !apierrors.IsForbidden(err) {
			t.Errorf("while it is being deleted, an editor can remove the finalizer: %v", err)
		}
	})
	t.Run("a deletion with Retain is allowed", func(t *testing.T) {
		retained := live(t, c, own, "retained")
		before := retained.DeepCopy()
		retained.Spec.DeletionPolicy = v1alpha1.DeletionRetain
		ok(t, asEditor.Patch(t.Context(), retained, client.MergeFrom(before)))
		ok(t, asEditor.Delete(t.Context(), retained))
		ok(t, release(t, c, retained))
	})
	t.Run("the verb release allows it", func(t *testing.T) {
		other := namespace(t, c, nil)
		editor(t, c, other, rbacv1.PolicyRule{APIGroups: []string{"apitoken.dev"}, Resources: []string{"apitokens"}, Verbs: []string{"release"}})
		ok(t, release(t, as(t, other, "editor"), live(t, c, other, "t")))
	})
	ok(t, release(t, c, token))
}

// The operator has the verb release, so the deletion of a namespace works as without the policy: the operator
// revokes, and the garbage collector removes the Secret.
func TestReleaseGuardAllowsTheDeletionOfANamespace(t *testing.T) {
	c := admin(t)
	releaseGuard(t, c)
	own := namespace(t, c, nil)
	installed(t, c, own)
	backend := fake.NewBackend(clock.NewReal())
	run(t, env.AsServiceAccount(own, account), operator.Options{Registry: drivers(t, backend), Namespace: own, ClusterIdentity: own})
	team := namespace(t, c, map[string]string{"tokens": own})
	p := clusterProvider(own)
	token := apiToken(team, "t", v1alpha1.KindClusterTokenProvider, own)
	create(t, c, minter(own), p, token)
	ready(t, c, token, &token.Status.Conditions)
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: team}}
	ok(t, c.Delete(t.Context(), ns))
	gone(t, c, ns)
	if left := backend.LiveNames(); len(left) != 0 {
		t.Errorf("live after the namespace is gone: %v", left)
	}
	ok(t, c.Delete(t.Context(), p))
	gone(t, c, p)
}
