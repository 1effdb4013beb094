package explore

import (
	"context"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/test/support/fake"
)

func strangerLeaves(w *world) {
	w.note("the other credential of the account is deleted by a user")
	for _, name := range w.backend.LiveNames() {
		if strings.HasPrefix(name, "stranger-") {
			w.backend.Delete(name)
		}
	}
}

func timeToRotate(w *world) {
	t := w.token()
	if t == nil || t.Status.RotatesAt == nil {
		return
	}
	w.keepOld()
	w.note("time passes until the rotation is due")
	w.advance(max(0, t.Status.RotatesAt.Sub(w.skewed())))
	w.current.woken = true
	if w.both {
		w.wakeAll()
	}
}

// timeToEnd advances the clock by a month, so that every credential has expired.
func timeToEnd(w *world) {
	w.keepOld()
	w.note("time passes until the end")
	w.advance(max(0, month+long+time.Minute-w.now))
	w.current.woken = true
}

// timeToHardEnd advances the clock to spec.expiresAt.
func timeToHardEnd(w *world) {
	w.note("time passes until the hard end")
	w.advance(max(0, epoch.Add(hardEnd).Sub(w.skewed())))
	w.wakeAll()
}

func seal(w *world) { w.put(sealed) }

func aheadOfTime(w *world) { w.jump(year) }

func deleteToken(w *world) {
	w.note("a user deletes the ApiToken")
	w.server.Delete(apifakeToken)
}

// retainToken deletes the ApiToken with the deletion policy Retain.
func retainToken(w *world) {
	w.editToken("deletionPolicy to Retain", func(t *v1alpha1.ApiToken) { t.Spec.DeletionPolicy = v1alpha1.DeletionRetain })
	deleteToken(w)
}

// createAgain creates an ApiToken of the same name, as a backup tool or a user would.
func createAgain(w *world) {
	if w.token() != nil || namespaceTerminates(w) {
		return
	}
	w.note("a user creates the ApiToken again")
	w.quiet(func() { must(w.server.Client(nil).Create(context.Background(), w.declared.DeepCopy())) })
}

// forgeSecret writes annotations to the Secret that do harm if the operator believes
// them.
func forgeSecret(w *world) {
	s := w.secret()
	if s == nil || !s.DeletionTimestamp.IsZero() {
		return
	}
	w.note("a user forges the annotations of the Secret")
	s = s.DeepCopy()
	s.Annotations[v1alpha1.AnnotationCredentialID] = victimID
	s.Annotations[v1alpha1.AnnotationIssuedAt] = "2000-01-01T00:00:00Z"
	s.Annotations[v1alpha1.AnnotationExpiresAt] = "2100-01-01T00:00:00Z"
	s.Annotations[v1alpha1.AnnotationRotation] = "9000000000000000000"
	w.write(s)
}

// victimID is the ID of the first credential of an account.
const victimID = "FAKE0001"

func deleteSecret(w *world) {
	w.note("a user deletes the Secret")
	w.keepOld()
	w.server.Delete(apifakeSecret)
}

func terminateNamespace(w *world) {
	w.note("the namespace terminates")
	for _, key := range w.server.TerminateNamespace(tokenKey.Namespace) {
		w.server.Delete(key)
	}
}

func editSecret(w *world) {
	w.note("a user edits the Secret")
	w.keepOld()
	w.editSecret(func(s *corev1.Secret) { s.Data[fake.KeySecret] = []byte(wrong) })
}

func (w *world) editSecret(edit func(*corev1.Secret)) {
	if s := w.secret(); s != nil {
		s = s.DeepCopy()
		edit(s)
		w.write(s)
	}
}

func changeScopes(w *world) {
	w.editToken("scopes", func(t *v1alpha1.ApiToken) {
		t.Spec.Scopes = []v1alpha1.Scope{"objectstorage:object-read-write"}
	})
}

func changeBuckets(w *world) {
	w.editToken("buckets", func(t *v1alpha1.ApiToken) { t.Spec.Buckets = []v1alpha1.Bucket{"c"} })
}

func suspend(w *world) {
	w.editToken("suspend", func(t *v1alpha1.ApiToken) { t.Spec.Suspend = true })
}

func resume(w *world) {
	w.editToken("suspend back", func(t *v1alpha1.ApiToken) { t.Spec.Suspend = false })
}

// previous returns the name of a credential whose overlap is running, or "".
func previous(w *world) string {
	all := w.token().Status.Credentials
	for i := range all {
		if all[i].State == v1alpha1.StateRetiring {
			return all[i].Name
		}
	}
	return ""
}

// endPrevious ends the overlap of a previous credential. The annotation stays.
func endPrevious(w *world) {
	name := previous(w)
	w.editToken("the annotation "+v1alpha1.AnnotationEnd, func(t *v1alpha1.ApiToken) {
		t.Annotations = map[string]string{v1alpha1.AnnotationEnd: name}
	})
}

func changeScopesBack(w *world) {
	w.editToken("scopes back", func(t *v1alpha1.ApiToken) {
		t.Spec.Scopes = []v1alpha1.Scope{"objectstorage:object-read-only"}
	})
}

func raiseGeneration(w *world) {
	w.editToken("rotation.generation", func(t *v1alpha1.ApiToken) { t.Spec.Rotation.Generation++ })
}

func (w *world) editToken(what string, edit func(*v1alpha1.ApiToken)) {
	if t := w.token(); t != nil {
		w.note("a user changes %s", what)
		w.keepOld()
		t = t.DeepCopy()
		edit(t)
		w.write(t)
	}
}

// restoreSecret restores the Secret as it was before the last rotation.
func restoreSecret(w *world) {
	w.note("a user restores the old Secret")
	w.restored = true
	s := w.old.DeepCopy()
	s.ResourceVersion, s.UID = "", ""
	if !w.obstacles[held] {
		controllerutil.RemoveFinalizer(s, holdFinalizer)
	}
	if now := w.secret(); now != nil {
		s.ResourceVersion, s.UID = now.ResourceVersion, now.UID
		w.write(s)
		return
	}
	w.quiet(func() { must(client.IgnoreAlreadyExists(w.server.Client(nil).Create(context.Background(), s))) })
}

func (w *world) keepOld() {
	if s := w.secret(); s != nil {
		w.old = s.DeepCopy()
	}
}

func (w *world) write(obj client.Object) {
	w.quiet(func() { must(w.server.Client(nil).Update(context.Background(), obj)) })
}
