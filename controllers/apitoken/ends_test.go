package apitoken_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/operator"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/test/support/fake"
	"apitoken.dev/operator/test/support/testutil"
)

var deletesSecret = testutil.Request{Verb: "delete", Resource: "secrets"}

// endsIn declares a hard end.
func (w *world) endsIn(in time.Duration) func(*v1alpha1.ApiToken) {
	end := w.clock.Now().Add(in)
	return func(t *v1alpha1.ApiToken) { t.Spec.ExpiresAt = v1alpha1.NewTimestamp(end) }
}

// An admission policy rejects the deletion of the Secret. The credential is revoked on time.
func TestRefusedDeletionDoesNotDelayTheHardEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.issue("training", w.endsIn(time.Hour))
	lift := w.forbidSecretDeletes()
	w.advance(time.Hour)
	w.expectLive()
	w.expectStalled("training", v1alpha1.ReasonExpired, "spec.expiresAt", "could not be deleted (Invalid)", "delete the Secret yourself")
	w.Until(func() string {
		if left := w.token("training").Status.Credentials; len(left) > 0 {
			return "the ledger is not empty"
		}
		return ""
	})
	w.expectEvent("Expired", `could not be deleted`)
	w.reconcile("training")
	if n := w.countExpired(); n != 1 {
		t.Errorf("the event Expired was emitted %d times", n)
	}
	lift()
	w.reconcile("training")
	w.Until(func() string {
		if w.secret("training") != nil {
			return "the Secret still exists"
		}
		return ""
	})
	w.waitIdle("training")
	if n := w.countExpired(); n != 1 {
		t.Errorf("the event Expired was emitted %d times", n)
	}
}

// Only the operator enforces this expiry, and nothing can be issued.
func TestRefusedDeletionDoesNotDelayAnExpiry(t *testing.T) {
	t.Parallel()
	w := newEmptyWorld(t)
	w.driver.Caps.ExpiryEnforcedBy = provider.EnforcedByOperator
	w.createMinter()
	w.createProvider()
	w.start()
	first := activeOf(w.issue("training")).Name
	w.edit("training", func(t *v1alpha1.ApiToken) { t.Spec.Suspend = true })
	lift := w.forbidSecretDeletes()
	w.advance(90 * day)
	w.expectLive()
	w.expectCondition("training", v1alpha1.ConditionReady, v1alpha1.ReasonSuspended, "has expired", "could not be deleted (Invalid)")
	w.edit("training", func(t *v1alpha1.ApiToken) { t.Spec.Suspend = false })
	if second := activeOf(w.waitReplaced("training", first)); w.usableCredential("training") != second.Name {
		t.Error("the Secret does not hold the new credential")
	}
	lift()
	if n := w.countExpired(); n != 1 {
		t.Errorf("the event Expired was emitted %d times", n)
	}
}

// Other finalizers keep the Secret. There is no second deletion and no second event.
func TestHardEndDeletesTheSecretOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.issue("training", w.endsIn(time.Hour))
	w.editSecret("training", func(s *corev1.Secret) { s.Finalizers = append(s.Finalizers, theirFinalizer) })
	w.waitIdle("training")
	w.requests.Take()
	w.advance(time.Hour)
	w.expectLive()
	w.expectStalled("training", v1alpha1.ReasonExpired, "is being deleted", theirFinalizer)
	w.waitIdle("training")
	if n := w.requests.Take()[deletesSecret]; n != 1 {
		t.Errorf("the Secret was deleted %d times", n)
	}
	if n := w.countExpired(); n != 1 {
		t.Errorf("the event Expired was emitted %d times", n)
	}
	w.releaseSecret()
}

// The provider asked for a pause of an hour when a previous credential was revoked.
func TestProviderPauseDoesNotDelayTheHardEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := activeOf(w.issue("training", w.endsIn(40*time.Minute), func(t *v1alpha1.ApiToken) {
		t.Spec.Rotation.Before, t.Spec.Rotation.Overlap = &metav1.Duration{Duration: 20 * time.Minute}, &metav1.Duration{Duration: time.Minute}
	})).Name
	w.edit("training", func(t *v1alpha1.ApiToken) { t.Spec.Rotation.Generation = 1 })
	second := activeOf(w.waitReplaced("training", first)).Name
	w.waitIdle("training")
	w.backend.Script(fake.Revoke, fake.Fault{Kind: fake.RateLimit, RetryAfter: time.Hour})
	w.advance(10 * time.Minute)
	w.Until(func() string {
		if w.log.Count(append(w.reconcileLog("training"), `requeueing after 30m0s"`)...) == 0 {
			return "it does not wait for the hard end"
		}
		return ""
	})
	w.expectLive(first, second)
	w.advance(30 * time.Minute)
	w.expectLive() // although the pause is not over
	w.expectStalled("training", v1alpha1.ReasonExpired, "spec.expiresAt")
}

