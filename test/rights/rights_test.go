package rights

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/controllers/orphansweep"
	"apitoken.dev/operator/internal/clock"
	"apitoken.dev/operator/internal/operator"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/test/support/fake"
	"apitoken.dev/operator/test/support/kit"
	"apitoken.dev/operator/test/support/repofile"
	"apitoken.dev/operator/test/support/testenv"
)

// account is the name of the operator's service account in config/rbac.
const account = "apitoken-operator"

// unseen are rights that the audit log of this test does not show, each with its reason.
var unseen = map[string]string{
	"update apitokens/finalizers.apitoken.dev": "admission checks it: TestOwnerReferenceRequiresTheRightToUpdateFinalizers",
	"release apitokens.apitoken.dev":           "admission checks it: TestReleaseGuardKeepsTheFinalizerOfALiveLedger",
	"patch events.events.k8s.io":               "client-go patches an event that repeats for the same version of an object, which does not happen here",
}

// installed creates the operator's roles of config/rbac, with unique names and the namespace own, and returns the rules
// by file name.
func installed(k *kit.Kit, own string) map[string][]rbacv1.PolicyRule {
	k.Helper()
	out := map[string][]rbacv1.PolicyRule{}
	for _, file := range []string{"service_account", "role", "role_binding", "leader_election_role", "leader_election_role_binding",
		"metrics_auth_role", "metrics_auth_role_binding", "metrics_reader_role"} {
		for _, o := range repofile.Objects(k, "config/rbac/"+file+".yaml") {
			rules, _, err := unstructured.NestedSlice(o.Object, "rules")
			k.OK(err)
			for _, raw := range rules {
				var rule rbacv1.PolicyRule
				k.OK(runtime.DefaultUnstructuredConverter.FromUnstructured(raw.(map[string]any), &rule))
				out[file] = append(out[file], rule)
			}
			k.ExpectApplied(moved(k, o, own))
		}
	}
	return out
}

// moved gives a manifest the namespace own, and a name that no other test uses.
func moved(k *kit.Kit, o *unstructured.Unstructured, own string) *unstructured.Unstructured {
	k.Helper()
	if o.GetNamespace() != "" {
		o.SetNamespace(own)
	} else {
		o.SetName(o.GetName() + "-" + own)
	}
	if kind, _, _ := unstructured.NestedString(o.Object, "roleRef", "kind"); kind == "ClusterRole" {
		name, _, _ := unstructured.NestedString(o.Object, "roleRef", "name")
		k.OK(unstructured.SetNestedField(o.Object, name+"-"+own, "roleRef", "name"))
	}
	subjects, found, err := unstructured.NestedSlice(o.Object, "subjects")
	k.OK(err)
	if found {
		for _, s := range subjects {
			s.(map[string]any)["namespace"] = own
		}
		k.OK(unstructured.SetNestedSlice(o.Object, subjects, "subjects"))
	}
	return o
}

// TestOperatorUsesEveryRightAndNeedsNoOther runs every function of the operator with only the shipped roles: no request
// is forbidden, and every right is used.
func TestOperatorUsesEveryRightAndNeedsNoOther(t *testing.T) {
	k := newKit(t)
	own := k.Namespace("rights", nil)
	roles := installed(k, own)
	releaseGuard(k)
	backend := fake.NewBackend(clock.NewReal())
	metrics := address(k)
	o := operator.Options{
		Registry: drivers(k, backend), Namespace: own, LeaderElection: true, SweepInterval: time.Second, SweepMode: orphansweep.Revoke,
		MetricsAddress: metrics, MetricsSecure: true, MetricsAuth: true, MetricsPerToken: true,
	}
	k.Eventually(func() error {
		return k.Get(k.Context(), client.ObjectKey{Name: metav1.NamespaceSystem}, &corev1.Namespace{})
	})
	stop := run(k, env.AsServiceAccount(own, account), o)
	life(k, backend, own)
	canScrape(k, own, metrics)
	stop()
	if live := backend.LiveNames(); len(live) != 1 { // the retained credential
		k.Errorf("live at the end: %v", live)
	}
	compare(k, own, roles)
}

// life takes ApiTokens and providers of both kinds through every operation.
func life(k *kit.Kit, backend *fake.Backend, own string) {
	k.Helper()
	team := k.Namespace("rights", map[string]string{"tokens": own})
	shared := clusterProvider(own)
	ofTeam := kit.TokenProvider(team, "own")
	k.ExpectApplied(kit.Minter(own, kit.MinterToken), kit.Minter(team, kit.MinterToken), shared, ofTeam)
	k.ExpectReady(shared)
	k.ExpectReady(ofTeam)

	issued := kit.ApiToken(team, "issued", kit.OfCluster(shared.Name))
	retained := kit.ApiToken(team, "retained", kit.OfNamespace(ofTeam.Name))
	retained.Spec.DeletionPolicy = v1alpha1.DeletionRetain
	manual := kit.ApiToken(team, "manual", kit.OfNamespace(ofTeam.Name))
	manual.Spec.Buckets = []v1alpha1.Bucket{manualBucket}
	k.ExpectApplied(issued, retained, manual)
	handed := handover(backend, manual)
	k.ExpectApplied(handed)
	for _, token := range []*v1alpha1.ApiToken{issued, retained, manual} {
		k.ExpectReady(token)
	}
	for range 2 { // the second repeats the events of the first
		kit.Change(k, issued, func(t *v1alpha1.ApiToken) { t.Spec.Rotation.Generation++ })
		k.ExpectReady(issued)
	}
	kit.Change(k, issued, func(t *v1alpha1.ApiToken) { t.Spec.Description = "only the status and the Secret's annotations" })
	k.ExpectReady(issued)
	revision := issued.Status.Revision
	k.ExpectDeleted(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: team, Name: issued.SecretName()}})
	recorded(k, issued, revision)

	backend.DeleteManual(string(handed.Data[fake.KeyID])) // before the operator requires it: its next check is a minute later
	k.ExpectDeleted(issued, retained, manual)
	for _, o := range []client.Object{issued, retained, manual} {
		k.ExpectGone(o)
	}
	for _, o := range []client.Object{shared, ofTeam} {
		k.ExpectDeleted(o)
		k.ExpectGone(o)
	}
}

