package apitoken_test

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/test/support/fake"
	"apitoken.dev/operator/test/support/kit"
)

// newPanelWorld returns a world whose provider has manual credentials only.
func newPanelWorld(t *testing.T, edits ...func(*fake.Driver)) *world {
	t.Helper()
	w := newEmptyWorld(t)
	w.driver.Caps.ExpiryEnforcedBy = provider.EnforcedByUser
	w.driver.Caps.Updates = []provider.Field{provider.FieldAllowedIPs}
	w.driver.ManualForm = func(req provider.MintRequest) (provider.Form, bool) {
		return provider.Form{
			Where: "Panel > Add", Edit: "Panel > Edit", Revoke: "Panel > Delete",
			Fields: []provider.FormField{{Label: "Bucket", Value: req.Grant.Buckets[0]}},
			Keys:   []string{fake.KeyID, fake.KeySecret},
		}, true
	}
	for _, edit := range edits {
		edit(w.driver)
	}
	w.excused[""] = true // a user creates a credential before it has a credential name
	w.createMinter()
	w.createProvider()
	w.start()
	return w
}

// handOver creates a credential as a user does, and submits it to the ApiToken training.
// It returns the id.
func (w *world) handOver() string {
	w.Helper()
	keys := w.backend.MakeManual(provider.Grant{})
	w.submitSecret(map[string][]byte{
		fake.KeyID: []byte(keys[fake.KeyID].Reveal() + "\n"), fake.KeySecret: []byte(keys[fake.KeySecret].Reveal()),
	})
	return keys[fake.KeyID].Reveal()
}

func (w *world) submitSecret(data map[string][]byte) {
	w.Helper()
	w.Until(func() string {
		err := w.Create(w.Context(), &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: w.ns, Name: "training" + v1alpha1.HandoverSuffix,
				Labels: map[string]string{v1alpha1.LabelManaged: v1alpha1.ManagedHandover},
			},
			Data: data,
		})
		if apierrors.IsAlreadyExists(err) {
			return "an earlier handover is still there"
		}
		w.OK(err)
		return ""
	})
}

// expectActionRequired waits until the ApiToken training asks a user for an action.
func (w *world) expectActionRequired(reason string, parts ...string) {
	w.Helper()
	w.expectCondition("training", v1alpha1.ConditionActionRequired, reason, parts...)
}

// A manual credential is dropped once the user has deleted it.
func TestManualCredentialIsPublishedReplacedAndDropped(t *testing.T) {
	t.Parallel()
	w := newPanelWorld(t)
	w.declare("training")
	w.expectStalled("training", v1alpha1.ReasonActionRequired, "Panel > Add", "Bucket: datasets", "training-handover")
	w.expectActionRequired(v1alpha1.ReasonCreateCredential, "Bucket: datasets")

	first := w.handOver()
	token := w.waitReady("training")
	if e := activeOf(token); e.ID != first || !e.ByHand || token.Status.ExpiryEnforcedBy != "Person" {
		t.Errorf("ledger %+v, expiry enforced by %s", e, token.Status.ExpiryEnforcedBy)
	}
	firstName := w.usableCredential("training")
	w.Until(func() string {
		if w.secret("training-handover") != nil {
			return "the handover still exists"
		}
		return ""
	})
	token = w.waitIdle("training")
	if meta.FindStatusCondition(token.Status.Conditions, v1alpha1.ConditionActionRequired) != nil {
		t.Error("a user is still asked for an action")
	}

	w.clock.AdvanceTo(token.Status.RotatesAt.Add(2 * time.Second))
	w.touch("training")
	w.expectActionRequired(v1alpha1.ReasonCreateCredential, "Panel > Add")
	if !meta.IsStatusConditionTrue(w.token("training").Status.Conditions, v1alpha1.ConditionReady) {
		t.Error("a reminder makes the ApiToken not Ready")
	}
	second := w.handOver()
	token = w.waitReplaced("training", firstName)
	if activeOf(token).ID != second {
		t.Errorf("in use is %s, want %s", activeOf(token).ID, second)
	}
	if w.secret(firstName) == nil || !w.backend.Accepts(first, string(w.secret(firstName).Data[fake.KeySecret])) {
		t.Error("the copy of the old credential is missing")
	}
	w.advance(2 * time.Hour)
	w.expectActionRequired(v1alpha1.ReasonDeleteCredential, first, "Panel > Delete")
	w.passTime(time.Minute, 2)
	if token := w.token("training"); len(token.Status.Credentials) != 2 {
		t.Errorf("a live credential was dropped: %+v", token.Status.Credentials)
	}

	w.backend.DeleteManual(first)
	w.waitLedgerSize(1)
	w.expectEvent("DeletedByHand", first)
	if w.secret(firstName) != nil {
		t.Error("the copy of the old credential still exists")
	}
	w.deleteManual(second)
}

