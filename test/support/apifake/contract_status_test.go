package apifake_test

import (
	"errors"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
)

var statusScenarios = []scenario{
	{"a status update changes nothing but the status", func(w *world) {
		token := w.token("a", finalizer)
		sent := token.DeepCopy()
		sent.Spec.Suspend = true
		sent.Labels = map[string]string{"a": "b"}
		sent.Annotations = map[string]string{"a": "b"}
		sent.Finalizers = nil
		sent.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Secret", Name: "a", UID: "b"}}
		sent.Status.Revision = 2
		w.ok(w.Status().Update(w.ctx, sent))
		got := reread(w, token)
		w.equal("revision", got.Status.Revision, int64(2))
		w.equal("spec", got.Spec, token.Spec)
		w.equal("metadata", []any{got.Labels, got.Annotations, got.Finalizers, got.OwnerReferences, got.Generation},
			[]any{token.Labels, token.Annotations, token.Finalizers, token.OwnerReferences, token.Generation})
		w.equal("same version", got.ResourceVersion == token.ResourceVersion, false)
		w.equal("version in the answer", sent.ResourceVersion, got.ResourceVersion)
	}},
	{"a status update with other metadata and the same status keeps the version", func(w *world) {
		token := w.token("a")
		sent := token.DeepCopy()
		sent.Labels = map[string]string{"a": "b"}
		w.ok(w.Status().Update(w.ctx, sent))
		w.equal("version", sent.ResourceVersion, token.ResourceVersion)
	}},
	{"a status can be emptied", func(w *world) {
		token := w.token("a")
		token.Status.Revision = 2
		w.ok(w.Status().Update(w.ctx, token))
		token.Status = v1alpha1.ApiTokenStatus{}
		w.ok(w.Status().Update(w.ctx, token))
		w.equal("status", reread(w, token).Status, v1alpha1.ApiTokenStatus{})
	}},
	{"a status can be written while the object is being deleted", func(w *world) {
		token := w.token("a", finalizer)
		w.ok(w.Delete(w.ctx, token))
		token = reread(w, token)
		token.Status.Revision = 2
		token.Finalizers = nil
		w.ok(w.Status().Update(w.ctx, token))
		w.equal("finalizers", reread(w, token).Finalizers, []string{v1alpha1.Finalizer})
	}},
	{"the lists of a status have unique, complete and not too many items", func(w *world) {
		token := w.token("a")
		entry := v1alpha1.LedgerEntry{Name: "x", State: v1alpha1.StateMinting}
		condition := metav1.Condition{Type: "Ready", Status: metav1.ConditionTrue, Reason: "Ready", LastTransitionTime: moment}
		for what, status := range map[string]v1alpha1.ApiTokenStatus{
			"same name":  {Credentials: []v1alpha1.LedgerEntry{entry, entry}},
			"no name":    {Credentials: []v1alpha1.LedgerEntry{{State: v1alpha1.StateMinting}}},
			"33 entries": {Credentials: ledgerOf(33)},
			"same type":  {Conditions: []metav1.Condition{condition, condition}},
			"no time":    {Conditions: []metav1.Condition{{Type: "Ready", Status: metav1.ConditionTrue, Reason: "Ready"}}},
			"no reason":  {Conditions: []metav1.Condition{{Type: "Ready", Status: metav1.ConditionTrue, LastTransitionTime: moment}}},
		} {
			sent := token.DeepCopy()
			sent.Status = status
			w.Log(what)
			w.fails(w.Status().Update(w.ctx, sent), metav1.StatusReasonInvalid)
		}
		unchanged(w, token)
		token.Status = v1alpha1.ApiTokenStatus{Credentials: ledgerOf(32), Conditions: []metav1.Condition{condition}}
		w.ok(w.Status().Update(w.ctx, token))
	}},
	{"a dry-run status update checks and stores nothing", func(w *world) {
		token := w.token("a")
		sent := token.DeepCopy()
		sent.Status.Revision = 2
		w.ok(w.Status().Update(w.ctx, sent, client.DryRunAll))
		unchanged(w, token)
		sent.ResourceVersion += "0"
		w.fails(w.Status().Update(w.ctx, sent, client.DryRunAll), metav1.StatusReasonConflict)
	}},
	{"a status patch changes nothing but the status", func(w *world) {
		token := w.token("a", finalizer)
		sent := token.DeepCopy()
		sent.Status.Revision = 2
		sent.Spec.Suspend = true
		sent.Labels = map[string]string{"a": "b"}
		w.ok(w.Status().Patch(w.ctx, sent, client.MergeFromWithOptions(token, client.MergeFromWithOptimisticLock{})))
		got := reread(w, token)
		w.equal("revision", got.Status.Revision, int64(2))
		w.equal("rest", []any{got.Spec.Suspend, len(got.Labels), got.Generation}, []any{false, 0, int64(1)})
		sent.Status.Revision = 3
		w.fails(w.Status().Patch(w.ctx, sent, client.MergeFromWithOptions(token, client.MergeFromWithOptimisticLock{})), metav1.StatusReasonConflict)
		w.ok(w.Status().Patch(w.ctx, sent, client.MergeFrom(token)))
		w.equal("revision", reread(w, token).Status.Revision, int64(3))
	}},
}

