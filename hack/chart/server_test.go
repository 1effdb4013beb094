package chart

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// namespaceNamed creates a namespace that enforces the restricted standard, unless it exists.
func namespaceNamed(t *testing.T, c client.Client, name string) {
	t.Helper()
	restricted := map[string]string{"pod-security.kubernetes.io/enforce": "restricted"}
	err := c.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: restricted}})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
}

// dryRun sends an object to the API server as a strict dry run: unknown and duplicate fields are
// errors, admission runs, and nothing is stored.
func dryRun(t *testing.T, c client.Client, o *unstructured.Unstructured) {
	t.Helper()
	o = o.DeepCopy()
	strict := client.WithFieldValidation(c, metav1.FieldValidationStrict)
	err := strict.Create(t.Context(), o, client.DryRunAll)
	// The server has the CRD already, so the dry run is an update.
	if apierrors.IsAlreadyExists(err) {
		err = strict.Patch(t.Context(), o, client.Apply, client.DryRunAll, client.FieldOwner("chart"), client.ForceOwnership) //nolint:staticcheck // SA1019: unstructured objects have no apply configuration of their own kind
	}
	if err != nil {
		t.Errorf("%s %s: %v", o.GetKind(), o.GetName(), err)
	}
}

// A real API server accepts every rendered object, and admits the pod in a namespace that enforces
// the restricted Pod Security Standard.
func TestServerAcceptsTheRenderedManifests(t *testing.T) {
	c := env.Client(nil)
	for _, name := range []string{namespace, "ml", "web", "monitoring"} {
		namespaceNamed(t, c, name)
	}
	for _, account := range []string{release, "made-elsewhere", "identity"} {
		sa := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: account}}
		if err := c.Create(t.Context(), sa); client.IgnoreAlreadyExists(err) != nil {
			t.Fatal(err)
		}
	}
	for _, combination := range combinations() {
		t.Run(combination.name, func(t *testing.T) {
			all := objects(t, render(t, combination.args()...))
			for _, o := range all {
				dryRun(t, c, o)
			}
			deployment := deploymentOf(t, all)
			spec, _, err := unstructured.NestedMap(deployment.Object, "spec", "template", "spec")
			if err != nil {
				t.Fatal(err)
			}
			dryRun(t, c, &unstructured.Unstructured{Object: map[string]any{
				"apiVersion": "v1", "kind": "Pod", "metadata": map[string]any{"name": "pod", "namespace": namespace}, "spec": spec}})
		})
	}
}

// The API server of these tests rejects a pod that violates the standard.
func TestRestrictedIsEnforced(t *testing.T) {
	c := env.Client(nil)
	namespaceNamed(t, c, "restricted")
	sa := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "restricted", Name: "default"}}
	if err := c.Create(t.Context(), sa); client.IgnoreAlreadyExists(err) != nil {
		t.Fatal(err)
	}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "restricted", Name: "pod"},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i"}}}}
	if err := c.Create(t.Context(), pod, client.DryRunAll); !apierrors.IsForbidden(err) {
		t.Errorf("a pod without a security context: %v", err)
	}
}

// The examples of the chart are valid, and the chart does not render them.
func TestExamplesAreValidAndNotRendered(t *testing.T) {
	c := env.Client(nil)
	namespaceNamed(t, c, "examples")
	rendered := objects(t, render(t))
	for _, file := range []string{"clustertokenprovider", "tokenprovider", "apitoken"} {
		for _, o := range read(t, chartDir+"/examples/"+file+".yaml") {
			if o.GetKind() != "ClusterTokenProvider" {
				o.SetNamespace("examples")
			}
			dryRun(t, c, o)
			for _, r := range rendered {
				if r.GetKind() == o.GetKind() {
					t.Errorf("the chart renders the %s %s", r.GetKind(), r.GetName())
				}
			}
		}
	}
}
