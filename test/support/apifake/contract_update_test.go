package apifake_test

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
)

var updateScenarios = []scenario{
	{"an update without a resourceVersion is for Secrets only", func(w *world) {
		secret := w.secret("a")
		other := secret.DeepCopy()
		other.Data["key"] = []byte("other")
		w.ok(w.Update(w.ctx, other))
		secret.ResourceVersion = ""
		secret.Data["key"] = []byte("third")
		w.ok(w.Update(w.ctx, secret))
		w.equal("data", reread(w, secret).Data, map[string][]byte{"key": []byte("third")})

		token := w.token("a")
		token.ResourceVersion = ""
		w.fails(w.Update(w.ctx, token), metav1.StatusReasonInvalid)
		w.fails(w.Status().Update(w.ctx, token), metav1.StatusReasonInvalid)
	}},
	{"an update from an old version is a conflict", func(w *world) {
		token := w.token("a")
		stale := token.DeepCopy()
		token.Spec.Description = "new"
		w.ok(w.Update(w.ctx, token))
		stale.Spec.Description = "lost"
		w.fails(w.Update(w.ctx, stale), metav1.StatusReasonConflict)
		w.fails(w.Status().Update(w.ctx, stale), metav1.StatusReasonConflict)
		w.equal("the object after a conflict", stale.Spec.Description, "lost")
		secret := w.secret("a")
		staleSecret := secret.DeepCopy()
		secret.Labels = map[string]string{"new": "label"}
		w.ok(w.Update(w.ctx, secret))
		w.fails(w.Update(w.ctx, staleSecret), metav1.StatusReasonConflict)
		unchanged(w, token)
	}},
	{"a version from the future is a conflict", func(w *world) {
		token := w.token("a")
		token.ResourceVersion += "0"
		w.fails(w.Update(w.ctx, token), metav1.StatusReasonConflict)
	}},
	{"an update of another UID is a conflict", func(w *world) {
		token, secret := w.token("a"), w.secret("a")
		token.UID, secret.UID = "other", "other"
		w.fails(w.Update(w.ctx, token), metav1.StatusReasonConflict)
		w.fails(w.Status().Update(w.ctx, token), metav1.StatusReasonConflict)
		secret.ResourceVersion = ""
		w.fails(w.Update(w.ctx, secret), metav1.StatusReasonConflict)
	}},
	{"an update without a UID is let through", func(w *world) {
		token := w.token("a")
		uid := token.UID
		token.UID = ""
		token.CreationTimestamp = metav1.Time{}
		w.ok(w.Update(w.ctx, token))
		w.equal("UID", token.UID, uid)
		w.equal("created", token.CreationTimestamp.IsZero(), false)
		unchanged(w, token)
	}},
	{"an update of what is gone is not found", func(w *world) {
		token, secret := w.token("a"), w.secret("a")
		w.ok(w.Delete(w.ctx, token))
		w.ok(w.Delete(w.ctx, secret))
		w.fails(w.Update(w.ctx, token), metav1.StatusReasonNotFound)
		w.fails(w.Status().Update(w.ctx, token), metav1.StatusReasonNotFound)
		w.fails(w.Update(w.ctx, secret), metav1.StatusReasonNotFound)
		secret.ResourceVersion, secret.UID = "", ""
		w.fails(w.Update(w.ctx, secret), metav1.StatusReasonNotFound)
	}},
	{"an update of a re-created object is a conflict", func(w *world) {
		token := w.token("a")
		w.ok(w.Delete(w.ctx, token))
		w.token("a")
		w.fails(w.Update(w.ctx, token), metav1.StatusReasonConflict)
		w.fails(w.Status().Update(w.ctx, token), metav1.StatusReasonConflict)
	}},
	{"an update that brings nothing new keeps the version", func(w *world) {
		token := w.token("a", func(t *v1alpha1.ApiToken) { t.Spec.Restrictions.DeniedIPs = []v1alpha1.IPRange{"192.0.2.1"} })
		secret := w.secret("a")
		before, secretBefore := token.ResourceVersion, secret.ResourceVersion
		w.ok(w.Update(w.ctx, token))
		w.ok(w.Status().Update(w.ctx, token))
		w.ok(w.Update(w.ctx, secret))
		w.equal("version", token.ResourceVersion, before)
		w.equal("version of the Secret", secret.ResourceVersion, secretBefore)
		token.Labels, token.Spec.Restrictions.AllowedIPs = map[string]string{}, []v1alpha1.IPRange{}
		w.ok(w.Update(w.ctx, token))
		w.equal("version", token.ResourceVersion, before)
	}},
	{"only a change of the spec raises the generation", func(w *world) {
		token := w.token("a")
		token.Annotations = map[string]string{"a": "b"}
		w.ok(w.Update(w.ctx, token))
		w.equal("generation after metadata", token.Generation, int64(1))
		token.Status.Revision = 1
		w.ok(w.Status().Update(w.ctx, token))
		w.equal("generation after status", token.Generation, int64(1))
		token.Spec.Suspend = true
		token.Generation = 9
		w.ok(w.Update(w.ctx, token))
		w.equal("generation after spec", token.Generation, int64(2))
	}},
	{"an update leaves the status alone", func(w *world) {
		token := w.token("a")
		token.Status.Revision = 3
		w.ok(w.Status().Update(w.ctx, token))
		token.Status.Revision = 8
		token.Spec.Description = "new"
		w.ok(w.Update(w.ctx, token))
		w.equal("revision in the answer", token.Status.Revision, int64(3))
		w.equal("revision", reread(w, token).Status.Revision, int64(3))
		token.Status.Revision = 8
		before := token.ResourceVersion
		w.ok(w.Update(w.ctx, token))
		w.equal("version", token.ResourceVersion, before)
	}},
	{"deletion is neither begun nor ended by an update", func(w *world) {
		token := w.token("a", finalizer)
		token.DeletionTimestamp = new(metav1.Now())
		w.fails(w.Update(w.ctx, token), metav1.StatusReasonInvalid)
		token = reread(w, token)
		w.ok(w.Delete(w.ctx, token))
		token = reread(w, token)
		deleted := token.DeletionTimestamp.DeepCopy()
		token.DeletionTimestamp, token.DeletionGracePeriodSeconds = nil, nil
		token.Labels = map[string]string{"a": "b"}
		w.ok(w.Update(w.ctx, token))
		w.equal("deletionTimestamp", token.DeletionTimestamp, deleted)
		w.equal("grace period", token.DeletionGracePeriodSeconds, new(int64(0)))
	}},
	{"a dry-run update checks and stores nothing", func(w *world) {
		token := w.token("a")
		changed := token.DeepCopy()
		changed.Spec.Suspend = true
		w.ok(w.Update(w.ctx, changed, client.DryRunAll))
		w.equal("answer", changed.Spec.Suspend && changed.Generation == 2, true)
		w.equal("version in the answer", changed.ResourceVersion, token.ResourceVersion)
		unchanged(w, token)
		secret := w.secret("a")
		version := secret.ResourceVersion
		secret.Data["key"] = []byte("other")
		w.ok(w.Update(w.ctx, secret, client.DryRunAll))
		w.equal("version of the Secret", reread(w, secret).ResourceVersion, version)
		changed.ResourceVersion += "0"
		w.fails(w.Update(w.ctx, changed, client.DryRunAll), metav1.StatusReasonConflict)
		w.fails(w.Update(w.ctx, w.newSecret("b"), client.DryRunAll), metav1.StatusReasonNotFound)
	}},
	{"the type of a Secret and an immutable Secret do not change", func(w *world) {
		secret := w.secret("a", func(s *corev1.Secret) { s.Immutable = new(true) })
		secret.Labels = map[string]string{"a": "b"}
		w.ok(w.Update(w.ctx, secret))
		secret.Data["key"] = []byte("other")
		w.fails(w.Update(w.ctx, secret), metav1.StatusReasonInvalid)
		typed := w.secret("b")
		typed.Type = "example.com/other"
		w.fails(w.Update(w.ctx, typed), metav1.StatusReasonInvalid)
		typed.Type = ""
		w.ok(w.Update(w.ctx, typed))
	}},
}
