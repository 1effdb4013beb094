package apitoken_test

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/trim"
)

// triggerReconciles triggers a reconcile of all ApiTokens of the world, with a label of their namespace.
// Unlike touch, it causes no write conflicts. After a conflict, an attempt has an unknown outcome,
// and another credential is minted.
func (w *world) triggerReconciles() {
	w.Helper()
	patch := fmt.Sprintf(`{"metadata":{"labels":{"example.com/trigger":"%d"}}}`, w.touches.Add(1))
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.ns}}
	w.OK(w.Patch(w.Context(), namespace, client.RawPatch(types.MergePatchType, []byte(patch))))
}

// waitForCaches waits until the cache of every running operator has the current ApiToken and its
// Secret. Without it, the change of the namespace's label could arrive in the cache first.
func (w *world) waitForCaches(name string) {
	w.Helper()
	for _, p := range w.operators {
		w.Until(func() string {
			select {
			case <-p.done:
				return ""
			default:
			}
			t := w.token(name)
			have := &v1alpha1.ApiToken{}
			if t == nil {
				return cacheDiffers(w, p, have, name, "")
			}
			if why := cacheDiffers(w, p, have, name, t.ResourceVersion); why != "" {
				return why
			}
			return cacheDiffers(w, p, trim.Metadata("Secret"), t.SecretName(), w.managedVersion(t.SecretName()))
		})
	}
}

// managedVersion returns the version of a Secret in an operator's cache, or "".
func (w *world) managedVersion(name string) string {
	s := w.secret(name)
	if s == nil {
		return ""
	}
	if _, managed := s.Labels[v1alpha1.LabelManaged]; !managed {
		return ""
	}
	return s.ResourceVersion
}

// cacheDiffers returns why an operator's cache does not have an object at this version, or "". With
// version "", the object must be missing.
func cacheDiffers(w *world, p *process, o client.Object, name, version string) string {
	err := p.cache.Get(w.Context(), client.ObjectKey{Namespace: w.ns, Name: name}, o)
	if client.IgnoreNotFound(err) != nil {
		return err.Error()
	}
	if o.GetResourceVersion() != version {
		return fmt.Sprintf("the operator's cache shows version %q of %s, and not %q", o.GetResourceVersion(), name, version)
	}
	return ""
}
