package apitoken_test

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/plan"
)

// withLooseSchema calls store while the schema of ApiToken admits any text for spec.expiresAt, as an
// earlier version did.
func (w *world) withLooseSchema(store func()) {
	w.Helper()
	swap := func(schema any) any {
		w.Helper()
		crd := &unstructured.Unstructured{}
		crd.SetAPIVersion("apiextensions.k8s.io/v1")
		crd.SetKind("CustomResourceDefinition")
		w.OK(w.Get(w.Context(), keyOf("apitokens.apitoken.dev"), crd))
		versions, _, err := unstructured.NestedSlice(crd.Object, "spec", "versions")
		w.OK(err)
		version, _ := versions[0].(map[string]any)
		end := []string{"schema", "openAPIV3Schema", "properties", "spec", "properties", "expiresAt"}
		had, _, err := unstructured.NestedFieldCopy(version, end...)
		w.OK(err)
		w.OK(unstructured.SetNestedField(version, schema, end...))
		w.OK(unstructured.SetNestedSlice(crd.Object, versions, "spec", "versions"))
		w.OK(w.Update(w.Context(), crd))
		return had
	}
	probe := unreadable(w.ns, "probe")
	accepts := func(want bool) { // the server applies a new schema with a delay
		w.Helper()
		w.Until(func() string {
			if got := w.Create(w.Context(), probe.DeepCopy(), client.DryRunAll) == nil; got != want {
				return "the schema is not in use"
			}
			return ""
		})
	}
	strict := swap(map[string]any{"type": "string"})
	accepts(true)
	store()
	swap(strict)
	accepts(false)
}

// unreadable returns an ApiToken whose spec.expiresAt is not a time.
func unreadable(namespace, name string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": v1alpha1.GroupVersion.String(), "kind": "ApiToken", "metadata": map[string]any{"namespace": namespace, "name": name},
		"spec": map[string]any{
			"providerRef": map[string]any{"name": storeName}, "scopes": []any{"objectstorage:object-read-only"}, "buckets": []any{"datasets"},
			"expiresAt": unreadableEnd,
		},
	}}
}

const unreadableEnd = "2027-01-31T00:00:00z"

// An earlier version of the schema admitted the object. It is reported by name, can be deleted, and does
// not affect others. The test is not parallel, because all tests share the schema.
func TestUnreadableEndIsReportedAndIssuesNothing(t *testing.T) {
	w := newWorld(t)
	edited := activeOf(w.issue("edited")).Name
	w.withLooseSchema(func() {
		w.OK(w.Create(w.Context(), unreadable(w.ns, "poison")))
		patch := client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"expiresAt":"`+unreadableEnd+`"}}`))
		w.OK(w.Patch(w.Context(), &v1alpha1.ApiToken{ObjectMeta: metaOf(w.ns, "edited")}, patch))
	})
	w.expectStalled("poison", v1alpha1.ReasonUnreadableValue, "spec.expiresAt", unreadableEnd, "for example")
	w.expectStalled("edited", v1alpha1.ReasonUnreadableValue, unreadableEnd)
	w.Until(func() string {
		if w.log.Count(v1alpha1.ReasonUnreadableValue, `"namespace"="`+w.ns+`"`, `"name"="poison"`) == 0 {
			return "the log does not name it"
		}
		return ""
	})
	w.issue("other") // others are not affected

	// A new process reads them as well.
	w.operator.stop(w)
	w.start()
	w.issue("later")
	token := w.waitIdle("edited")
	if active := activeOf(token); active.Name != edited || w.usableCredential("edited") != edited || !active.ExpiresAt.Time.Equal(epoch.Add(plan.DefaultLifetime)) {
		t.Errorf("the live credential is %+v", active)
	}
	w.expectMints(3)
	w.clock.Advance(plan.DefaultLifetime - time.Hour) // past every rotation
	token = w.waitIdle("edited")
	if active := activeOf(token); active.Name != edited || *token.Spec.ExpiresAt != unreadableEnd {
		t.Errorf("what was live is %+v; the end is written back as %s", active, *token.Spec.ExpiresAt)
	}
	if c := meta.FindStatusCondition(token.Status.Conditions, v1alpha1.ConditionStalled); c == nil || c.Reason != v1alpha1.ReasonUnreadableValue {
		t.Errorf("Stalled: %+v", c)
	}
	if n := len(w.backend.LiveOf(w.owner("poison"))); n != 0 {
		t.Errorf("%d credentials were issued for it", n)
	}

	for _, name := range []string{"poison", "edited"} {
		w.delete(name)
		w.expectGone(name)
		if live := w.backend.LiveOf(w.owner(name)); len(live) != 0 {
			t.Errorf("%s is gone and %v is live", name, live)
		}
	}
}

func TestCorrectedEndResumesIssuing(t *testing.T) {
	w := newWorld(t)
	w.withLooseSchema(func() { w.OK(w.Create(w.Context(), unreadable(w.ns, "training"))) })
	w.expectStalled("training", v1alpha1.ReasonUnreadableValue)
	w.edit("training", func(t *v1alpha1.ApiToken) { t.Spec.ExpiresAt = v1alpha1.NewTimestamp(epoch.Add(30 * day)) })
	w.waitReady("training")
	w.usableCredential("training")
}
