package apitoken_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	eventsv1 "k8s.io/api/events/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/operator"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/test/support/fake"
	"apitoken.dev/operator/test/support/testutil"
)

// expectAudit waits for a line of the audit trail with these parts.
func (w *world) expectAudit(parts ...string) {
	w.Helper()
	w.Until(func() string {
		if w.log.Count(append(parts, `"msg"="audit"`)...) > 0 {
			return ""
		}
		return fmt.Sprintf("no audit line has %q", parts)
	})
}

// expectEventAbout waits for an event that refers to a credential and whose note has its id.
func (w *world) expectEventAbout(reason string, e *v1alpha1.LedgerEntry) {
	w.Helper()
	w.Until(func() string {
		var events eventsv1.EventList
		w.OK(w.List(w.Context(), &events, client.InNamespace(w.ns)))
		for i := range events.Items {
			ev := &events.Items[i]
			if ev.Reason == reason && ev.Related != nil && strings.Contains(ev.Related.FieldPath, e.Name) && strings.Contains(ev.Note, e.ID) {
				return ""
			}
		}
		return fmt.Sprintf("no event %s about %s says its id %s", reason, e.Name, e.ID)
	})
}

// Each call has an audit line before and after it. Each outcome has a line and an event with the id.
func TestLifeIsAudited(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := activeOf(w.issue("training")).DeepCopy()
	w.expectAudit(`"audit"="call"`, `"operation"="mint"`, first.Name, `"reason"="Initial"`, `"askedBy"="spec"`, `"name"="training"`,
		`"namespace"="`+w.ns+`"`, `"provider"="`+storeName+`"`, `"providerKind"="TokenProvider"`)
	w.expectAudit(`"audit"="outcome"`, `"operation"="mint"`, first.Name, `"result"="ok"`, `"keyID"="`+first.ID+`"`)
	w.expectAudit(`"found"="Issued"`, first.Name, first.ID)
	w.expectAudit(`"found"="ProviderReady"`, `"provider"="`+storeName+`"`)
	w.expectEventAbout("Issued", first)

	w.edit("training", func(t *v1alpha1.ApiToken) { t.Spec.Rotation.Generation = 1 })
	second := activeOf(w.waitReplaced("training", first.Name)).DeepCopy()
	w.expectAudit(`"audit"="call"`, `"operation"="mint"`, second.Name, `"reason"="RotationRequested"`, `"askedBy"="spec.rotation.generation"`)
	w.expectAudit(`"found"="Rotated"`, first.Name, first.ID)
	w.expectEventAbout("Rotated", first)

	w.passTime(2*time.Hour, 1)
	w.expectEventAbout("Revoked", first)
	w.expectAudit(`"audit"="call"`, `"operation"="revoke"`, first.Name, first.ID, `"reason"="Replaced"`, `"askedBy"="spec.rotation.generation"`)
	w.expectAudit(`"found"="Revoked"`, first.Name, first.ID)

	w.delete("training")
	w.expectGone("training")
	w.expectEventAbout("Revoked", second)
	w.expectAudit(`"audit"="outcome"`, `"operation"="revoke"`, second.Name, second.ID, `"reason"="Deleted"`, `"askedBy"="metadata.deletionTimestamp"`)
	w.expectAudit(`"found"="Revoked"`, second.Name, second.ID, `"reason"="Deleted"`)
}

// For two previous credentials, each line has the reason of its own replacement.
func TestRevocationIsAuditedWithItsOwnReplacement(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := activeOf(w.issue("training")).DeepCopy()
	w.edit("training", func(t *v1alpha1.ApiToken) { t.Spec.Buckets = append(t.Spec.Buckets, "archive") })
	second := activeOf(w.waitReplaced("training", first.Name)).DeepCopy()
	w.edit("training", func(t *v1alpha1.ApiToken) { t.Spec.Rotation.Generation = 1 })
	w.waitReplaced("training", second.Name)
	w.passTime(2*time.Hour, 1)
	w.expectAudit(`"audit"="call"`, `"operation"="revoke"`, first.Name, `"reason"="Replaced"`, `"askedBy"="spec"`)
	w.expectAudit(`"found"="Revoked"`, first.Name, `"reason"="Replaced"`, `"askedBy"="spec"`)
	w.expectAudit(`"found"="Revoked"`, second.Name, `"reason"="Replaced"`, `"askedBy"="spec.rotation.generation"`)
}