// deleteManual deletes the ApiToken training and then its credential, as a user does.
func (w *world) deleteManual(id string) {
	w.Helper()
	name := activeOf(w.token("training")).Name
	w.delete("training")
	w.expectStalled("training", v1alpha1.ReasonActionRequired, id, "Panel > Delete")
	w.backend.DeleteManual(id)
	w.clock.Advance(2 * time.Minute)
	w.touch("training")
	w.expectGone("training")
	if w.secret(name) != nil {
		w.Error("a copy of the credential still exists")
	}
}

func TestSubmittedCredentialStaysInSecrets(t *testing.T) {
	t.Parallel()
	w := newPanelWorld(t)
	w.declare("training")
	w.submitSecret(map[string][]byte{fake.KeyID: []byte("HAND0001"), fake.KeySecret: []byte(fake.Canary + "-wrong")})
	w.expectStalled("training", v1alpha1.ReasonHandoverRefused)
	w.deleteSecret("training-handover")
	id := w.handOver()
	name := activeOf(w.waitReady("training")).Name
	if !kit.Leaks(string(w.secret("training").Data[fake.KeySecret])) {
		t.Fatal("the Secret has no canary, so this test proves nothing")
	}
	w.deleteSecret("training")
	w.Until(func() string {
		if w.secret("training") == nil {
			return "the Secret is not put back"
		}
		return ""
	})
	w.waitIdle("training")
	w.deleteManual(id)
	w.backend.Delete(name)
	for what, text := range map[string]string{
		"the log": w.log.String(), "metrics": metricsText(t), "objects": w.objectsJSON(), "the provider's state": w.backend.State(),
	} {
		if kit.Leaks(text) {
			t.Errorf("%s contains a secret value: %s", what, leakingLines(text))
		}
	}
}

func TestRejectedHandoverSaysWhyAndCanBeReplaced(t *testing.T) {
	t.Parallel()
	w := newPanelWorld(t)
	w.declare("training")
	w.submitSecret(map[string][]byte{fake.KeyID: []byte("HAND0001"), fake.KeySecret: []byte("CANARY-wrong")})
	w.expectStalled("training", v1alpha1.ReasonHandoverRefused, "does not accept the keys", "Panel > Add")
	w.passTime(time.Minute, 3)
	w.expectMints(1)
	w.deleteSecret("training-handover")
	w.handOver()
	w.waitReady("training")
	w.expectMints(2)
}

// The write that records the rejection conflicts. The next submitted credential is still checked at
// once.
func TestRejectedHandoverSurvivesAConflict(t *testing.T) {
	t.Parallel()
	w := newPanelWorld(t)
	var once sync.Once
	w.hook(func(_ context.Context, call fake.Call) fake.Fault {
		if call.Verb == fake.Mint && call.Phase == fake.Before {
			once.Do(func() { w.touch("training") }) //nolint:contextcheck // it is the write of a user, not of the operator
		}
		return fake.Fault{}
	})
	w.declare("training")
	w.submitSecret(map[string][]byte{fake.KeyID: []byte("HAND0001"), fake.KeySecret: []byte(fake.Canary + "-wrong")})
	w.expectStalled("training", v1alpha1.ReasonHandoverRefused)
	if s := w.waitIdle("training").Status; s.Retry != nil || len(s.Credentials) > 0 {
		t.Errorf("left are the backoff %+v and %v", s.Retry, s.Credentials)
	}
	w.deleteSecret("training-handover")
	w.handOver()
	w.waitReady("training") // the clock stands, so it waited for nothing
}