// recorded waits until a credential of a later revision is recorded and no attempt is in progress: an attempt that a
// deletion interrupts is resolved only once it has settled.
func recorded(k *kit.Kit, token *v1alpha1.ApiToken, revision int64) {
	k.Helper()
	k.Eventually(func() error {
		if err := k.Get(k.Context(), client.ObjectKeyFromObject(token), token); err != nil {
			return err
		}
		active := 0
		for _, e := range token.Status.Credentials {
			switch e.State {
			case v1alpha1.StateActive:
				active++
			case v1alpha1.StateMinting, v1alpha1.StateAbandoned:
				return fmt.Errorf("an attempt is in progress: %+v", e)
			case v1alpha1.StateRetiring:
			}
		}
		if token.Status.Revision <= revision || active != 1 {
			return fmt.Errorf("no new credential is recorded: %+v", token.Status)
		}
		return nil
	})
}

// handover is the Secret in which a user submits a manual credential.
func handover(b *fake.Backend, token *v1alpha1.ApiToken) *corev1.Secret {
	keys := b.MakeManual(provider.Grant{})
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: token.Namespace, Name: token.Name + v1alpha1.HandoverSuffix,
			Labels: map[string]string{v1alpha1.LabelManaged: v1alpha1.ManagedHandover}},
		Data: map[string][]byte{fake.KeyID: []byte(keys[fake.KeyID].Reveal()), fake.KeySecret: []byte(keys[fake.KeySecret].Reveal())},
	}
}

// compare checks that every right is used, and granted by one role.
func compare(k *kit.Kit, own string, roles map[string][]rbacv1.PolicyRule) {
	k.Helper()
	requests, err := env.Requests("system:serviceaccount:" + own + ":" + account)
	k.OK(err)
	used := map[string]bool{}
	for _, r := range requests {
		if r.Refused {
			k.Errorf("the operator lacks a right: %s (%s/%s)", r.Right, r.Namespace, r.Name)
		}
		used[r.String()] = true
		if r.Lists {
			used[testenv.Right{Verb: "list", Group: r.Group, Resource: r.Resource}.String()] = true
		}
	}
	granted := map[string]string{}
	for _, file := range []string{"role", "leader_election_role", "metrics_auth_role"} {
		rights, err := testenv.Rights(roles[file])
		k.OK(err)
		for _, right := range rights {
			name := right.String()
			if other := granted[name]; other != "" {
				k.Errorf("config/rbac/%s.yaml: config/rbac/%s.yaml already grants %s", file, other, name)
			}
			granted[name] = file
			if !used[name] && unseen[name] == "" {
				k.Errorf("config/rbac/%s.yaml: the operator never uses: %s", file, name)
			}
		}
	}
}

// TestOwnerReferenceRequiresTheRightToUpdateFinalizers: no request shows this right. The API server checks it when a
// Secret gets an owner reference that blocks the owner's deletion.
func TestOwnerReferenceRequiresTheRightToUpdateFinalizers(t *testing.T) {
	k := newKit(t)
	own := k.Namespace("rights", nil)
	token := kit.ApiToken(own, "t", kit.OfNamespace("own"))
	k.ExpectApplied(token)
	rules := installed(k, own)["role"]
	without := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: own + "-without"}}
	for _, rule := range rules {
		if !slices.Contains(rule.Resources, "apitokens/finalizers") {
			without.Rules = append(without.Rules, rule)
		}
	}
	k.ExpectApplied(without, &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: own + "-without"},
		RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: without.Name},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: own, Name: "without"}}})
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: own, Name: "s"}}
	secret.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(token, v1alpha1.GroupVersion.WithKind("ApiToken"))}
	k.Eventually(func() error { return as(k, own, account).Create(k.Context(), secret.DeepCopy(), client.DryRunAll) })
	k.Eventually(func() error { // the role is in effect: the Secret itself is allowed
		return as(k, own, "without").Create(k.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: own, Name: "plain"}}, client.DryRunAll)
	})
	err := as(k, own, "without").Create(k.Context(), secret.DeepCopy(), client.DryRunAll)
	if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "blockOwnerDeletion") {
		k.Errorf("without the right to update apitokens/finalizers: %v", err)
	}
}
