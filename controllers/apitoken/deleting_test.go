package apitoken_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"apitoken.dev/operator/api/v1alpha1"
)

const theirFinalizer = "example.com/hold"

// deleteHeldSecret puts another controller's finalizer on a Secret and deletes the Secret.
func (w *world) deleteHeldSecret(secret string) {
	w.Helper()
	w.editSecret(secret, func(s *corev1.Secret) { s.Finalizers = append(s.Finalizers, theirFinalizer) })
	w.deleteSecret(secret)
}

// releaseSecret removes the finalizers of the Secret training.
func (w *world) releaseSecret() {
	w.Helper()
	w.editSecret("training", func(s *corev1.Secret) { s.Finalizers = nil })
}

// A Secret that is being deleted counts as lost. Nothing is published in it, and a new credential is
// issued when the Secret is removed.
func TestSecretBeingDeletedIsReplaced(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := activeOf(w.issue("training")).Name
	w.deleteHeldSecret("training")
	for _, kind := range []string{v1alpha1.ConditionReady, v1alpha1.ConditionReconciling, v1alpha1.ConditionPublished} {
		w.expectCondition("training", kind, v1alpha1.ReasonSecretDeleting, "is being deleted")
	}
	w.expectCondition("training", v1alpha1.ConditionReady, v1alpha1.ReasonSecretDeleting, theirFinalizer)
	w.waitIdle("training")
	w.edit("training", func(t *v1alpha1.ApiToken) { t.Spec.Rotation.Generation = 1 })
	w.expectCondition("training", v1alpha1.ConditionReady, v1alpha1.ReasonSecretDeleting)
	w.waitIdle("training")
	w.expectMints(1)
	w.expectLive(first)

	w.releaseSecret()
	w.waitReplaced("training", first)
	w.usableCredential("training")
}

// The ApiToken waits until the Secret of an earlier ApiToken with its name is removed.
func TestNewTokenDoesNotUseASecretThatIsBeingDeleted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.issue("training")
	w.deleteHeldSecret("training")
	w.delete("training")
	w.expectGone("training")
	w.declare("training")
	w.expectCondition("training", v1alpha1.ConditionReady, v1alpha1.ReasonSecretDeleting, theirFinalizer)
	w.waitIdle("training")
	w.expectMints(1)
	w.releaseSecret()
	w.waitReady("training")
	w.usableCredential("training")
}

// A finalizer keeps the Secret. The operator deletes the Secret once, and revokes the credential.
func TestHardEndDoesNotWaitForTheSecret(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.issue("training")
	w.editSecret("training", func(s *corev1.Secret) { s.Finalizers = append(s.Finalizers, theirFinalizer) })
	w.edit("training", func(t *v1alpha1.ApiToken) { t.Spec.ExpiresAt = v1alpha1.NewTimestamp(w.clock.Now().Add(time.Hour)) })
	w.waitReady("training")
	w.advance(time.Hour)
	w.expectCondition("training", v1alpha1.ConditionReady, v1alpha1.ReasonExpired)
	w.expectLive()
	token := w.waitIdle("training")
	if s := w.secret("training"); s == nil || s.DeletionTimestamp == nil {
		t.Error("the Secret is not being deleted")
	}
	if len(token.Status.Credentials) > 0 {
		t.Errorf("the ledger still has %+v", token.Status.Credentials)
	}
	w.releaseSecret()
}
