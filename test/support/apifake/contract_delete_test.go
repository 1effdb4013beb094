package apifake_test

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
)

var deleteScenarios = []scenario{
	{"delete without finalizers removes", func(w *world) {
		token, secret := w.token("a"), w.secret("a")
		w.ok(w.Delete(w.ctx, token))
		w.ok(w.Delete(w.ctx, secret))
		w.gone(token)
		w.gone(secret)
		w.fails(w.Delete(w.ctx, token), metav1.StatusReasonNotFound)
	}},
	{"delete with a finalizer marks, once", func(w *world) {
		token := w.token("a", finalizer)
		w.ok(w.Delete(w.ctx, token))
		marked := reread(w, token)
		w.equal("marked", []any{marked.DeletionTimestamp != nil, marked.DeletionGracePeriodSeconds, marked.Generation},
			[]any{true, new(int64(0)), int64(2)})
		w.equal("same version", marked.ResourceVersion == token.ResourceVersion, false)
		w.ok(w.Delete(w.ctx, token))
		unchanged(w, marked)
		w.fails(w.Create(w.ctx, w.newToken("a")), metav1.StatusReasonAlreadyExists)
		secret := w.secret("a", func(s *corev1.Secret) { s.Finalizers = []string{v1alpha1.Finalizer} })
		w.ok(w.Delete(w.ctx, secret))
		markedSecret := reread(w, secret)
		w.equal("Secret", []any{markedSecret.DeletionTimestamp != nil, markedSecret.DeletionGracePeriodSeconds, markedSecret.Generation},
			[]any{true, new(int64(0)), int64(0)})
	}},
	{"an update that takes the last finalizer removes", func(w *world) {
		token := w.token("a", finalizer)
		w.ok(w.Delete(w.ctx, token))
		token = reread(w, token)
		token.Finalizers = nil
		w.ok(w.Update(w.ctx, token))
		w.gone(token)
		w.fails(w.Update(w.ctx, token), metav1.StatusReasonNotFound)
	}},
	{"a patch that takes the last finalizer removes", func(w *world) {
		secret := w.secret("a", func(s *corev1.Secret) { s.Finalizers = []string{v1alpha1.Finalizer, "example.com/other"} })
		w.ok(w.Delete(w.ctx, secret))
		w.ok(w.Patch(w.ctx, secret, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":["example.com/other"]}}`))))
		unchanged(w, secret)
		w.ok(w.Patch(w.ctx, secret, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`))))
		w.gone(secret)
	}},
	{"the last finalizer is not taken from an old version", func(w *world) {
		token := w.token("a", finalizer)
		w.ok(w.Delete(w.ctx, token))
		token.Finalizers = nil
		w.fails(w.Update(w.ctx, token), metav1.StatusReasonConflict)
		token = reread(w, token)
		token.Finalizers = nil
		w.ok(w.Update(w.ctx, token, client.DryRunAll))
		w.equal("finalizers", reread(w, token).Finalizers, []string{v1alpha1.Finalizer})
	}},
	{"what is being deleted takes no new finalizer", func(w *world) {
		token := w.token("a", finalizer)
		w.ok(w.Delete(w.ctx, token))
		token = reread(w, token)
		token.Finalizers = append(token.Finalizers, "example.com/other")
		w.fails(w.Update(w.ctx, token), metav1.StatusReasonInvalid)
		secret := w.secret("a", func(s *corev1.Secret) { s.Finalizers = []string{v1alpha1.Finalizer} })
		w.ok(w.Delete(w.ctx, secret))
		secret = reread(w, secret)
		secret.Finalizers = append(secret.Finalizers, "example.com/other")
		w.fails(w.Update(w.ctx, secret), metav1.StatusReasonInvalid)
		patch := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":["example.com/other"]}}`))
		w.fails(w.Patch(w.ctx, token, patch), metav1.StatusReasonInvalid)
	}},
	{"the spec can change while the object is being deleted", func(w *world) {
		token := w.token("a", finalizer)
		w.ok(w.Delete(w.ctx, token))
		token = reread(w, token)
		token.Spec.DeletionPolicy = v1alpha1.DeletionRetain
		w.ok(w.Update(w.ctx, token))
		w.equal("generation", token.Generation, int64(3))
	}},
	{"delete keeps to its preconditions", func(w *world) {
		for _, obj := range []client.Object{w.token("a"), w.secret("a"), w.token("b", finalizer)} {
			wrongVersion, wrongUID := obj.GetResourceVersion()+"0", types.UID("other")
			w.fails(w.Delete(w.ctx, obj, client.Preconditions{ResourceVersion: &wrongVersion}), metav1.StatusReasonConflict)
			w.fails(w.Delete(w.ctx, obj, client.Preconditions{UID: &wrongUID}), metav1.StatusReasonConflict)
			w.fails(w.Delete(w.ctx, obj, client.Preconditions{UID: &wrongUID}, client.DryRunAll), metav1.StatusReasonConflict)
			uid, version := obj.GetUID(), obj.GetResourceVersion()
			w.ok(w.Delete(w.ctx, obj, client.Preconditions{UID: &uid, ResourceVersion: &version}))
			if len(obj.GetFinalizers()) == 0 {
				w.gone(obj)
				w.fails(w.Delete(w.ctx, obj, client.Preconditions{UID: &uid}), metav1.StatusReasonNotFound)
			} else {
				w.fails(w.Delete(w.ctx, obj, client.Preconditions{ResourceVersion: &version}), metav1.StatusReasonConflict)
				w.ok(w.Delete(w.ctx, obj, client.Preconditions{UID: &uid}))
			}
		}
	}},
	{"a dry-run delete deletes nothing", func(w *world) {
		token, kept := w.token("a"), w.token("b", finalizer)
		w.ok(w.Delete(w.ctx, token, client.DryRunAll))
		w.ok(w.Delete(w.ctx, kept, client.DryRunAll))
		unchanged(w, token)
		unchanged(w, kept)
		w.fails(w.Delete(w.ctx, w.newToken("c"), client.DryRunAll), metav1.StatusReasonNotFound)
	}},
	{"delete leaves the sender's object alone", func(w *world) {
		token := w.token("a", finalizer)
		w.ok(w.Delete(w.ctx, token))
		w.equal("deletionTimestamp", token.DeletionTimestamp == nil, true)
	}},
}