// Nothing revokes a retained credential, so the event and the line have its id.
func TestRetainedIsAudited(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := activeOf(w.issue("training", func(t *v1alpha1.ApiToken) { t.Spec.DeletionPolicy = v1alpha1.DeletionRetain })).DeepCopy()
	w.excused[e.Name] = true
	w.delete("training")
	w.expectGone("training")
	w.expectAudit(`"found"="Retained"`, e.Name, e.ID)
	w.expectEvent("Retained", e.ID)
}

// The process ends during a Mint, after the line before the call. The next process writes what it found.
func TestCrashLosesAnOutcomeOnly(t *testing.T) {
	t.Parallel()
	w, _, open := newUnresolvedWorld(t)
	w.expectAudit(`"audit"="call"`, `"operation"="mint"`, open, `"reason"="RotationRequested"`)
	if n := w.log.Count(`"msg"="audit"`, `"audit"="outcome"`, open); n != 0 {
		t.Errorf("a process that ended wrote %d outcomes", n)
	}
	w.log = &testutil.Log{}
	w.start()
	w.Until(func() string {
		if w.log.Count(`"found"="Abandoned"`, open, `"askedBy"="recovery"`) > 0 && w.log.Count(`"found"="Revoked"`, open, `"reason"="AttemptAbandoned"`) > 0 {
			return ""
		}
		w.clock.Advance(time.Minute)
		return "the next process did not write what became of " + open
	})
}

// The outcome of a Mint without an answer is in doubt. A later line has the final outcome.
func TestLostAnswerIsAudited(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.backend.Script(fake.Mint, fake.Fault{Kind: fake.LoseAnswer})
	w.declare("training")
	w.expectAudit(`"audit"="call"`, `"operation"="mint"`, `"name"="training"`)
	w.expectAudit(`"audit"="outcome"`, `"operation"="mint"`, `"result"="in_doubt"`)
	w.expectAudit(`"found"="Abandoned"`, `"name"="training"`, `"askedBy"="recovery"`)
	w.expectEvent("Abandoned", "was abandoned: its credential, if it created one, will be revoked")
	w.waitHealed("training")
	w.expectAudit(`"audit"="call"`, `"operation"="revoke"`, `"reason"="AttemptAbandoned"`)
	w.expectAudit(`"found"="Revoked"`, `"reason"="AttemptAbandoned"`)
}

// The credential was published but not recorded. The next process adopts it.
func TestAdoptionAfterRestartIsAudited(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.issue("training")
	w.waitIdle("training")
	w.operator.stop(w)
	e := w.interruptAttempt(v1alpha1.StateMinting)
	w.log = &testutil.Log{}
	w.start(func(o *operator.Options) { o.Logger = w.log.Logger(5) })
	w.waitReady("training")
	w.expectAudit(`"found"="Adopted"`, e.Name)
	w.Until(func() string {
		if active := activeOf(w.token("training")); active == nil || active.ID == "" {
			return "the id is not known yet"
		}
		return ""
	})
	w.expectAudit(`"found"="Adopted"`, e.Name, `"keyID"="`+e.ID+`"`)
	w.expectEventAbout("Adopted", &e)
	w.expectEvent("Adopted", ": an interrupted attempt had already published it in the Secret")
}

// The event library merges events with the same reason and the same references.
func TestEachRevokedCredentialHasAnEvent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var all []*v1alpha1.LedgerEntry
	all = append(all, activeOf(w.issue("training")).DeepCopy())
	for generation := range int64(2) {
		w.edit("training", func(t *v1alpha1.ApiToken) { t.Spec.Rotation.Generation = generation + 1 })
		all = append(all, activeOf(w.waitReplaced("training", all[generation].Name)).DeepCopy())
	}
	w.delete("training")
	w.expectGone("training")
	for _, e := range all {
		w.expectEventAbout("Revoked", e)
	}
}

