package apitoken_test

import (
	"context"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/test/support/fake"
)

// rejectRevocations makes the provider reject every revocation.
func (w *world) rejectRevocations() {
	w.Helper()
	w.hook(func(_ context.Context, call fake.Call) fake.Fault {
		if call.Verb == fake.Revoke && call.Phase == fake.Before {
			return fake.Fault{Kind: fake.Reject, Code: provider.CodePermissionDenied}
		}
		return fake.Fault{}
	})
}

// countEvents counts the events of a reason.
func (w *world) countEvents(reason string) int {
	w.Helper()
	var events eventsv1.EventList
	w.OK(w.List(w.Context(), &events, client.InNamespace(w.ns)))
	n := 0
	for i := range events.Items {
		if events.Items[i].Reason == reason {
			n++
		}
	}
	return n
}

// The ApiToken stays Ready. There is one event, however often the revocation is retried.
func TestFailedRevocationIsReported(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := activeOf(w.issue("training")).Name
	w.edit("training", func(t *v1alpha1.ApiToken) { t.Spec.Rotation.Generation = 1 })
	w.waitReplaced("training", first)
	w.rejectRevocations()
	w.advance(2 * time.Hour) // the overlap has ended
	w.expectCondition("training", v1alpha1.ConditionReconciling, v1alpha1.ReasonRevocationFailed, "could not be revoked", "rejected the request")
	w.waitReady("training")
	w.expectEvent(v1alpha1.ReasonRevocationFailed, "could not be revoked")
	for range 3 {
		w.touch("training")
		w.advance(time.Hour)
		w.expectCondition("training", v1alpha1.ConditionReconciling, v1alpha1.ReasonRevocationFailed, "could not be revoked")
	}
	if n := w.countEvents(v1alpha1.ReasonRevocationFailed); n != 1 {
		t.Errorf("%d events, want 1", n)
	}

	w.delete("training")
	token := w.expectCondition("training", v1alpha1.ConditionReady, v1alpha1.ReasonDeleting, "could not be revoked")
	if token.Status.RotatesAt != nil {
		t.Errorf("an ApiToken that is being deleted is rotated at %s", token.Status.RotatesAt)
	}
	w.hook(nil)
	w.advance(time.Hour)
	w.expectGone("training")
	w.expectLive()
}

// Without its provider, the old credential cannot be revoked. The condition says so, although the new
// credential works.
func TestMissingProviderIsReported(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := activeOf(w.issue("training")).Name
	w.edit("training", func(t *v1alpha1.ApiToken) { t.Spec.Rotation.Generation = 1 })
	w.waitReplaced("training", first)
	w.removeProvider()
	w.advance(2 * time.Hour) // the overlap has ended
	w.expectCondition("training", v1alpha1.ConditionStalled, v1alpha1.ReasonRevocationFailed, "could not be revoked", "does not exist", "create it again")
	w.waitReady("training")
	w.expectEvent(v1alpha1.ReasonRevocationFailed, "does not exist")
	w.createProvider()
	w.expectCondition("training", v1alpha1.ConditionReady, v1alpha1.ReasonReady)
	w.Until(func() string {
		if len(w.token("training").Status.Credentials) > 1 {
			return "the old credential is not revoked"
		}
		return ""
	})
}

// The condition says that the Secret is immutable, and that deleting it helps.
func TestRefusedSecretNamesItsField(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.issue("training")
	yes := true
	w.editSecret("training", func(s *corev1.Secret) { s.Immutable = &yes })
	w.edit("training", func(t *v1alpha1.ApiToken) { t.Spec.Rotation.Generation = 1 })
	w.Until(func() string {
		for _, c := range w.token("training").Status.Conditions {
			if strings.Contains(c.Message, "Invalid: immutable: the Secret is immutable: delete it") {
				return ""
			}
		}
		return "no condition names the field"
	})
	w.deleteSecret("training")
	w.advance(5 * time.Minute)
	w.waitReady("training")
	w.usableCredential("training")
}
