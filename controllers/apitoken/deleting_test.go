package apitoken_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"apitoken.dev/operator/api/v1alpha1"
)

const theirFinalizer = "example.com/hold"

// hold puts another controller's finalizer on a Secret and deletes the Secret.
func (w *world) hold(secret string) {
	w.Helper()
	w.editSecret(secret, func(s *corev1.Secret) { s.Finalizers = append(s.Finalizers, theirFinalizer) })
	w.deleteSecret(secret)
}

// letGo takes the finalizers off the Secret that is being deleted.
func (w *world) letGo() {
	w.Helper()
	w.editSecret("training", func(s *corev1.Secret) { s.Finalizers = nil })
}

// TestSecretBeingDeletedIsReplaced: a Secret that only finalizers keep is lost. Nothing is
// published in it, and a new credential is issued when it is gone.
func TestSecretBeingDeletedIsReplaced(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := activeOf(w.issued("training")).Name
	w.hold("training")
	for _, kind := range []string{v1alpha1.ConditionReady, v1alpha1.ConditionReconciling, v1alpha1.ConditionPublished} {
		w.shows("training", kind, v1alpha1.ReasonSecretDeleting, "is being deleted")
	}
	w.shows("training", v1alpha1.ConditionReady, v1alpha1.ReasonSecretDeleting, theirFinalizer)
	w.settle("training")
	w.edit("training", func(t *v1alpha1.ApiToken) { t.Spec.Rotation.Generation = 1 })
	w.shows("training", v1alpha1.ConditionReady, v1alpha1.ReasonSecretDeleting)
	w.settle("training")
	w.mints(1)
	w.onlyLive(first)

	w.letGo()
	w.replaced("training", first)
	w.uses("training")
}

// TestNewTokenDoesNotUseASecretThatIsBeingDeleted: an ApiToken of the same name as an
// earlier one waits until the Secret of that one is gone.
func TestNewTokenDoesNotUseASecretThatIsBeingDeleted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.issued("training")
	w.hold("training")
	w.delete("training")
	w.gone("training")
	w.declare("training")
	w.shows("training", v1alpha1.ConditionReady, v1alpha1.ReasonSecretDeleting, theirFinalizer)
	w.settle("training")
	w.mints(1)
	w.letGo()
	w.ready("training")
	w.uses("training")
}

// TestHardEndDoesNotWaitForTheSecret: at spec.expiresAt the Secret is deleted once,
// and the credential is revoked although a finalizer keeps the Secret.
func TestHardEndDoesNotWaitForTheSecret(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.issued("training")
	w.editSecret("training", func(s *corev1.Secret) { s.Finalizers = append(s.Finalizers, theirFinalizer) })
	w.edit("training", func(t *v1alpha1.ApiToken) { t.Spec.ExpiresAt = v1alpha1.NewTimestamp(w.clock.Now().Add(time.Hour)) })
	w.ready("training")
	w.advance(time.Hour)
	w.shows("training", v1alpha1.ConditionReady, v1alpha1.ReasonExpired)
	w.onlyLive()
	token := w.settle("training")
	if s := w.secret("training"); s == nil || s.DeletionTimestamp == nil {
		t.Error("the Secret is not being deleted")
	}
	if len(token.Status.Credentials) > 0 {
		t.Errorf("the ledger still has %+v", token.Status.Credentials)
	}
	w.letGo()
}
