package apitoken_test

import (
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/trim"
)

// editSecret changes a Secret as a user does, over any conflict.
func (w *world) editSecret(name string, edit func(*corev1.Secret)) {
	w.Helper()
	w.inCache(name)
	change(w, name, &corev1.Secret{}, edit)
}

// deleteSecret deletes a Secret as a user does.
func (w *world) deleteSecret(name string) {
	w.Helper()
	w.inCache(name)
	w.ok(w.Delete(w.ctx, w.secret(name)))
}

// inCache returns once the operator's cache shows a Secret as it is. A Secret that leaves
// the cache before the cache has shown the operator's last write looks like one that the
// cache does not show yet. The operator reads it after secretstore.CacheLag, which does not
// pass while the clock of a test stands still.
func (w *world) inCache(name string) {
	w.Helper()
	if w.operator == nil {
		return
	}
	w.until(func() string {
		s := w.secret(name)
		if s == nil {
			return ""
		}
		if _, managed := s.Labels[v1alpha1.LabelManaged]; !managed {
			return ""
		}
		select {
		case <-w.operator.done:
			return ""
		default:
		}
		cached := trim.Metadata("Secret")
		err := w.operator.cache.Get(w.ctx, client.ObjectKeyFromObject(s), cached)
		if err != nil || cached.ResourceVersion != s.ResourceVersion {
			return "the operator's cache does not show Secret " + name
		}
		return ""
	})
}
