package apitoken_test

import corev1 "k8s.io/api/core/v1"

// editSecret changes a Secret as a user does, over any conflict.
func (w *world) editSecret(name string, edit func(*corev1.Secret)) {
	w.Helper()
	change(w, name, &corev1.Secret{}, edit)
}

// deleteSecret deletes a Secret as a user does.
func (w *world) deleteSecret(name string) {
	w.Helper()
	w.ok(w.Delete(w.ctx, w.secret(name)))
}
