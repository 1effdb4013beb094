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

// newNarrowWorld is a world whose provider has two slots.
func newNarrowWorld(t *testing.T) *world {
	t.Helper()
	w := newEmptyWorld(t)
	w.driver.Caps.MaxLive = 2
	w.createMinter()
	w.createProvider()
	w.start()
	return w
}

// stranger creates a credential that does not belong to the operator.
func (w *world) stranger() string {
	name := w.backend.Stranger(1)[0]
	w.excused[name] = true
	return name
}

func revokeFirst(t *v1alpha1.ApiToken) { t.Spec.Rotation.Strategy = v1alpha1.RevokeFirst }

func rotateTo(generation int64) func(*v1alpha1.ApiToken) {
	return func(t *v1alpha1.ApiToken) { t.Spec.Rotation.Generation = generation }
}

// TestRotationsInTwoSlotsKeepTheCredentialInUse: rotations in a row end overlaps early and never the credential in use.
func TestRotationsInTwoSlotsKeepTheCredentialInUse(t *testing.T) {
	t.Parallel()
	w := newNarrowWorld(t)
	last := activeOf(w.issued("training")).Name
	for generation := range int64(3) {
		w.edit("training", rotateTo(generation+1))
		last = activeOf(w.replaced("training", last)).Name
		if held := w.uses("training"); held != last {
			t.Errorf("the Secret holds %s, the ledger %s", held, last)
		}
		if live := w.backend.LiveNames(); len(live) > 2 {
			t.Errorf("live are %v", live)
		}
	}
	w.mints(4)
}

// TestSlotsTakenByOthersDelayRotation: the credential in use stays, the condition says who
// holds the slots, and the rotation follows as soon as one is free.
func TestSlotsTakenByOthersDelayRotation(t *testing.T) {
	t.Parallel()
	w := newNarrowWorld(t)
	first := activeOf(w.issued("training")).Name
	stranger := w.stranger()
	w.edit("training", rotateTo(1))
	token := w.shows("training", v1alpha1.ConditionReconciling, v1alpha1.ReasonSlotsExhausted, "not issued by this operator")
	if activeOf(token).Name != first || w.uses("training") != first {
		t.Error("the credential in use was touched")
	}
	w.passTime(time.Minute, 2)
	w.mints(1)
	w.onlyLive(first, stranger)
	w.backend.Delete(stranger)
	w.clock.Advance(time.Minute)
	w.Until(func() string {
		w.poke("training") // it is looked at once a minute
		if activeOf(w.token("training")).Name == first {
			return "not replaced"
		}
		return ""
	})
}

// readyInTheEnd waits until an ApiToken is Ready whose obstacle goes away without
// an event: it is looked at once a minute, and here at once.
func (w *world) readyInTheEnd(name string) *v1alpha1.ApiToken {
	w.Helper()
	w.Until(func() string {
		w.poke(name)
		if !meta.IsStatusConditionTrue(w.token(name).Status.Conditions, v1alpha1.ConditionReady) {
			return name + " is not Ready"
		}
		return ""
	})
	return w.ready(name)
}

// TestSecondApiTokenNeedsASlot: it is refused, because neither could be rotated without a
// gap, until both accept one.
func TestSecondApiTokenNeedsASlot(t *testing.T) {
	t.Parallel()
	w := newNarrowWorld(t)
	first := activeOf(w.issued("training")).Name
	w.declare("second")
	w.stalls("second", v1alpha1.ReasonProviderShared, "ApiToken training", "RevokeFirst")
	w.edit("second", revokeFirst)
	w.shows("second", v1alpha1.ConditionStalled, v1alpha1.ReasonProviderShared, "ApiToken training")
	w.mints(1)
	w.edit("training", revokeFirst)
	second := activeOf(w.readyInTheEnd("second")).Name
	w.onlyLive(first, second)
	w.declare("third", revokeFirst)
	w.stalls("third", v1alpha1.ReasonProviderShared, "another account")
	w.mints(2)
}

