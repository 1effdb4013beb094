package trim

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
)

// maxKept is the maximum size of one object's metadata in the cache, in bytes of JSON.
const maxKept = 24 << 10

// huge is metadata that is larger than the API server accepts.
func huge() metav1.ObjectMeta {
	yes := true
	m := metav1.ObjectMeta{Namespace: "ml", Name: "training", UID: "u", ResourceVersion: "7", GenerateName: strings.Repeat("g", 1<<20),
		Labels: map[string]string{}, Annotations: map[string]string{"example.com/theirs": strings.Repeat("x", 250<<10)},
		ManagedFields: []metav1.ManagedFieldsEntry{{Manager: strings.Repeat("m", 100<<10)}},
		OwnerReferences: []metav1.OwnerReference{
			{Kind: "ConfigMap", Name: strings.Repeat("n", 100<<10)},
			{Kind: strings.Repeat("k", 100<<10), Name: strings.Repeat("n", 100<<10), UID: "1", Controller: &yes},
		},
	}
	for i := range 2000 {
		m.Labels[fmt.Sprintf("example.com/%d", i)] = strings.Repeat("v", 63)
		m.Finalizers = append(m.Finalizers, fmt.Sprintf("example.com/%s-%d", strings.Repeat("f", 50), i))
	}
	m.Finalizers = append(m.Finalizers, v1alpha1.Finalizer)
	for _, key := range annotations() {
		m.Annotations[key] = strings.Repeat("y", 10<<10)
	}
	return m
}

// annotations returns the keys of all annotations that package v1alpha1 names.
func annotations() []string {
	file, err := parser.ParseFile(token.NewFileSet(), "../../api/v1alpha1/conditions.go", nil, 0)
	if err != nil {
		panic(err)
	}
	var out []string
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if ok && strings.HasPrefix(spec.Names[0].Name, "Annotation") {
			if value, ok := spec.Values[0].(*ast.BasicLit); ok {
				out = append(out, strings.Trim(value.Value, `"`))
			}
		}
		return true
	})
	return out
}

func objects(meta metav1.ObjectMeta) map[string]client.Object {
	secret, namespace := Metadata("Secret"), Metadata("Namespace")
	secret.ObjectMeta, namespace.ObjectMeta = *meta.DeepCopy(), *meta.DeepCopy()
	return map[string]client.Object{
		"ApiToken":             &v1alpha1.ApiToken{ObjectMeta: *meta.DeepCopy()},
		"TokenProvider":        &v1alpha1.TokenProvider{ObjectMeta: *meta.DeepCopy()},
		"ClusterTokenProvider": &v1alpha1.ClusterTokenProvider{ObjectMeta: *meta.DeepCopy()},
		"Secret":               secret,
		"Namespace":            namespace,
	}
}

// trimmed returns an object as it is in the cache.
func trimmed(t *testing.T, o client.Object) client.Object {
	t.Helper()
	for kind, options := range ByObject(cache.ByObject{}) {
		if fmt.Sprintf("%T", kind) != fmt.Sprintf("%T", o) || kind.GetObjectKind().GroupVersionKind() != o.GetObjectKind().GroupVersionKind() {
			continue
		}
		out, err := options.Transform(o)
		if err != nil {
			t.Fatal(err)
		}
		return out.(client.Object)
	}
	t.Fatalf("nothing is said about %T", o)
	return nil
}

func size(t *testing.T, o client.Object) int {
	t.Helper()
	raw, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	return len(raw)
}

func TestCachedMetadataIsLimited(t *testing.T) {
	for kind, o := range objects(huge()) {
		before := size(t, o)
		o = trimmed(t, o)
		after := size(t, o)
		t.Logf("%s: %d bytes, of %d", kind, after, before)
		if after > maxKept {
			t.Errorf("of a %s, %d bytes are kept, want at most %d", kind, after, maxKept)
		}
		if Whole(o) {
			t.Errorf("a %s that was trimmed is not marked", kind)
		}
		if !slices.Equal(o.GetFinalizers(), []string{v1alpha1.Finalizer}) {
			t.Errorf("of a %s, the finalizers %v are kept, want ours", kind, o.GetFinalizers())
		}
		for key, value := range o.GetAnnotations() {
			if key != mark && value != TooLong {
				t.Errorf("of a %s, %s is %d bytes long", kind, key, len(value))
			}
		}
		again := size(t, trimmed(t, o))
		if again != after || Whole(o) {
			t.Errorf("a %s that is trimmed twice is %d bytes, then %d", kind, after, again)
		}
	}
}

