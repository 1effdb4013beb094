package gitops

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"apitoken.dev/operator/test/support/fake"
)

// TestRecordedObjectsAreThoseOfTheOperator brings an object of the real operator into every situation and
// compares it with the one in testdata, so that testdata stays current. With -update
// it rewrites testdata.
func TestRecordedObjectsAreThoseOfTheOperator(t *testing.T) {
	for _, s := range situations() {
		t.Run(s.kind+"/"+s.name, func(t *testing.T) {
			w := newWorld(t)
			got := w.live(s.reach(w))
			got.SetManagedFields(nil)
			if *update {
				write(t, s.file(), got)
			}
			if diff := cmp.Diff(shapeOf(t, recorded(t, s)), shapeOf(t, got)); diff != "" {
				t.Errorf("%s differs from what the operator writes now; rewrite it with -update (-recorded +now):\n%s", s.file(), diff)
			}
		})
	}
}

// TestEveryRecordedFileBelongsToASituation: every file belongs to a situation.
func TestEveryRecordedFileBelongsToASituation(t *testing.T) {
	files, err := filepath.Glob("testdata/*/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, s := range situations() {
		want = append(want, s.file())
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, files); diff != "" {
		t.Errorf("files in testdata (-want +got):\n%s", diff)
	}
}

func TestRecordedObjectsHaveNoSecretValues(t *testing.T) {
	for _, s := range situations() {
		raw, err := os.ReadFile(s.file())
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(raw), fake.Canary) {
			t.Errorf("%s contains a secret value", s.file())
		}
	}
}

// TestRecordedObjectsAreValid writes spec and status of every object of testdata to the API
// server with strict field validation.
func TestRecordedObjectsAreValid(t *testing.T) {
	w := newWorld(t)
	for _, s := range situations() {
		t.Run(s.kind+"/"+s.name, func(t *testing.T) {
			u := recorded(t, s)
			namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "recorded-"}}
			if err := w.Create(t.Context(), namespace); err != nil {
				t.Fatal(err)
			}
			fresh := &unstructured.Unstructured{Object: map[string]any{"spec": u.Object["spec"]}}
			fresh.SetGroupVersionKind(u.GroupVersionKind())
			fresh.SetName(namespace.Name)
			if u.GetNamespace() != "" {
				fresh.SetName(u.GetName())
				fresh.SetNamespace(namespace.Name)
			}
			if err := w.Create(t.Context(), fresh, client.FieldValidation(metav1.FieldValidationStrict)); err != nil {
				t.Fatal(err)
			}
			if u.Object["status"] == nil {
				return
			}
			fresh.Object["status"] = u.Object["status"]
			if err := w.Status().Update(t.Context(), fresh, client.FieldValidation(metav1.FieldValidationStrict)); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(u.Object["status"], fresh.Object["status"]); diff != "" {
				t.Errorf("the API server does not keep the status (-recorded +kept):\n%s", diff)
			}
		})
	}
}

// shape is the part of an object that tools use to decide. Other fields differ between runs.
type shape struct {
	Deleting, Suspended, Seen bool
	Conditions                []string
}

func shapeOf(t *testing.T, u *unstructured.Unstructured) shape {
	t.Helper()
	s := statusOf(t, u)
	suspended, _, _ := unstructured.NestedBool(u.Object, "spec", "suspend")
	out := shape{
		Deleting: u.GetDeletionTimestamp() != nil, Suspended: suspended,
		Seen: s.ObservedGeneration == u.GetGeneration(),
	}
	for _, c := range s.Conditions {
		out.Conditions = append(out.Conditions, fmt.Sprintf("%s %s %s", c.Type, c.Status, c.Reason))
	}
	slices.Sort(out.Conditions)
	return out
}

// recorded reads the object of a situation as a tool gets it from the API server.
func recorded(t *testing.T, s situation) *unstructured.Unstructured {
	t.Helper()
	raw, err := os.ReadFile(s.file())
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, raw)
}

// parse reads one object, with whole numbers as int64, as from an API server.
func parse(t *testing.T, raw []byte) *unstructured.Unstructured {
	t.Helper()
	json, err := yaml.YAMLToJSON(raw)
	if err != nil {
		t.Fatal(err)
	}
	u := &unstructured.Unstructured{}
	if err := u.UnmarshalJSON(json); err != nil {
		t.Fatal(err)
	}
	return u
}

func write(t *testing.T, file string, u *unstructured.Unstructured) {
	t.Helper()
	raw, err := yaml.Marshal(u.Object)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, raw, 0o644); err != nil {
		t.Fatal(err)
	}
}
