package gitops

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/test/support/kit"
	"apitoken.dev/operator/test/support/repofile"
	"apitoken.dev/operator/test/support/samples"
)

// sampleObjects returns all objects of config/samples, as in Git.
func sampleObjects(t *testing.T) []*unstructured.Unstructured {
	t.Helper()
	var objects []*unstructured.Unstructured
	for _, file := range samples.Files(t) {
		objects = append(objects, repofile.Objects(t, file)...)
	}
	return objects
}

// example returns the objects that the Application of the example deploys.
func example(t *testing.T) []*unstructured.Unstructured {
	t.Helper()
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), "../../docs/gitops-example")
	if err != nil {
		t.Fatal(err)
	}
	var objects []*unstructured.Unstructured
	for _, r := range built.Resources() {
		raw, err := r.AsYAML()
		if err != nil {
			t.Fatal(err)
		}
		objects = append(objects, parse(t, raw))
	}
	return objects
}

// inNamespace moves namespaced objects into the namespace of the test, and gives
// cluster-wide objects unique names, so that tests do not conflict. Of two objects with
// the same name it renames the second, if it is an ApiToken, or else leaves it out.
func (w *world) inNamespace(objects []*unstructured.Unstructured) []*unstructured.Unstructured {
	w.Helper()
	var out []*unstructured.Unstructured
	taken := map[string]bool{}
	for _, o := range objects {
		o := o.DeepCopy()
		if o.GetKind() == "ApiToken" && taken["ApiToken/"+o.GetName()] {
			o.SetName(o.GetName() + "-2")
		}
		key := o.GetKind() + "/" + o.GetName()
		if taken[key] {
			continue
		}
		taken[key] = true
		switch {
		case o.GetKind() == "Namespace":
			o.SetName(w.ns)
		case o.GetNamespace() == "":
			o.SetName(w.ns + "-" + o.GetName())
		default:
			o.SetNamespace(w.ns)
		}
		if kind, _, _ := unstructured.NestedString(o.Object, "spec", "providerRef", "kind"); kind == "ClusterTokenProvider" {
			name, _, _ := unstructured.NestedString(o.Object, "spec", "providerRef", "name")
			w.OK(unstructured.SetNestedField(o.Object, w.ns+"-"+name, "spec", "providerRef", "name"))
		}
		out = append(out, o)
	}
	return out
}

// minters makes the credentials Secrets that the providers among the objects name.
func (w *world) minters(objects []*unstructured.Unstructured) {
	w.Helper()
	var names []string
	for _, o := range objects {
		if name, ok, _ := unstructured.NestedString(o.Object, "spec", "credentialsSecretRef", "name"); ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		w.OK(w.Create(w.Context(), &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: name}, Data: map[string][]byte{"token": []byte(kit.MinterToken)},
		}))
	}
}

// read returns an object from the cluster.
func (w *world) read(o *unstructured.Unstructured) *unstructured.Unstructured {
	w.Helper()
	live := &unstructured.Unstructured{}
	live.SetGroupVersionKind(o.GroupVersionKind())
	w.OK(w.Get(w.Context(), client.ObjectKeyFromObject(o), live))
	return live
}

// allReady waits until the operator has brought its kinds among the objects to Ready.
func (w *world) allReady(objects []*unstructured.Unstructured) {
	w.Helper()
	seen := 0
	for _, o := range objects {
		if o.GroupVersionKind().Group == v1alpha1.GroupVersion.Group {
			w.shows(o, v1alpha1.ConditionReady, v1alpha1.ReasonReady)
			seen++
		}
	}
	if seen == 0 {
		w.Fatal("no object of apitoken.dev was applied")
	}
}
