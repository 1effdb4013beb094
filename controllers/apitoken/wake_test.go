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

// wake has the operator look at the ApiTokens of the world by a label of their namespace.
// Unlike a poke it makes no write of the operator conflict: a conflict takes a call of the
// provider for one whose outcome is not known, which costs another credential.
func (w *world) wake() {
	w.Helper()
	patch := fmt.Sprintf(`{"metadata":{"labels":{"example.com/wake":"%d"}}}`, w.pokes.Add(1))
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.ns}}
	w.OK(w.Patch(w.Context(), namespace, client.RawPatch(types.MergePatchType, []byte(patch))))
}

// shown returns once the cache of every operator that runs shows an ApiToken and its Secret
// as they are. A label of the namespace could otherwise come before what is to be looked at.
func (w *world) shown(name string) {
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
				return differs(w, p, have, name, "")
			}
			if why := differs(w, p, have, name, t.ResourceVersion); why != "" {
				return why
			}
			return differs(w, p, trim.Metadata("Secret"), t.SecretName(), w.managedVersion(t.SecretName()))
		})
	}
}

// managedVersion is the version of a Secret that an operator's cache shows; empty: none.
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

// differs says what an operator's cache does not show at this version; no version: as absent.
func differs(w *world, p *process, o client.Object, name, version string) string {
	err := p.cache.Get(w.Context(), client.ObjectKey{Namespace: w.ns, Name: name}, o)
	if client.IgnoreNotFound(err) != nil {
		return err.Error()
	}
	if o.GetResourceVersion() != version {
		return fmt.Sprintf("the operator's cache shows version %q of %s, and not %q", o.GetResourceVersion(), name, version)
	}
	return ""
}
