package apitoken_test

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/credname"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/test/support/fake"
)

// An ApiToken that revoked its credential first keeps the slot, although an older ApiToken waits for one.
func TestGapKeepsItsSlot(t *testing.T) {
	t.Parallel()
	w := newTwoSlotWorld(t)
	w.declare("older", revokeFirst, func(t *v1alpha1.ApiToken) { t.Spec.Suspend = true })
	w.expectCondition("older", v1alpha1.ConditionReady, v1alpha1.ReasonSuspended)
	w.clock.Advance(time.Minute)
	first := activeOf(w.issue("training", revokeFirst)).Name
	w.createStranger()
	w.edit("older", func(t *v1alpha1.ApiToken) { t.Spec.Suspend = false })
	w.expectCondition("older", v1alpha1.ConditionReconciling, v1alpha1.ReasonSlotsExhausted)

	w.backend.Script(fake.Mint, fake.Fault{Kind: fake.Reject, Code: provider.CodeUnavailable})
	w.edit("training", rotateTo(1))
	w.Until(func() string {
		if token := w.token("training"); token.Status.GapSince == nil || len(token.Status.Credentials) > 0 || w.backend.Count(fake.Mint) < 2 {
			return "not in a gap without credentials"
		}
		return ""
	})
	for range 3 {
		w.touch("older")
		w.expectCondition("older", v1alpha1.ConditionReconciling, v1alpha1.ReasonSlotsExhausted, "ApiToken training, which revoked its previous one to make room")
	}
	w.clock.Advance(time.Minute)
	w.touch("training")
	token := w.waitReplaced("training", first)
	if e := activeOf(token); e.Reason != "RotationRequested" {
		t.Errorf("issued for %s", e.Reason)
	}
	if meta.IsStatusConditionTrue(w.token("older").Status.Conditions, v1alpha1.ConditionReady) {
		t.Error("the older ApiToken took the slot")
	}
}

// A rotation with RevokeFirst is charged before it revokes. If a Secret is edited again and again, it
// still has a working credential when the budget is empty.
func TestEmptyBudgetStopsBeforeTheGap(t *testing.T) {
	t.Parallel()
	w := newTwoSlotWorld(t)
	last := activeOf(w.issue("training", revokeFirst)).Name
	w.createStranger()
	w.expectMints(1)
	for range 4 { // the first credential used one unit of the budget
		w.editSecret("training", func(s *corev1.Secret) { s.Data["extra"] = []byte("x") })
		token := w.waitReplaced("training", last)
		if last = activeOf(token).Name; activeOf(token).Reason != "SecretChanged" {
			t.Errorf("issued for %s", activeOf(token).Reason)
		}
	}
	w.editSecret("training", func(s *corev1.Secret) { s.Data["extra"] = []byte("x") })
	w.Until(func() string {
		w.touch("training")
		if token := w.token("training"); meta.IsStatusConditionTrue(token.Status.Conditions, v1alpha1.ConditionReady) {
			return "the edit was not seen"
		}
		return ""
	})
	for range 3 {
		w.touch("training")
	}
	if token := w.token("training"); token.Status.GapSince != nil || activeOf(token) == nil || activeOf(token).Name != last {
		t.Errorf("it gave %s up without a budget for the next one: %+v", last, token.Status)
	}
	if !w.backend.Live(last) {
		t.Error("the credential in use is revoked")
	}
	w.expectMints(5)
}

// A backup of the status is restored, and the Secret holds a credential that was issued after it.
func TestRestoredOlderStatusIssuesANewCredential(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	old := w.issue("training")
	first := activeOf(old).Name
	w.edit("training", rotateTo(1))
	second := activeOf(w.waitReplaced("training", first)).Name
	w.waitIdle("training")
	w.operator.stop(w)
	now := w.token("training")
	now.Status = old.Status
	w.OK(w.Status().Update(w.Context(), now))
	w.start()
	third := activeOf(w.waitReplaced("training", first)).Name
	if third == second || w.usableCredential("training") != third {
		t.Errorf("in use is %s", third)
	}
	w.advance(2 * time.Hour)
	w.expectLive(third)
}

// Annotations that a user forges never make the status invalid.
func TestForgedFactsDelayNoHardEnd(t *testing.T) {
	t.Parallel()
	for _, annotation := range []string{v1alpha1.AnnotationAccount, v1alpha1.AnnotationFingerprint} {
		t.Run(annotation, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.issue("training", w.endsIn(time.Hour))
			w.waitIdle("training")
			w.editSecret("training", func(s *corev1.Secret) {
				odd := credname.Name{Cluster: cluster, Owner: credname.Owner(w.ns, "training"), Revision: 9, Nonce: "aaaaaaaaaa"}
				s.Annotations[v1alpha1.AnnotationCredential] = odd.String()
				s.Annotations[annotation] = strings.Repeat("x", 300)
			})
			w.reconcile("training")
			w.advance(time.Hour)
			w.expectLive()
		})
	}
}