// The credential belongs to the ApiToken by its name, and is not in the ledger.
func TestUnlistedCredentialRevokedAtDeletionIsReported(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := activeOf(w.issue("training")).DeepCopy()
	w.edit("training", func(t *v1alpha1.ApiToken) { t.Spec.Rotation.Generation = 1 })
	w.waitReplaced("training", e.Name)
	w.excused[e.Name] = true
	w.editStatus(func(s *v1alpha1.ApiTokenStatus) {
		for i := range s.Credentials {
			if s.Credentials[i].Name == e.Name {
				s.Credentials = append(s.Credentials[:i], s.Credentials[i+1:]...)
				return
			}
		}
	})
	w.delete("training")
	w.expectGone("training")
	w.expectEvent("Revoked", e.Name)
	w.expectAudit(`"audit"="call"`, `"operation"="revoke"`, e.Name, `"reason"="Deleted"`)
}

// A change in place has no answer. A line says that the credential may have changed, and then another
// one is issued.
func TestInterruptedUpdateIsAudited(t *testing.T) {
	t.Parallel()
	w := newUpdatingWorld(t)
	first := activeOf(w.issue("training")).DeepCopy()
	w.backend.Script(fake.Update, fake.Fault{Kind: fake.LoseAnswer})
	w.edit("training", readWrite)
	w.expectAudit(`"audit"="outcome"`, `"operation"="update"`, first.Name, `"result"="in_doubt"`)
	w.waitIdle("training")
	w.passTime(time.Minute, 2)
	w.waitReplaced("training", first.Name)
	w.expectAudit(`"found"="UpdateUnknown"`, `"name"="training"`, first.Name, `"keyID"="`+first.ID+`"`, `"reason"="SpecChanged"`, `"askedBy"="spec"`)
	if w.log.Count(`"found"="Updated"`) > 0 {
		t.Error("a line says that the credential was changed, but the outcome is unknown")
	}
}

// RevokeFirst revokes the credential in use to free its slot.
func TestRevokeFirstIsAudited(t *testing.T) {
	t.Parallel()
	w := newTwoSlotWorld(t)
	first := activeOf(w.issue("training", revokeFirst)).DeepCopy()
	w.createStranger()
	w.edit("training", rotateTo(1))
	w.waitReplaced("training", first.Name)
	why := []string{first.Name, `"keyID"="` + first.ID + `"`, `"reason"="RoomNeeded"`, `"askedBy"="spec.rotation.strategy"`}
	w.expectAudit(append([]string{`"audit"="call"`, `"operation"="revoke"`}, why...)...)
	w.expectAudit(append([]string{`"found"="Revoked"`}, why...)...)
	w.expectEvent("RotatedWithGap", "the credential was rotated with a gap")
}

// Access ends at spec.expiresAt, or when the credential expires and cannot be replaced.
func TestEndOfAccessIsAudited(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		atFirst func(*v1alpha1.ApiToken)
		after   time.Duration
		askedBy string
	}{
		"spec.expiresAt": {func(t *v1alpha1.ApiToken) { t.Spec.ExpiresAt = v1alpha1.NewTimestamp(epoch.Add(time.Hour)) }, time.Hour, "spec.expiresAt"},
		"expired":        {func(*v1alpha1.ApiToken) {}, 90 * day, "schedule"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newEmptyWorld(t)
			w.driver.Caps.ExpiryEnforcedBy = provider.EnforcedByOperator
			w.createMinter()
			w.createProvider()
			w.start()
			first := activeOf(w.issue("training", c.atFirst)).DeepCopy()
			w.edit("training", func(t *v1alpha1.ApiToken) { t.Spec.Suspend = true })
			w.waitIdle("training")
			w.advance(c.after)
			w.expectLive()
			why := []string{first.Name, `"keyID"="` + first.ID + `"`, `"reason"="AccessEnded"`, `"askedBy"="` + c.askedBy + `"`}
			w.expectAudit(append([]string{`"audit"="call"`, `"operation"="revoke"`}, why...)...)
			w.expectAudit(append([]string{`"found"="Revoked"`}, why...)...)
		})
	}
}