// The operator has a copy, so no new credential is required.
func TestLostSecretOfManualCredentialIsPublishedAgain(t *testing.T) {
	t.Parallel()
	w := newPanelWorld(t)
	w.declare("training")
	w.handOver()
	name := activeOf(w.waitReady("training")).Name
	before := maps.Clone(w.secret("training").Data)
	for what, lose := range map[string]func(){
		"deleted": func() { w.deleteSecret("training") },
		"edited":  func() { w.editSecret("training", func(s *corev1.Secret) { s.Data[fake.KeySecret] = []byte("edited") }) },
	} {
		lose()
		w.Until(func() string {
			if s := w.secret("training"); s == nil || !slices.Equal(s.Data[fake.KeySecret], before[fake.KeySecret]) {
				return what + ": not restored"
			}
			return ""
		})
		w.waitIdle("training")
		if w.usableCredential("training") != name {
			t.Errorf("%s: another credential is in use", what)
		}
	}
	w.expectMints(1)
}

// A user edits the addresses at the provider, and confirms the edit with an annotation.
func TestEditOfManualCredentialIsRequestedAndRecorded(t *testing.T) {
	t.Parallel()
	w := newPanelWorld(t)
	w.declare("training")
	w.handOver()
	before := activeOf(w.waitReady("training"))
	w.edit("training", func(t *v1alpha1.ApiToken) { t.Spec.Restrictions.AllowedIPs = []v1alpha1.IPRange{"203.0.113.0/24"} })
	w.expectActionRequired(v1alpha1.ReasonEditCredential, "Panel > Edit", before.ID, v1alpha1.AnnotationEdited)
	w.edit("training", func(t *v1alpha1.ApiToken) {
		metav1.SetMetaDataAnnotation(&t.ObjectMeta, v1alpha1.AnnotationEdited, strconv.FormatInt(t.Generation, 10))
	})
	token := w.waitReady("training")
	if e := activeOf(token); e.Name != before.Name || e.Fingerprint == before.Fingerprint {
		t.Errorf("ledger: %+v", e)
	}
	if got := w.secret("training").Annotations[v1alpha1.AnnotationFingerprint]; got != activeOf(token).Fingerprint {
		t.Errorf("the Secret says %s", got)
	}
	w.expectMints(1)
}

// The limits for minted credentials do not apply.
func TestManualCredentialHasItsOwnLifetimeLimit(t *testing.T) {
	t.Parallel()
	const longest = 365 * day
	w := newPanelWorld(t, func(d *fake.Driver) {
		d.Caps.ExpiryEnforcedBy, d.Caps.MaxLifetime = provider.EnforcedByOperator, 0
		d.CapsFor = func(provider.Grant) provider.Capabilities {
			out := d.Caps
			out.ExpiryEnforcedBy, out.MaxLifetime = provider.EnforcedByUser, longest
			return out
		}
	})
	w.declare("training", func(t *v1alpha1.ApiToken) { t.Spec.ExpiresIn = &metav1.Duration{Duration: longest + time.Hour} })
	w.expectStalled("training", v1alpha1.ReasonLifetimeTooLong, "spec.expiresIn", longest.String())
	w.edit("training", func(t *v1alpha1.ApiToken) { t.Spec.ExpiresIn.Duration = longest })
	w.expectActionRequired(v1alpha1.ReasonCreateCredential, "Panel > Add")
	id := w.handOver()
	token := w.waitReady("training")
	if e := activeOf(token); e.ID != id || token.Status.ExpiryEnforcedBy != string(provider.EnforcedByUser) {
		t.Errorf("in use is %s, and its expiry is enforced by %s", e.ID, token.Status.ExpiryEnforcedBy)
	}
}

