package v1alpha1_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/test/support/testenv"
)

// TestAPIServerValidatesKinds creates and changes objects of this group on a real API
// server. All cases share one server.
func TestAPIServerValidatesKinds(t *testing.T) {
	env := testenv.Start(t)
	c := env.Client(nil)

	t.Run("ApiToken", func(t *testing.T) { testCreate(t, c, apiToken(), apiTokenCases) })
	t.Run("times", func(t *testing.T) { testTimes(t, c) })
	t.Run("ApiToken changes", func(t *testing.T) { testChange(t, c, apiToken(), apiTokenChanges) })
	t.Run("ApiToken of Go types", func(t *testing.T) { testTyped(t, env) })
	t.Run("TokenProvider", func(t *testing.T) { testCreate(t, c, tokenProvider(), providerCases) })
	t.Run("TokenProvider changes", func(t *testing.T) { testChange(t, c, tokenProvider(), providerChanges) })
	t.Run("ClusterTokenProvider", func(t *testing.T) {
		testCreate(t, c, clusterTokenProvider(), providerCases)
		testCreate(t, c, clusterTokenProvider(), clusterProviderCases)
	})
	t.Run("ClusterTokenProvider changes", func(t *testing.T) { testChange(t, c, clusterTokenProvider(), providerChanges) })
	t.Run("driver blocks", func(t *testing.T) { testDriverBlocks(t, c) })
	t.Run("what goes into a Secret", func(t *testing.T) { testSecretsAgree(t, c) })
	t.Run("endpoints", func(t *testing.T) { testEndpointsAgree(t, c) })
	t.Run("columns", func(t *testing.T) { testColumns(t, env) })
	t.Run("width of kubectl get", func(t *testing.T) { testWidth(t, env) })
	t.Run("samples", func(t *testing.T) { testSamples(t, c) })
}

// fields maps dotted paths to values; nil removes the field.
type fields map[string]any

// answer is the expected answer of the API server. The zero value means accepted.
type answer struct {
	// field is the field that the error names.
	field string
	// says are parts of the error's message: the value, and the fix.
	says []string
}

// createCase changes a valid object before it is created.
type createCase struct {
	set  fields
	want answer
}

func testCreate(t *testing.T, c client.Client, valid *unstructured.Unstructured, cases map[string]createCase) {
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			object := valid.DeepCopy()
			apply(t, object, tc.set)
			check(t, c.Create(t.Context(), object, client.DryRunAll), tc.want)
		})
	}
}

// changeCase changes an object that exists and has a status.
type changeCase struct {
	// from and status are set on a valid object, which is then stored.
	from, status fields
	// set changes the stored object, and setStatus its status.
	set, setStatus fields
	want           answer
}

func testChange(t *testing.T, c client.Client, valid *unstructured.Unstructured, cases map[string]changeCase) {
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			object := valid.DeepCopy()
			apply(t, object, tc.from)
			if err := c.Create(t.Context(), object); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := c.Delete(context.WithoutCancel(t.Context()), object); err != nil {
					t.Error(err)
				}
			})
			apply(t, object, tc.status)
			if err := c.Status().Update(t.Context(), object); err != nil {
				t.Fatal(err)
			}
			changed := object.DeepCopy()
			if tc.setStatus != nil {
				apply(t, changed, tc.setStatus)
				check(t, c.Status().Update(t.Context(), changed, client.DryRunAll), tc.want)
				return
			}
			apply(t, changed, tc.set)
			check(t, c.Update(t.Context(), changed, client.DryRunAll), tc.want)
		})
	}
}

// apply sets values at their paths; nil removes the field.
func apply(t *testing.T, object *unstructured.Unstructured, set fields) {
	t.Helper()
	for path, value := range set {
		keys := strings.Split(path, ".")
		if value == nil {
			unstructured.RemoveNestedField(object.Object, keys...)
			continue
		}
		if err := unstructured.SetNestedField(object.Object, jsonValue(t, value), keys...); err != nil {
			t.Fatalf("set %s: %v", path, err)
		}
	}
}

// jsonValue returns the value as decoded JSON has it: []any, map[string]any, int64.
func jsonValue(t *testing.T, value any) any {
	t.Helper()
	content, err := json.Marshal(map[string]any{"value": value})
	if err != nil {
		t.Fatal(err)
	}
	var out unstructured.Unstructured
	if err := out.UnmarshalJSON([]byte(`{"apiVersion":"v1","kind":"Value",` + string(content[1:]))); err != nil {
		t.Fatal(err)
	}
	return out.Object["value"]
}

// check compares the server's answer with the expected one: no error, or one cause, for the
// right field.
func check(t *testing.T, err error, want answer) {
	t.Helper()
	if want.field == "" {
		if err != nil {
			t.Errorf("rejected: %v", err)
		}
		return
	}
	if err == nil {
		t.Fatalf("accepted; want an error for %s", want.field)
	}
	causes := causesOf(err)
	if len(causes) != 1 {
		t.Fatalf("got %d causes, want one: %v", len(causes), err)
	}
	t.Logf("%s: %s", causes[0].Field, causes[0].Message)
	if causes[0].Field != want.field {
		t.Errorf("the error is for %s, want %s", causes[0].Field, want.field)
	}
	for _, part := range want.says {
		if !strings.Contains(causes[0].Message, part) {
			t.Errorf("the message lacks %q: %s", part, causes[0].Message)
		}
	}
}

// causesOf returns the causes of an error, without the one that says that some rules were not
// checked because of another error.
func causesOf(err error) []metav1.StatusCause {
	var status apierrors.APIStatus
	if !errors.As(err, &status) || status.Status().Details == nil {
		return nil
	}
	return slices.DeleteFunc(status.Status().Details.Causes, func(c metav1.StatusCause) bool {
		return c.Field == "<nil>"
	})
}

func newObject(kind, name string, spec map[string]any) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apitoken.dev/v1alpha1",
		"kind":       kind,
		"metadata":   map[string]any{"name": name},
		"spec":       spec,
	}}
}
