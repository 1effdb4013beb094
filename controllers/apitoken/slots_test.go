package apitoken_test

import (
	"context"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/test/support/fake"
	"apitoken.dev/operator/test/support/kit"
)

// newTwoSlotWorld returns a world whose provider has two slots.
func newTwoSlotWorld(t *testing.T) *world {
	t.Helper()
	w := newEmptyWorld(t)
	w.driver.Caps.MaxLive = 2
	w.createMinter()
	w.createProvider()
	w.start()
	return w
}

// createStranger creates a credential that does not belong to the operator.
func (w *world) createStranger() string {
	name := w.backend.Stranger(1)[0]
	w.excused[name] = true
	return name
}

func revokeFirst(t *v1alpha1.ApiToken) { t.Spec.Rotation.Strategy = v1alpha1.RevokeFirst }

func rotateTo(generation int64) func(*v1alpha1.ApiToken) {
	return func(t *v1alpha1.ApiToken) { t.Spec.Rotation.Generation = generation }
}

// Consecutive rotations end overlaps early, and never the credential in use.
func TestRotationsInTwoSlotsKeepTheCredentialInUse(t *testing.T) {
	t.Parallel()
	w := newTwoSlotWorld(t)
	last := activeOf(w.issue("training")).Name
	for generation := range int64(3) {
		w.edit("training", rotateTo(generation+1))
		last = activeOf(w.waitReplaced("training", last)).Name
		if held := w.usableCredential("training"); held != last {
			t.Errorf("the Secret holds %s, the ledger %s", held, last)
		}
		if live := w.backend.LiveNames(); len(live) > 2 {
			t.Errorf("live are %v", live)
		}
	}
	w.expectMints(4)
}

// The credential in use stays, and the condition names the holders of the slots. The rotation follows
// once a slot is free.
func TestSlotsTakenByOthersDelayRotation(t *testing.T) {
	t.Parallel()
	w := newTwoSlotWorld(t)
	first := activeOf(w.issue("training")).Name
	stranger := w.createStranger()
	w.edit("training", rotateTo(1))
	token := w.expectCondition("training", v1alpha1.ConditionReconciling, v1alpha1.ReasonSlotsExhausted, "not issued by this operator")
	if activeOf(token).Name != first || w.usableCredential("training") != first {
		t.Error("the credential in use was touched")
	}
	w.passTime(time.Minute, 2)
	w.expectMints(1)
	w.expectLive(first, stranger)
	w.backend.Delete(stranger)
	w.clock.Advance(time.Minute)
	w.Until(func() string {
		w.touch("training") // without it, the next reconcile is a minute later
		if activeOf(w.token("training")).Name == first {
			return "not replaced"
		}
		return ""
	})
}

// touchUntilReady waits until an ApiToken is Ready. It triggers reconciles, because no event tells
// the operator that the obstacle is gone.
func (w *world) touchUntilReady(name string) *v1alpha1.ApiToken {
	w.Helper()
	w.Until(func() string {
		w.touch(name)
		if !meta.IsStatusConditionTrue(w.token(name).Status.Conditions, v1alpha1.ConditionReady) {
			return name + " is not Ready"
		}
		return ""
	})
	return w.waitReady(name)
}

// With a second ApiToken, neither could be rotated without a gap. It is refused until both use
// RevokeFirst.
func TestSecondApiTokenNeedsASlot(t *testing.T) {
	t.Parallel()
	w := newTwoSlotWorld(t)
	first := activeOf(w.issue("training")).Name
	w.declare("second")
	w.expectStalled("second", v1alpha1.ReasonProviderShared, "ApiToken training", "RevokeFirst")
	w.edit("second", revokeFirst)
	w.expectCondition("second", v1alpha1.ConditionStalled, v1alpha1.ReasonProviderShared, "ApiToken training")
	w.expectMints(1)
	w.edit("training", revokeFirst)
	second := activeOf(w.touchUntilReady("second")).Name
	w.expectLive(first, second)
	w.declare("third", revokeFirst)
	w.expectStalled("third", v1alpha1.ReasonProviderShared, "another account")
	w.expectMints(2)
}

// Both slots are in use, so a rotation revokes first. An event says how long the workload had no access.
func TestRevokeFirstReportsTheGap(t *testing.T) {
	t.Parallel()
	w := newTwoSlotWorld(t)
	first := activeOf(w.issue("training", revokeFirst)).Name
	other := activeOf(w.issue("second", revokeFirst)).Name
	w.duringFirstMint(func() { w.clock.Advance(3 * time.Second) })
	w.edit("training", rotateTo(1))
	token := w.waitReplaced("training", first)
	second := activeOf(token).Name
	w.expectLive(second, other)
	if w.usableCredential("training") != second || w.usableCredential("second") != other {
		t.Error("a Secret holds another credential")
	}
	if token.Status.GapSince != nil || token.Status.LastGap != "3s" {
		t.Errorf("gap since %v, last %q, want 3s", token.Status.GapSince, token.Status.LastGap)
	}
	w.expectEvent("RotatedWithGap", "3s")
	w.expectMints(3)
}