// TestRevokeFirstReportsTheGap: with both slots taken a rotation revokes first, and says for
// how long the workload was without access.
func TestRevokeFirstReportsTheGap(t *testing.T) {
	t.Parallel()
	w := newNarrowWorld(t)
	first := activeOf(w.issued("training", revokeFirst)).Name
	other := activeOf(w.issued("second", revokeFirst)).Name
	w.during(func() { w.clock.Advance(3 * time.Second) })
	w.edit("training", rotateTo(1))
	token := w.replaced("training", first)
	second := activeOf(token).Name
	w.onlyLive(second, other)
	if w.uses("training") != second || w.uses("second") != other {
		t.Error("a Secret holds another credential")
	}
	if token.Status.GapSince != nil || token.Status.LastGap != "3s" {
		t.Errorf("gap since %v, last %q, want 3s", token.Status.GapSince, token.Status.LastGap)
	}
	w.emits("RotatedWithGap", "3s")
	w.mints(3)
}

// TestRevokeFirstWithFreeSlotHasNoGap: where a slot is free there is no gap.
func TestRevokeFirstWithFreeSlotHasNoGap(t *testing.T) {
	t.Parallel()
	w := newNarrowWorld(t)
	first := activeOf(w.issued("training", revokeFirst)).Name
	w.edit("training", rotateTo(1))
	token := w.replaced("training", first)
	if token.Status.LastGap != "" || inState(token, v1alpha1.StateRetiring) == nil {
		t.Errorf("status: %+v", token.Status)
	}
}

// TestRevokeFirstRecoversWithTheProvider: a provider that fails in the middle of a gap does not
// make it last longer than the failure.
func TestRevokeFirstRecoversWithTheProvider(t *testing.T) {
	t.Parallel()
	w := newNarrowWorld(t)
	first := activeOf(w.issued("training", revokeFirst)).Name
	w.stranger()
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
	if last := w.heals("training"); last == first {
		t.Error("not replaced")
	}
}

// TestInterruptedGapIsEndedByTheNextProcess: an operator that stops in the middle of a gap leaves
// it to the next one, which ends it.
func TestInterruptedGapIsEndedByTheNextProcess(t *testing.T) {
	t.Parallel()
	w := newNarrowWorld(t)
	first := activeOf(w.issued("training", revokeFirst)).Name
	w.stranger()
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
	w.replaced("training", first)
	w.heals("training")
}

// TestAttemptInDoubtBlocksIssuingInAListWindow: where a provider lists its newest only, an attempt without a
// known end holds further ones back before it falls out of the list.
func TestAttemptInDoubtBlocksIssuingInAListWindow(t *testing.T) {
	t.Parallel()
	w := newEmptyWorld(t)
	w.driver.Caps.Listed = 4
	w.createMinter()
	w.createProvider()
	w.start()
	w.backend.Script(fake.Mint, fake.Fault{Kind: fake.LoseAnswer})
	w.declare("doubtful")
	w.shows("doubtful", v1alpha1.ConditionReady, v1alpha1.ReasonBackoff)
	doubt := w.minted()[0]
	w.issued("one")
	w.issued("two")
	w.declare("three")
	w.shows("three", v1alpha1.ConditionReady, v1alpha1.ReasonListingWindow, doubt, "newest 4")
	w.mints(3)
	w.clock.Advance(3 * time.Minute) // the attempt is settled, found and revoked
	w.poke("doubtful")
	w.Until(func() string {
		if w.backend.Live(doubt) {
			return "the attempt is still live"
		}
		return ""
	})
	w.settle("doubtful") // a clock that advances would cut off its next attempt
	w.settle("three")
	w.clock.Advance(time.Minute)
	w.readyInTheEnd("three")
	w.readyInTheEnd("doubtful")
}

// TestUnverifiedAccountClaimTakesNoSlots: the declaration of a provider names another's
// account, with credentials of its own. It is another account.
func TestUnverifiedAccountClaimTakesNoSlots(t *testing.T) {
	t.Parallel()
	w := newEmptyWorld(t)
	w.driver.Caps.MaxLive = 2
	w.driver.At = func(provider.Config) provider.Server { return provider.Server{Host: "vendor", Declared: true} }
	w.createMinter()
	w.createProvider()
	w.backend.Token = "" // it admits any credentials, and answers the same account
	w.OK(w.Create(w.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: "own"},
		Data: map[string][]byte{fake.TokenKey: []byte("of-the-claimant")}}))
	claimant := kit.ProviderSpec()
	claimant.CredentialsSecretRef.Name = "own"
	w.ExpectApplied(&v1alpha1.TokenProvider{ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: "claimant"}, Spec: claimant})
	w.start()
	claimed := activeOf(w.issued("claims", func(t *v1alpha1.ApiToken) { t.Spec.ProviderRef.Name = "claimant" })).Name
	w.onlyLive(claimed, activeOf(w.issued("training")).Name)
}
