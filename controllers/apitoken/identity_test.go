package apitoken_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/ledger"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/test/support/fake"
)

// newObedientWorld returns a world whose provider acts on any id, even if the name differs.
func newObedientWorld(t *testing.T) *world {
	t.Helper()
	w := newEmptyWorld(t)
	w.backend.ObeysIDs = true
	w.createMinter()
	w.createProvider()
	w.start()
	return w
}

// forgeAnnotations writes another owner's id and an expiry far ahead into a Secret's annotations.
func (w *world) forgeAnnotations(name, id string) {
	w.Helper()
	w.editSecret(name, func(s *corev1.Secret) {
		s.Annotations[v1alpha1.AnnotationCredentialID] = id
		s.Annotations[v1alpha1.AnnotationIssuedAt] = "2000-01-01T00:00:00Z"
		s.Annotations[v1alpha1.AnnotationExpiresAt] = "2999-01-01T00:00:00Z"
		s.Annotations[v1alpha1.AnnotationRotation] = "9000000000000000000"
	})
}

// A user writes the id of another ApiToken's credential into the annotation of a retained Secret. The
// provider of this test would revoke that credential.
func TestForgedIDInARetainedSecretIsIgnored(t *testing.T) {
	t.Parallel()
	w := newObedientWorld(t)
	victim := activeOf(w.issue("victim"))
	own := activeOf(w.issue("training", retain))
	w.excused[own.Name] = true
	w.delete("training")
	w.expectGone("training")
	w.forgeAnnotations("training", victim.ID)

	got := activeOf(w.issue("training", rotateTo(3)))
	if got.Name != own.Name || got.ID != own.ID || got.RotationGeneration != 3 || !got.ExpiresAt.Equal(own.ExpiresAt) {
		t.Errorf("adopted %+v, want %+v", got, own)
	}
	w.delete("training")
	w.expectGone("training")
	w.expectLive(victim.Name)
	w.waitIdle("victim")
	if w.waitReady("victim"); w.usableCredential("victim") != victim.Name {
		t.Error("the victim has another credential")
	}
}

// interruptAttempt changes the ledger of the ApiToken training as if the attempt had stopped between
// publish and record. The operator must be stopped.
func (w *world) interruptAttempt(state v1alpha1.CredentialState) v1alpha1.LedgerEntry {
	w.Helper()
	was := *activeOf(w.token("training"))
	w.editStatus(func(s *v1alpha1.ApiTokenStatus) { s.Credentials = nil })
	w.editStatus(func(s *v1alpha1.ApiTokenStatus) {
		e := was
		e.State, e.ID, e.IssuedAt = state, "", nil
		s.Credentials = []v1alpha1.LedgerEntry{e}
	})
	return was
}

// The attempt stopped after its publish. It is adopted with its reservation, and with the id that the
// provider shows for its name.
func TestForgedIDInASecretOfAnAttemptIsIgnored(t *testing.T) {
	for _, state := range []v1alpha1.CredentialState{v1alpha1.StateMinting, v1alpha1.StateAbandoned} {
		t.Run(string(state), func(t *testing.T) {
			t.Parallel()
			w := newObedientWorld(t)
			victim := activeOf(w.issue("victim"))
			w.issue("training")
			w.waitIdle("training")
			w.operator.stop(w)
			was := w.interruptAttempt(state)
			w.forgeAnnotations("training", victim.ID)
			w.start()
			w.Until(func() string {
				if e := activeOf(w.token("training")); e == nil || e.ID != was.ID {
					return "it is not adopted with its own id"
				}
				return ""
			})
			got := activeOf(w.waitIdle("training"))
			if got.RotationGeneration != 0 || !got.ExpiresAt.Equal(was.ExpiresAt) || !got.IssuedAt.Equal(was.IssuedAt) {
				t.Errorf("adopted %+v, want %+v", got, was)
			}
			w.delete("training")
			w.expectGone("training")
			w.expectLive(victim.Name)
			w.expectMints(2)
		})
	}
}

// The id follows once the provider works. A response without the id does not mean that the credential
// is gone.
func TestAdoptionNeedsNoProvider(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.issue("training")
	w.waitIdle("training")
	w.operator.stop(w)
	was := w.interruptAttempt(v1alpha1.StateMinting)
	w.hook(rejecting(fake.Find, provider.CodeUnavailable))
	w.start()
	w.expectCondition("training", v1alpha1.ConditionReady, v1alpha1.ReasonReady, was.Name)
	w.clock.Advance(time.Minute)
	w.Until(func() string {
		w.touch("training")
		if w.backend.Count(fake.Find) == 0 {
			return "the provider was not asked"
		}
		return ""
	})
	if e := activeOf(w.token("training")); e.Name != was.Name || e.ID != "" {
		t.Errorf("in use: %+v", e)
	}
	w.hook(nil)
	w.advanceUntil(time.Minute, "training", func() string {
		if e := activeOf(w.token("training")); e.ID != was.ID {
			return "the id is not filled in"
		}
		return ""
	})
	w.expectCondition("training", v1alpha1.ConditionReady, v1alpha1.ReasonReady, was.ID)
	w.waitIdle("training")
	finds := w.backend.Count(fake.Find)
	w.passTime(time.Minute, 3)
	if n := w.backend.Count(fake.Find); n != finds {
		t.Errorf("%d calls of Find in a steady state", n-finds)
	}
	w.expectMints(1)
}