func TestRevokeFirstWithFreeSlotHasNoGap(t *testing.T) {
	t.Parallel()
	w := newTwoSlotWorld(t)
	first := activeOf(w.issue("training", revokeFirst)).Name
	w.edit("training", rotateTo(1))
	token := w.waitReplaced("training", first)
	if token.Status.LastGap != "" || inState(token, v1alpha1.StateRetiring) == nil {
		t.Errorf("status: %+v", token.Status)
	}
}

// The provider fails during a gap. The gap ends when the provider works again.
func TestRevokeFirstRecoversWithTheProvider(t *testing.T) {
	t.Parallel()
	w := newTwoSlotWorld(t)
	first := activeOf(w.issue("training", revokeFirst)).Name
	w.createStranger()
	w.backend.Script(fake.Mint, fake.Fault{Kind: fake.Reject, Code: provider.CodeUnavailable}, fake.Fault{Kind: fake.LoseAnswer})
	w.edit("training", rotateTo(1))
	w.Until(func() string {
		if w.backend.Live(first) {
			return "the old credential is still live"
		}
		return ""
	})
	token := w.token("training")
	if meta.IsStatusConditionTrue(token.Status.Conditions, v1alpha1.ConditionReady) {
		t.Error("Ready without access")
	}
	w.passTime(time.Minute, 4)
	w.passTime(time.Minute, 4)
	if last := w.waitHealed("training"); last == first {
		t.Error("not replaced")
	}
}

// The operator stops during a gap.
func TestInterruptedGapIsEndedByTheNextProcess(t *testing.T) {
	t.Parallel()
	w := newTwoSlotWorld(t)
	first := activeOf(w.issue("training", revokeFirst)).Name
	w.createStranger()
	stopped := make(chan struct{})
	w.hook(func(_ context.Context, call fake.Call) fake.Fault {
		if call.Verb == fake.Revoke && call.Phase == fake.After {
			w.hook(nil)
			w.operator.cancel()
			close(stopped)
		}
		return fake.Fault{}
	})
	w.edit("training", rotateTo(1))
	<-stopped
	w.operator.stop(w)
	w.start()
	w.waitReplaced("training", first)
	w.waitHealed("training")
}

// The provider lists its newest credentials only. An attempt with an unknown outcome delays further
// attempts, which could move it out of the list.
func TestAttemptInDoubtBlocksIssuingInAListWindow(t *testing.T) {
	t.Parallel()
	w := newEmptyWorld(t)
	w.driver.Caps.Listed = 4
	w.createMinter()
	w.createProvider()
	w.start()
	w.backend.Script(fake.Mint, fake.Fault{Kind: fake.LoseAnswer})
	w.declare("doubtful")
	w.expectCondition("doubtful", v1alpha1.ConditionReady, v1alpha1.ReasonBackoff)
	doubt := w.minted()[0]
	w.issue("one")
	w.issue("two")
	w.declare("three")
	w.expectCondition("three", v1alpha1.ConditionReady, v1alpha1.ReasonListingWindow, doubt, "newest 4")
	w.expectMints(3)
	w.clock.Advance(3 * time.Minute) // the attempt is settled, found and revoked
	w.touch("doubtful")
	w.Until(func() string {
		if w.backend.Live(doubt) {
			return "the attempt is still live"
		}
		return ""
	})
	w.waitIdle("doubtful") // the next attempt must end before the clock advances
	w.waitIdle("three")
	w.clock.Advance(time.Minute)
	w.touchUntilReady("three")
	w.touchUntilReady("doubtful")
}

// A provider declares the account of another provider, with other minting credentials. It counts as
// another account.
func TestUnverifiedAccountClaimTakesNoSlots(t *testing.T) {
	t.Parallel()
	w := newEmptyWorld(t)
	w.driver.Caps.MaxLive = 2
	w.driver.At = func(provider.Config) provider.Server { return provider.Server{Host: "vendor", Declared: true} }
	w.createMinter()
	w.createProvider()
	w.backend.Token = "" // accepts any credentials, and returns the same account
	w.OK(w.Create(w.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: "own"},
		Data: map[string][]byte{fake.TokenKey: []byte("of-the-claimant")}}))
	claimant := kit.ProviderSpec()
	claimant.CredentialsSecretRef.Name = "own"
	w.ExpectApplied(&v1alpha1.TokenProvider{ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: "claimant"}, Spec: claimant})
	w.start()
	claimed := activeOf(w.issue("claims", func(t *v1alpha1.ApiToken) { t.Spec.ProviderRef.Name = "claimant" })).Name
	w.expectLive(claimed, activeOf(w.issue("training")).Name)
}