// An edit is recorded only once the credential works, even if a user confirms it earlier.
func TestFailedEditOfManualCredentialIsNotRecorded(t *testing.T) {
	t.Parallel()
	w := newPanelWorld(t)
	w.declare("training")
	w.handOver()
	before := activeOf(w.waitReady("training"))
	var refuses atomic.Bool
	refuses.Store(true)
	w.hook(func(_ context.Context, c fake.Call) fake.Fault {
		if c.Verb == fake.Accepts && c.Phase == fake.Before && refuses.Load() {
			return fake.Fault{Kind: fake.Reject}
		}
		return fake.Fault{}
	})
	w.edit("training", func(t *v1alpha1.ApiToken) { t.Spec.Restrictions.AllowedIPs = []v1alpha1.IPRange{"203.0.113.0/24"} })
	w.expectActionRequired(v1alpha1.ReasonEditCredential, "Panel > Edit", before.ID, v1alpha1.AnnotationEdited)
	w.edit("training", func(t *v1alpha1.ApiToken) {
		metav1.SetMetaDataAnnotation(&t.ObjectMeta, v1alpha1.AnnotationEdited, strconv.FormatInt(t.Generation, 10))
	})
	w.expectStalled("training", v1alpha1.ReasonActionRequired, before.ID, "does not work as declared", "Panel > Edit")
	if e := activeOf(w.token("training")); e.Fingerprint != before.Fingerprint {
		t.Errorf("the edit was recorded: %+v", e)
	}
	refuses.Store(false)
	w.advanceUntil(2*time.Minute, "training", func() string {
		if e := activeOf(w.token("training")); e.Name != before.Name || e.Fingerprint == before.Fingerprint {
			return "the edit is not recorded"
		}
		return ""
	})
	w.expectMints(1)
}

// The entry is dropped once a user has deleted the credential.
func TestHardEndOfManualCredentialDeletesTheSecret(t *testing.T) {
	t.Parallel()
	w := newPanelWorld(t)
	w.declare("training", func(t *v1alpha1.ApiToken) { t.Spec.ExpiresAt = v1alpha1.NewTimestamp(epoch.Add(time.Hour)) })
	id := w.handOver()
	w.waitReady("training")
	w.waitIdle("training")
	w.advance(time.Hour + time.Second)
	w.expectCondition("training", v1alpha1.ConditionStalled, v1alpha1.ReasonExpired)
	w.expectActionRequired(v1alpha1.ReasonDeleteCredential, id)
	if w.secret("training") != nil {
		t.Error("the Secret still exists")
	}
	w.backend.DeleteManual(id)
	w.waitLedgerSize(0)
}

// The operator probes with the copy to verify a deletion.
func TestCopyIsKeptUntilDeletionIsRecorded(t *testing.T) {
	t.Parallel()
	w := newPanelWorld(t)
	w.declare("training")
	id := w.handOver()
	w.waitReady("training")
	w.waitIdle("training")
	w.edit("training", func(t *v1alpha1.ApiToken) { t.Spec.Rotation.Overlap = &metav1.Duration{Duration: time.Second} })
	first := activeOf(w.waitIdle("training")).Name
	other := w.handOver()
	w.waitReplaced("training", first)
	w.backend.DeleteManual(id)
	w.duringFirst(fake.Accepts, func() { w.touch("training") }) // causes a write conflict
	w.waitLedgerSize(1)
	w.delete("training")
	w.expectStalled("training", v1alpha1.ReasonActionRequired, other)
	w.backend.DeleteManual(other)
	w.duringFirst(fake.Accepts, func() { w.touch("training") })
	w.touch("training")
	w.expectGone("training")
}

// waitLedgerSize advances the clock until the ledger of the ApiToken training has n entries. Once a
// minute, the operator probes a credential that a user must delete.
func (w *world) waitLedgerSize(n int) {
	w.Helper()
	for range 8 {
		w.passTime(time.Minute, 1)
		if len(w.token("training").Status.Credentials) == n {
			return
		}
	}
	w.Fatalf("%d credentials are in the ledger, want %d\n%s", len(w.token("training").Status.Credentials), n, w.dump())
}