// TestCredentialWithoutIDIsRevokedByName: a credential with an unknown id is revoked by
// its name.
func TestCredentialWithoutIDIsRevokedByName(t *testing.T) {
	t.Parallel()
	w := newObedientWorld(t)
	victim := activeOf(w.issue("victim"))
	w.issue("training")
	w.waitIdle("training")
	w.operator.stop(w)
	w.interruptAttempt(v1alpha1.StateAbandoned)
	w.forgeAnnotations("training", victim.ID)
	w.delete("training")
	w.start()
	w.Until(func() string { // the attempt must be settled
		if w.token("training") == nil {
			return ""
		}
		w.advance(time.Minute)
		return "training is still there"
	})
	w.expectLive(victim.Name)
}

// The previous credential is in its overlap, and in no Secret. The event names it too.
func TestRetainEventNamesLiveCredentials(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := activeOf(w.issue("training", retain))
	w.edit("training", rotateTo(1))
	second := activeOf(w.waitReplaced("training", first.Name))
	w.waitIdle("training")
	w.excused[first.Name], w.excused[second.Name] = true, true
	w.delete("training")
	w.expectGone("training")
	w.expectEvent("Retained", "stay live until you revoke them at the provider: "+first.ID)
}

// A credential that has already expired is an error of the provider. It is revoked, and attempts back
// off.
func TestCredentialExpiredOnArrivalIsNotPublished(t *testing.T) {
	t.Parallel()
	w := newEmptyWorld(t)
	w.driver.Ends = func(time.Time) time.Time { return epoch.Add(-time.Hour) }
	w.createMinter()
	w.createProvider()
	w.start()
	w.declare("training")
	w.expectCondition("training", v1alpha1.ConditionReady, v1alpha1.ReasonBackoff, "expired at 2029-12-31T23:00:00Z")
	w.advanceWithinBudget(time.Second, func() { w.reconcile("training") }, func() bool { return w.backend.Count(fake.Revoke) > 0 })
	if w.secret("training") != nil {
		t.Error("it was published")
	}
}

// The provider returns a much shorter lifetime than requested, so rotations are not free.
func TestShortLifetimesAreLimitedByTheBudget(t *testing.T) {
	t.Parallel()
	w := newEmptyWorld(t)
	w.driver.Ends = func(time.Time) time.Time { return w.clock.Now().Add(time.Minute) }
	w.createMinter()
	w.createProvider()
	w.start()
	w.declare("training")
	w.waitReady("training")
	// The clock stands while the operator acts, so an attempt ends before its credential expires.
	settle := func() {
		w.reconcile("training")
		w.Until(func() string {
			if a := activeOf(w.token("training")); a == nil || a.ID == "" || inState(w.token("training"), v1alpha1.StateMinting) != nil {
				return "the new credential is not Active with its ID"
			}
			return ""
		})
	}
	exhausted := func() bool {
		c := meta.FindStatusCondition(w.token("training").Status.Conditions, v1alpha1.ConditionReady)
		return c != nil && c.Reason == v1alpha1.ReasonMintBudgetExhausted
	}
	w.advanceWithinBudget(10*time.Second, settle, exhausted)
	if got := w.backend.Count(fake.Mint); got != ledger.BudgetSize {
		t.Errorf("%d credentials were minted, want %d", got, ledger.BudgetSize)
	}
	w.clock.Advance(ledger.BudgetRefill)
	w.advanceWithinBudget(10*time.Second, settle, exhausted)
	if got := w.backend.Count(fake.Mint); got != ledger.BudgetSize+1 {
		t.Errorf("%d credentials were minted after another %s, want %d", got, ledger.BudgetRefill, ledger.BudgetSize+1)
	}
}

// advanceWithinBudget advances the clock in steps until happened returns true. It fails if more
// credentials are minted than the mint budget allows.
func (w *world) advanceWithinBudget(step time.Duration, look func(), happened func() bool) {
	w.Helper()
	for range 400 {
		look()
		if most := ledger.BudgetSize + int(w.clock.Now().Sub(epoch)/ledger.BudgetRefill); w.backend.Count(fake.Mint) > most {
			w.Fatalf("%d credentials were minted in %s", w.backend.Count(fake.Mint), w.clock.Now().Sub(epoch))
		}
		if happened() {
			return
		}
		w.clock.Advance(step)
	}
	w.Fatalf("it does not happen\n%s", w.dump())
}
