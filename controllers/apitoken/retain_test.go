package apitoken_test

import (
	"context"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/test/support/fake"
	"apitoken.dev/operator/test/support/kit"
)

// faultFor returns a fault for every call of a verb for one credential.
func faultFor(verb fake.Verb, name string, f fake.Fault) func(context.Context, fake.Call) fake.Fault {
	return func(_ context.Context, call fake.Call) fake.Fault {
		if call.Verb == verb && call.Name == name && call.Phase == fake.Before {
			return f
		}
		return fake.Fault{}
	}
}

func retain(t *v1alpha1.ApiToken) { t.Spec.DeletionPolicy = v1alpha1.DeletionRetain }

// waitingDeletion returns a world in which a deletion has revoked the credential in use. It waits for
// the previous one, which cannot be revoked.
func waitingDeletion(t *testing.T) (w *world, previous, inUse string) {
	t.Helper()
	w = newWorld(t)
	previous = activeOf(w.issue("training")).Name
	w.edit("training", func(t *v1alpha1.ApiToken) { t.Spec.Rotation.Generation = 1 })
	inUse = activeOf(w.waitReplaced("training", previous)).Name
	w.hook(faultFor(fake.Revoke, previous, fake.Fault{Kind: fake.Reject, Code: provider.CodePermissionDenied}))
	w.delete("training")
	w.expectLive(previous)
	w.excused[previous] = true
	return w, previous, inUse
}

// The event says that the Secret is deleted.
func TestRetainDeletesSecretWithRevokedCredential(t *testing.T) {
	t.Parallel()
	w, previous, inUse := waitingDeletion(t)
	w.Until(func() string { // the revocation is recorded
		left := w.token("training").Status.Credentials
		if len(left) != 1 || left[0].Name != previous {
			return "the ledger still has " + inUse
		}
		return ""
	})
	w.edit("training", retain)
	w.expectGone("training")
	w.expectEvent("Retained", "was already revoked: the Secret is deleted")
	w.expectEvent("Retained", "stay live until you revoke them at the provider")
	if w.secret("training") != nil {
		t.Error("the Secret is kept with a revoked credential")
	}
}

// The Secret is kept.
func TestRetainReportsAStartedRevocation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.issue("training")
	w.hook(faultFor(fake.Revoke, activeOf(token).Name, fake.Fault{Kind: fake.InDoubt}))
	w.delete("training")
	w.expectCondition("training", v1alpha1.ConditionReady, v1alpha1.ReasonDeleting, "revoke")
	w.excused[activeOf(token).Name] = true
	w.edit("training", retain)
	w.expectGone("training")
	w.expectEvent("Retained", "had started to revoke its credential "+activeOf(token).ID)
	if s := w.secret("training"); s == nil || s.Annotations[v1alpha1.AnnotationRetained] != "true" {
		t.Errorf("the Secret is not kept: %v", s)
	}
}

// The event does not mention a Secret.
func TestRetainWithoutSecretClaimsNoSecret(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.declare("training", retain, func(t *v1alpha1.ApiToken) { t.Spec.Suspend = true })
	w.expectCondition("training", v1alpha1.ConditionReady, v1alpha1.ReasonSuspended)
	w.delete("training")
	w.expectGone("training")
	w.expectEvent("Retained", "there is no Secret to keep")
}

func TestConditionsAreFalseWhileDeleting(t *testing.T) {
	t.Parallel()
	w, _, _ := waitingDeletion(t)
	for _, kind := range []string{v1alpha1.ConditionReady, v1alpha1.ConditionIssued, v1alpha1.ConditionPublished} {
		token := w.expectCondition("training", kind, v1alpha1.ReasonDeleting)
		if meta.IsStatusConditionTrue(token.Status.Conditions, kind) {
			t.Errorf("%s is True", kind)
		}
	}
	w.hook(nil)
	w.expectGone("training")
}

// An attempt that the provider explicitly rejected issued nothing, so there is nothing to revoke.
func TestDeletionAfterARejectedAttemptNeedsNoProvider(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.hook(rejecting(fake.Mint, provider.CodeQuota))
	w.declare("training")
	w.expectCondition("training", v1alpha1.ConditionReady, v1alpha1.ReasonBackoff)
	token := w.waitIdle("training")
	if s := &token.Status; s.Revision != 0 || len(s.Credentials) > 0 {
		t.Errorf("a rejected attempt leaves revision %d, ledger %+v", s.Revision, s.Credentials)
	}
	w.expectMints(1)
	w.editSecret("minter", func(s *corev1.Secret) { s.Data[fake.TokenKey] = []byte("CANARY-dead") })
	w.ExpectCondition(kit.TokenProvider(w.ns, storeName), kit.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse})
	w.delete("training")
	w.expectGone("training")
	w.expectLive()
}
