package apitoken_test

import (
	corev1 "k8s.io/api/core/v1"

	"apitoken.dev/operator/test/support/kit"
)

// editSecret changes a Secret as a user does, over any conflict.
func (w *world) editSecret(name string, edit func(*corev1.Secret)) {
	w.Helper()
	kit.Change(w.Kit, &corev1.Secret{ObjectMeta: metaOf(w.ns, name)}, edit)
}

// deleteSecret deletes a Secret as a user does.
func (w *world) deleteSecret(name string) {
	w.Helper()
	w.OK(w.Delete(w.Context(), w.secret(name)))
}