// newUnresolvedWorld returns a world with a credential in use, a previous one in its overlap, and an
// attempt with an unknown outcome. No operator runs in it.
func newUnresolvedWorld(t *testing.T, edits ...func(*v1alpha1.ApiToken)) (w *world, inUse, open string) {
	t.Helper()
	w = newEmptyWorld(t)
	w.createMinter()
	w.createProvider()
	late := w.start(func(o *operator.Options) { o.Shutdown = 10 * time.Millisecond })
	previous := activeOf(w.issue("training", edits...)).Name
	w.edit("training", func(t *v1alpha1.ApiToken) { t.Spec.Rotation.Generation = 1 })
	inUse = activeOf(w.waitReplaced("training", previous)).Name
	w.waitIdle("training")
	minting, answer := w.loseMint()
	w.edit("training", func(t *v1alpha1.ApiToken) { t.Spec.Rotation.Generation = 2 })
	<-minting
	late.stop(w)
	token := w.token("training")
	attempt := inState(token, v1alpha1.StateMinting)
	if attempt == nil {
		t.Fatalf("ledger: %+v", token.Status.Credentials)
	}
	t.Cleanup(func() { close(answer) })
	w.hook(nil)
	return w, inUse, attempt.Name
}

// An attempt that cannot be fenced does not delay the end of an overlap or a hard end. It is abandoned
// without a fence once it has settled.
func TestRejectedFenceDelaysNoRevocation(t *testing.T) {
	t.Parallel()
	w, inUse, open := newUnresolvedWorld(t, func(t *v1alpha1.ApiToken) { t.Spec.ExpiresAt = v1alpha1.NewTimestamp(epoch.Add(30 * day)) })
	w.forbidSecretUpdates()
	w.clock.Advance(2 * time.Hour) // the overlap has ended, and no running process has seen the attempt
	w.start()
	w.expectLive(inUse)
	token := w.token("training")
	if e := inState(token, v1alpha1.StateMinting); e == nil || e.Name != open {
		t.Errorf("the attempt was abandoned without its fence: %+v", token.Status.Credentials)
	}
	w.expectCondition("training", v1alpha1.ConditionReconciling, v1alpha1.ReasonPublishRefused, "the Secret could not be written")
	w.expectMints(3) // nothing is reserved in addition

	w.clock.AdvanceTo(epoch.Add(30 * day))
	w.touch("training")
	w.expectLive()
	w.Until(func() string {
		if left := w.waitIdle("training").Status.Credentials; len(left) > 0 {
			w.clock.Advance(time.Minute)
			return "the attempt is not cleared up"
		}
		return ""
	})
	w.expectStalled("training", v1alpha1.ReasonExpired, "spec.expiresAt")
}

// annotateEnd sets the annotation apitoken.dev/end of the ApiToken training.
func (w *world) annotateEnd(value string) {
	w.Helper()
	w.edit("training", func(t *v1alpha1.ApiToken) { t.Annotations = map[string]string{v1alpha1.AnnotationEnd: value} })
}

// The named credential is revoked before its overlap ends. The credential in use stays, and the
// annotation has no further effect.
func TestEndAnnotationEndsAnOverlapAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := activeOf(w.issue("training")).DeepCopy()
	w.edit("training", func(t *v1alpha1.ApiToken) { t.Spec.Rotation.Generation = 1 })
	second := activeOf(w.waitReplaced("training", first.Name)).DeepCopy()
	w.annotateEnd(first.Name)
	w.Until(func() string {
		if n := len(w.token("training").Status.Credentials); n != 1 {
			return fmt.Sprintf("%d credentials are in the ledger", n)
		}
		return ""
	})
	w.expectLive(second.Name)
	w.expectAudit(`"audit"="call"`, `"operation"="revoke"`, first.Name, first.ID, `"reason"="EndRequested"`, `"askedBy"="metadata.annotations[apitoken.dev/end]"`)
	w.expectEventAbout("Revoked", first)

	w.touch("training")
	if got := w.waitIdle("training"); got.Annotations[v1alpha1.AnnotationEnd] != first.Name || activeOf(got).Name != second.Name {
		t.Errorf("the annotation that stays changed something: %v, %v", got.Annotations, got.Status.Credentials)
	}
	if n := w.countEvents("EndIgnored"); n != 0 {
		t.Errorf("an annotation that did its work is called ignored, by %d events", n)
	}
}

