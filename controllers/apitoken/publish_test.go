package apitoken_test

import (
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/test/support/testutil"
)

var (
	dryCreate = testutil.Request{Verb: "create", Resource: "secrets", DryRun: true}
	dryUpdate = testutil.Request{Verb: "update", Resource: "secrets", DryRun: true}
)

// Nothing is minted until a dry run of the write succeeds.
func TestQuotaOnSecretsStopsMinting(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one := corev1.ResourceList{"count/secrets": resource.MustParse("1")}
	quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: "few"}, Spec: corev1.ResourceQuotaSpec{Hard: one}}
	w.ExpectApplied(quota)
	quota.Status = corev1.ResourceQuotaStatus{Hard: one, Used: one} // as the quota controller writes it
	w.OK(w.Status().Update(w.Context(), quota))

	w.declare("training")
	w.expectCondition("training", v1alpha1.ConditionPublished, v1alpha1.ReasonPublishRefused, "Forbidden")
	w.waitIdle("training")
	w.requests.Take()
	w.passTime(20*time.Second, 3)
	w.expectMints(1)
	if n := w.requests.Take()[dryCreate]; n == 0 {
		t.Error("no dry run was tried")
	}
	w.passTime(time.Minute, 3)
	w.expectLive() // the unpublished credential is revoked
	w.expectMints(1)
	token := w.expectCondition("training", v1alpha1.ConditionPublished, v1alpha1.ReasonPublishRefused)
	if meta.IsStatusConditionTrue(token.Status.Conditions, v1alpha1.ConditionReady) {
		t.Error("Ready without a Secret")
	}

	w.OK(w.Delete(w.Context(), quota))
	w.passTime(10*time.Minute, 1)
	w.waitHealed("training")
	w.expectMints(2)
}

// The new credential cannot be published.
func TestRejectedSecretUpdateKeepsTheOldCredential(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := activeOf(w.issue("training")).Name
	lift := w.forbidSecretUpdates()
	w.edit("training", func(t *v1alpha1.ApiToken) { t.Spec.Rotation.Generation = 1 })
	w.expectCondition("training", v1alpha1.ConditionPublished, v1alpha1.ReasonPublishRefused, "Invalid")
	w.requests.Take()
	w.passTime(30*time.Second, 6)
	w.expectMints(2)
	if n := w.requests.Take()[dryUpdate]; n == 0 {
		t.Error("no dry run was tried")
	}
	w.expectLive(first)
	if held := w.usableCredential("training"); held != first {
		t.Errorf("the Secret holds %s", held)
	}
	lift()
	w.passTime(10*time.Minute, 1)
	w.passTime(2*time.Hour, 1)
	w.waitHealed("training")
	w.expectMints(3)
}

// forbidSecretUpdates creates an admission policy. The returned function removes it.
func (w *world) forbidSecretUpdates() func() {
	w.Helper()
	return w.forbidSecrets(admissionv1.Update, func(probe *corev1.Secret) error { return w.Update(w.Context(), probe, client.DryRunAll) })
}

// forbidSecretDeletes is like forbidSecretUpdates, for the deletion of Secrets.
func (w *world) forbidSecretDeletes() func() {
	w.Helper()
	return w.forbidSecrets(admissionv1.Delete, func(probe *corev1.Secret) error { return w.Delete(w.Context(), probe, client.DryRunAll) })
}

// forbidSecrets forbids an operation on all Secrets of the world except the minter. It waits until try
// fails.
func (w *world) forbidSecrets(op admissionv1.OperationType, try func(*corev1.Secret) error) func() {
	w.Helper()
	name := w.ns + "-" + strings.ToLower(string(op))
	policy := &admissionv1.ValidatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: name}}
	fail := admissionv1.Fail
	policy.Spec = admissionv1.ValidatingAdmissionPolicySpec{
		FailurePolicy: &fail,
		MatchConstraints: &admissionv1.MatchResources{
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: w.ns}},
			ResourceRules: []admissionv1.NamedRuleWithOperations{{RuleWithOperations: admissionv1.RuleWithOperations{
				Operations: []admissionv1.OperationType{op},
				Rule:       admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"secrets"}},
			}}},
		},
		Validations: []admissionv1.Validation{{Expression: `oldObject.metadata.name == "minter"`, Message: "Secrets may not be changed here"}},
	}
	binding := &admissionv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: admissionv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName: name, ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny},
		},
	}
	w.ExpectApplied(policy)
	w.ExpectApplied(binding)
	probe := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: "probe-" + name}}
	w.ExpectApplied(probe)
	inEffect := func(want bool) {
		w.Helper()
		w.Until(func() string {
			if denied := try(probe.DeepCopy()) != nil; denied != want {
				return "the policy was not observed"
			}
			return ""
		})
	}
	inEffect(true)
	return func() {
		w.Helper()
		w.OK(w.Delete(w.Context(), binding))
		w.OK(w.Delete(w.Context(), policy))
		inEffect(false)
	}
}