var patchScenarios = []scenario{
	{"a merge patch needs no version and keeps what it does not name", func(w *world) {
		token := w.token("a")
		stale := token.DeepCopy()
		token.Annotations = map[string]string{"a": "1"}
		token.Spec.Description = "text"
		w.ok(w.Update(w.ctx, token))
		patched := stale.DeepCopy()
		finalizer(patched)
		w.ok(w.Patch(w.ctx, patched, client.MergeFrom(stale)))
		w.equal("merged", []any{patched.Finalizers, patched.Annotations, patched.Spec.Description, patched.Generation},
			[]any{[]string{v1alpha1.Finalizer}, map[string]string{"a": "1"}, "text", int64(2)})
	}},
	{"a merge patch with an optimistic lock conflicts with any change", func(w *world) {
		token := w.token("a")
		stale := token.DeepCopy()
		token.Annotations = map[string]string{"a": "1"}
		w.ok(w.Update(w.ctx, token))
		patched := stale.DeepCopy()
		finalizer(patched)
		lock := client.MergeFromWithOptions(stale, client.MergeFromWithOptimisticLock{})
		w.fails(w.Patch(w.ctx, patched, lock), metav1.StatusReasonConflict)
		patched = token.DeepCopy()
		finalizer(patched)
		w.ok(w.Patch(w.ctx, patched, client.MergeFromWithOptions(token, client.MergeFromWithOptimisticLock{})))
		w.equal("generation", patched.Generation, int64(1))
	}},
	{"a patch that brings nothing new keeps the version", func(w *world) {
		token := w.token("a", finalizer)
		before := token.ResourceVersion
		w.ok(w.Patch(w.ctx, token, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":["apitoken.dev/revoke"]},"status":{"revision":4}}`))))
		w.equal("version", token.ResourceVersion, before)
	}},
	{"a patch of the spec raises the generation, null removes", func(w *world) {
		token := w.token("a", func(t *v1alpha1.ApiToken) { t.Spec.Description = "text" })
		w.ok(w.Patch(w.ctx, token, client.RawPatch(types.MergePatchType, []byte(`{"spec":{"description":null,"suspend":true}}`))))
		got := reread(w, token)
		w.equal("patched", []any{got.Spec.Description, got.Spec.Suspend, got.Generation}, []any{"", true, int64(2)})
	}},
	{"a patch cannot change a UID or a name, nor go without a version", func(w *world) {
		token := w.token("a")
		for patch, reason := range map[string]metav1.StatusReason{
			`{"metadata":{"uid":"other"}}`:             metav1.StatusReasonInvalid,
			`{"metadata":{"name":"other"}}`:            metav1.StatusReasonBadRequest,
			`{"metadata":{"resourceVersion":null}}`:    metav1.StatusReasonInvalid,
			`{"metadata":{"resourceVersion":"1"}}`:     metav1.StatusReasonConflict,
			`{"metadata":{"resourceVersion":"12345"}}`: metav1.StatusReasonConflict,
		} {
			w.fails(w.Patch(w.ctx, token.DeepCopy(), client.RawPatch(types.MergePatchType, []byte(patch))), reason)
		}
		unchanged(w, token)
	}},
	{"a patch of what is gone is not found", func(w *world) {
		token := w.newToken("a")
		w.fails(w.Patch(w.ctx, token, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"labels":{"a":"b"}}}`))), metav1.StatusReasonNotFound)
	}},
	{"a dry-run patch stores nothing", func(w *world) {
		token := w.token("a")
		w.ok(w.Patch(w.ctx, token.DeepCopy(), client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"labels":{"a":"b"}}}`)), client.DryRunAll))
		unchanged(w, token)
	}},
	{"metadata alone can be read, patched and deleted", func(w *world) {
		secret := w.secret("a")
		meta := partial("v1", "Secret")
		w.ok(w.Get(w.ctx, client.ObjectKeyFromObject(secret), meta))
		w.equal("metadata", []any{meta.Name, meta.UID, meta.ResourceVersion, meta.Kind, meta.APIVersion},
			[]any{"a", secret.UID, secret.ResourceVersion, "Secret", "v1"})
		patched := meta.DeepCopy()
		patched.Labels = map[string]string{"a": "b"}
		w.ok(w.Patch(w.ctx, patched, client.MergeFromWithOptions(meta, client.MergeFromWithOptimisticLock{})))
		got := reread(w, secret)
		w.equal("patched", []any{got.Labels, got.Data, got.ResourceVersion}, []any{patched.Labels, secret.Data, patched.ResourceVersion})
		w.equal("kind", patched.Kind, "Secret")
		w.fails(w.Patch(w.ctx, meta, client.MergeFromWithOptions(meta, client.MergeFromWithOptimisticLock{})), metav1.StatusReasonConflict)
		w.equal("create", errors.Is(w.Create(w.ctx, meta), nil), false)
		w.equal("update", errors.Is(w.Update(w.ctx, meta), nil), false)
		w.ok(w.Delete(w.ctx, patched))
		w.gone(secret)
	}},
	{"metadata alone can be patched in a status of its own kind only", func(w *world) {
		token := w.token("a")
		meta := partial("apitoken.dev/v1alpha1", "ApiToken")
		w.ok(w.Get(w.ctx, client.ObjectKeyFromObject(token), meta))
		w.ok(w.Status().Patch(w.ctx, meta, client.RawPatch(types.MergePatchType, []byte(`{"status":{"revision":6}}`))))
		w.equal("revision", reread(w, token).Status.Revision, int64(6))
		w.equal("update", errors.Is(w.Status().Update(w.ctx, meta), nil), false)
	}},
}

func ledgerOf(n int) []v1alpha1.LedgerEntry {
	entries := make([]v1alpha1.LedgerEntry, n)
	for i := range entries {
		entries[i] = v1alpha1.LedgerEntry{Name: fmt.Sprintf("entry-%d", i), State: v1alpha1.StateRetiring}
	}
	return entries
}

func partial(apiVersion, kind string) *metav1.PartialObjectMetadata {
	return &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{APIVersion: apiVersion, Kind: kind}}
}