// The values are the name of the credential in use, and texts that are no name. One event gives the
// reason, without the value.
func TestEndAnnotationIsIgnoredForOtherValues(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := activeOf(w.issue("training")).DeepCopy()
	w.annotateEnd(e.Name)
	w.expectEvent("EndIgnored", "raise spec.rotation.generation")
	w.touch("training")
	w.waitIdle("training")
	w.expectLive(e.Name)
	if n := w.countEvents("EndIgnored"); n != 1 {
		t.Errorf("%d events for one value", n)
	}

	w.annotateEnd("CANARY\n" + strings.Repeat("x", 5000))
	w.waitIdle("training")
	w.expectLive(e.Name)
	var events eventsv1.EventList
	w.OK(w.List(w.Context(), &events, client.InNamespace(w.ns)))
	for i := range events.Items {
		if strings.Contains(events.Items[i].Note, "CANARY") {
			t.Errorf("an event shows what a user wrote: %s", events.Items[i].Note)
		}
	}
}

// A longer overlap does not extend a running one.
func TestLoweredOverlapShortensARunningOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := activeOf(w.issue("training")).Name
	w.edit("training", func(t *v1alpha1.ApiToken) { t.Spec.Rotation.Generation = 1 })
	second := activeOf(w.waitReplaced("training", first)).Name
	retireAt := func() time.Time {
		for _, e := range w.waitIdle("training").Status.Credentials {
			if e.Name == first && e.RetireAt != nil {
				return e.RetireAt.Time
			}
		}
		w.Fatalf("%s is not in its overlap", first)
		return time.Time{}
	}
	was := retireAt()
	w.edit("training", func(t *v1alpha1.ApiToken) { t.Spec.Rotation.Overlap = &metav1.Duration{Duration: 3 * time.Hour} })
	w.waitReady("training")
	if now := retireAt(); !now.Equal(was) {
		t.Errorf("a higher overlap moved the end from %s to %s", was, now)
	}
	w.edit("training", func(t *v1alpha1.ApiToken) { t.Spec.Rotation.Overlap = &metav1.Duration{Duration: time.Minute} })
	w.advanceUntil(time.Minute, "training", func() string {
		if n := len(w.token("training").Status.Credentials); n != 1 {
			return fmt.Sprintf("%d credentials are in the ledger", n)
		}
		return ""
	})
	if passed := w.clock.Now().Sub(epoch); passed > 10*time.Minute {
		t.Errorf("the overlap of a minute ended after %s", passed)
	}
	w.expectLive(second)
}

// The annotation names the credential in use. An event says that it is not ended. At the next rotation
// it is revoked without an overlap.
func TestEndAnnotationOfCredentialInUseTakesEffectAtRotation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := activeOf(w.issue("training")).DeepCopy()
	w.annotateEnd(first.Name)
	w.expectEvent("EndIgnored", "It then ends at once, without an overlap, unless the annotation is removed first")
	w.waitIdle("training")
	w.expectLive(first.Name)

	w.edit("training", rotateTo(1))
	second := activeOf(w.waitReplaced("training", first.Name)).DeepCopy()
	w.expectLive(second.Name)
	if now := w.clock.Now(); !now.Equal(epoch) {
		t.Errorf("it ended %s after the rotation", now.Sub(epoch))
	}
	w.expectAudit(`"audit"="call"`, `"operation"="revoke"`, first.ID, `"reason"="EndRequested"`)
}

// The annotation is removed before the rotation, so the named credential keeps its overlap.
func TestRemovedEndAnnotationKeepsTheOverlap(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := activeOf(w.issue("training")).Name
	w.annotateEnd(first)
	w.expectEvent("EndIgnored", "raise spec.rotation.generation")
	w.edit("training", func(t *v1alpha1.ApiToken) { delete(t.Annotations, v1alpha1.AnnotationEnd) })
	w.edit("training", rotateTo(1))
	second := activeOf(w.waitReplaced("training", first)).Name
	w.waitIdle("training")
	w.expectLive(first, second)
}