// TestReadMetadataIsCached for an object of normal size.
func TestReadMetadataIsCached(t *testing.T) {
	yes := true
	meta := metav1.ObjectMeta{Namespace: "ml", Name: "training", Generation: 3, Finalizers: []string{"example.com/a", v1alpha1.Finalizer},
		Labels:      map[string]string{v1alpha1.LabelManaged: "true", "app.kubernetes.io/managed-by": "Helm"},
		Annotations: map[string]string{}, OwnerReferences: []metav1.OwnerReference{{Kind: "ApiToken", Name: "training", UID: "1", Controller: &yes}}}
	for _, key := range annotations() {
		meta.Annotations[key] = strings.Repeat("z", MaxValue)
	}
	for kind, want := range map[string]kept{"ApiToken": tokens, "TokenProvider": providers, "Secret": secrets, "Namespace": namespaces} {
		o := trimmed(t, objects(meta)[kind])
		for _, key := range want.annotations {
			if o.GetAnnotations()[key] != meta.Annotations[key] {
				t.Errorf("of a %s, %s is %q", kind, key, o.GetAnnotations()[key])
			}
		}
		if o.GetGeneration() != 3 || len(o.GetFinalizers()) != 2 {
			t.Errorf("of a %s: generation %d, finalizers %v", kind, o.GetGeneration(), o.GetFinalizers())
		}
		if (kind == "Secret") != (len(o.GetOwnerReferences()) == 1) {
			t.Errorf("of a %s, %d owner references are kept", kind, len(o.GetOwnerReferences()))
		}
		if (kind == "Secret" || kind == "Namespace") != (len(o.GetLabels()) == 2) {
			t.Errorf("of a %s, the labels %v are kept", kind, o.GetLabels())
		}
	}
	plain := trimmed(t, objects(metav1.ObjectMeta{Name: "x", Finalizers: []string{v1alpha1.Finalizer}})["Secret"])
	if !Whole(plain) || plain.GetAnnotations() != nil {
		t.Errorf("a Secret without anything to trim is marked: %v", plain.GetAnnotations())
	}
}

// TestEveryAnnotationIsClassified: a new annotation is either cached or read live.
func TestEveryAnnotationIsClassified(t *testing.T) {
	for _, key := range annotations() {
		n := 0
		for _, list := range [][]string{tokens.annotations, secrets.annotations, neverCached} {
			if slices.Contains(list, key) {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%s is in %d of the lists, want 1: name it where it is read from the cache, or in neverCached", key, n)
		}
	}
}

// TestNamespaceLabelsAreCachedWhole or not at all, and a change is noticed.
func TestNamespaceLabelsAreCachedWhole(t *testing.T) {
	few := trimmed(t, objects(metav1.ObjectMeta{Name: "ml", Labels: map[string]string{"team": "ml"}})["Namespace"])
	if LabelsCut(few) || few.GetLabels()["team"] != "ml" {
		t.Errorf("few labels: %v", few.GetLabels())
	}
	meta := huge()
	first := trimmed(t, objects(meta)["Namespace"])
	meta.Labels["example.com/0"] = "other"
	second := trimmed(t, objects(meta)["Namespace"])
	if !LabelsCut(first) || len(first.GetLabels()) != 1 || first.GetLabels()[mark] == second.GetLabels()[mark] {
		t.Errorf("many labels: %v, then %v", first.GetLabels(), second.GetLabels())
	}
}

// TestFinalizersAreSetInOnePlace: a merge patch of a list from the cache would delete the
// finalizers that the cache does not have.
func TestFinalizersAreSetInOnePlace(t *testing.T) {
	for _, name := range sources(t) {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, call := range []string{"controllerutil.AddFinalizer(", "controllerutil.RemoveFinalizer(", ".SetFinalizers("} {
			if strings.Contains(string(raw), call) {
				t.Errorf("%s calls %s…): use trim.SetFinalizer", name, call)
			}
		}
	}
}

// sources are the files of the operator, without tests and this package.
func sources(t *testing.T) []string {
	t.Helper()
	var out []string
	for _, dir := range []string{"../../controllers/apitoken", "../../controllers/tokenprovider", "../../controllers/orphansweep",
		"../connections", "../secretstore", "../operator"} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if strings.HasSuffix(e.Name(), ".go") && !strings.HasSuffix(e.Name(), "_test.go") {
				out = append(out, dir+"/"+e.Name())
			}
		}
	}
	return out
}