func TestHandoverOfCredentialInUseIsDeleted(t *testing.T) {
	t.Parallel()
	w := newPanelWorld(t)
	w.declare("training")
	w.handOver()
	name := activeOf(w.waitReady("training")).Name
	id := activeOf(w.token("training")).ID
	w.Cleanup(func() { w.backend.DeleteManual(id) }) // the backend calls it after the attempt that was withdrawn
	w.waitIdle("training")
	data := w.secret("training").Data
	w.submitSecret(map[string][]byte{fake.KeyID: data[fake.KeyID], fake.KeySecret: data[fake.KeySecret]})
	w.Until(func() string {
		if w.secret("training-handover") != nil {
			return "it is still there"
		}
		return ""
	})
	w.waitIdle("training")
	w.waitLedgerSize(1) // a reservation whose withdrawal was not written must settle first
	if active := activeOf(w.token("training")); active == nil || active.Name != name {
		t.Errorf("in use: %+v", active)
	}
}

// A user must submit a new credential, and submits the one in use. The condition says that it is the
// same.
func TestSubmittingTheCredentialInUseAgainIsRejected(t *testing.T) {
	t.Parallel()
	w := newPanelWorld(t)
	w.declare("training")
	id := w.handOver()
	w.waitReady("training")
	w.Cleanup(func() { w.backend.DeleteManual(id) }) // the backend calls it after the attempt that was refused
	data := w.secret("training").Data
	w.edit("training", func(t *v1alpha1.ApiToken) { t.Spec.Rotation.Generation = 1 })
	w.expectActionRequired(v1alpha1.ReasonCreateCredential, "Panel > Add")
	w.expectStalled("training", v1alpha1.ReasonActionRequired, "Panel > Add")
	w.waitIdle("training")
	w.submitSecret(map[string][]byte{fake.KeyID: data[fake.KeyID], fake.KeySecret: data[fake.KeySecret]})
	w.expectStalled("training", v1alpha1.ReasonHandoverRefused, "credential "+id+" is already in use, and a different one is needed: create a new one")
	w.waitIdle("training")
	if w.secret("training-handover") == nil {
		t.Error("the Secret that the message names is gone")
	}
	w.deleteSecret("training-handover")
	second := w.handOver()
	if e := activeOf(w.waitReady("training")); e.ID != second {
		t.Errorf("in use is %s, want %s", e.ID, second)
	}
}

// The operator cannot verify this deletion.
func TestAnnotationConfirmsDeletionOfManualCredential(t *testing.T) {
	t.Parallel()
	w := newPanelWorld(t)
	w.declare("training")
	id := w.handOver()
	name := activeOf(w.waitReady("training")).Name
	w.excused[name] = true // the user is mistaken, and it is still live
	w.delete("training")
	w.expectStalled("training", v1alpha1.ReasonActionRequired, id, v1alpha1.AnnotationDeleted+"="+id)
	w.edit("training", func(t *v1alpha1.ApiToken) {
		metav1.SetMetaDataAnnotation(&t.ObjectMeta, v1alpha1.AnnotationDeleted, id)
	})
	w.expectGone("training")
	w.expectEvent("DeletedByHand", "annotation")
}

// No user is asked for an action.
func TestRetainKeepsManualCredential(t *testing.T) {
	t.Parallel()
	w := newPanelWorld(t)
	w.declare("training", func(t *v1alpha1.ApiToken) { t.Spec.DeletionPolicy = v1alpha1.DeletionRetain })
	w.handOver()
	name := activeOf(w.waitReady("training")).Name
	w.excused[name] = true
	w.delete("training")
	w.expectGone("training")
	if w.usableCredential("training") != name || w.secret(name) != nil {
		t.Error("the Secret must stay, and the copy must be deleted")
	}
}
