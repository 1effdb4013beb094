package apitoken_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"apitoken.dev/operator/api/v1alpha1"
)

const day = 24 * time.Hour

func TestFirstIssuePublishesTheCredential(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.issue("training", func(t *v1alpha1.ApiToken) {
		t.Spec.Secret = v1alpha1.SecretTarget{
			Name: "training-s3", Labels: map[string]string{"team": "ml"},
			Annotations: map[string]string{"reloader.stakater.com/match": "true"},
		}
	})
	active := activeOf(token)
	if name := w.usableCredential("training-s3"); name != active.Name {
		t.Errorf("the Secret names %s, the ledger %s", name, active.Name)
	}
	w.expectLiveCount(1)
	secret := w.secret("training-s3")
	wantKeys := []string{"AWS_ACCESS_KEY_ID", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_REGION", "AWS_SECRET_ACCESS_KEY", "BUCKET_NAME"}
	if diff := cmp.Diff(wantKeys, slices.Sorted(maps.Keys(secret.Data))); diff != "" {
		t.Errorf("keys of the Secret (-want +got):\n%s", diff)
	}
	checkOwner(t, secret, token)
	if secret.Labels["team"] != "ml" || secret.Labels[v1alpha1.LabelManaged] != "true" || secret.Annotations["reloader.stakater.com/match"] != "true" {
		t.Errorf("labels %v, annotations %v", secret.Labels, secret.Annotations)
	}
	expires := epoch.Add(90 * day)
	wantAnnotations := map[string]string{
		v1alpha1.AnnotationToken: "training", v1alpha1.AnnotationCluster: cluster, v1alpha1.AnnotationCredential: active.Name,
		v1alpha1.AnnotationCredentialID: active.ID, v1alpha1.AnnotationAccount: "fake-account",
		v1alpha1.AnnotationIssuedAt: epoch.Format(time.RFC3339), v1alpha1.AnnotationExpiresAt: expires.Format(time.RFC3339),
	}
	for key, want := range wantAnnotations {
		if got := secret.Annotations[key]; got != want {
			t.Errorf("annotation %s is %q, want %q", key, got, want)
		}
	}
	s := token.Status
	if !s.ExpiresAt.Time.Equal(expires) || s.Secret.Name != "training-s3" || s.Revision != 1 || s.ExpiryEnforcedBy != "Provider" || s.Retry != nil {
		t.Errorf("status: %+v", s)
	}
	if s.RotatesAt == nil || s.RotatesAt.After(expires.Add(-30*day)) || s.RotatesAt.Time.Before(epoch.Add(45*day)) {
		t.Errorf("rotates at %v", s.RotatesAt)
	}
	if want := (v1alpha1.EffectiveValues{ExpiresIn: "2160h", Before: "720h", Overlap: "1h"}); s.Effective != want {
		t.Errorf("effective values %+v", s.Effective)
	}
	for _, kind := range []string{v1alpha1.ConditionReady, v1alpha1.ConditionIssued, v1alpha1.ConditionPublished} {
		if !meta.IsStatusConditionTrue(s.Conditions, kind) {
			t.Errorf("%s is not True", kind)
		}
	}
	if len(s.Conditions) != 3 {
		t.Errorf("more conditions than Ready, Issued and Published: %+v", s.Conditions)
	}
	w.expectEvent("Issued", active.Name)
}

func checkOwner(t *testing.T, secret *corev1.Secret, token *v1alpha1.ApiToken) {
	t.Helper()
	c := metav1.GetControllerOf(secret)
	if c == nil || c.Kind != "ApiToken" || c.Name != token.Name || c.UID != token.UID || len(secret.OwnerReferences) != 1 {
		t.Errorf("owner references: %+v", secret.OwnerReferences)
	}
}

// The test covers the whole life of a credential.
func TestRotationRevokesAfterTheOverlap(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.issue("training")
	first, since := activeOf(token).Name, readySince(t, token)
	due := token.Status.RotatesAt.Time

	w.clock.AdvanceTo(due.Add(-3 * time.Second))
	w.waitIdle("training")
	w.expectMints(1)

	w.advance(4 * time.Second) // the status has whole seconds
	token = w.waitReplaced("training", first)
	second := activeOf(token).Name
	if name := w.usableCredential("training"); name != second {
		t.Errorf("the Secret names %s, want %s", name, second)
	}
	w.expectLive(first, second)
	old := inState(token, v1alpha1.StateRetiring)
	if old == nil || old.Name != first || !old.RetireAt.Time.Equal(w.clock.Now().Add(time.Hour+time.Second)) {
		t.Fatalf("the previous credential: %+v", old)
	}
	if activeOf(token).Reason != "Scheduled" || *token.Status.MintBudget != (v1alpha1.MintBudget{Remaining: 4, RefilledAt: metav1.NewTime(epoch.Local())}) {
		t.Errorf("a scheduled rotation cost from the budget: %+v", token.Status.MintBudget)
	}

	w.clock.AdvanceTo(old.RetireAt.Add(-3 * time.Second))
	w.waitIdle("training")
	w.expectLive(first, second)

	w.advance(3 * time.Second)
	w.expectLive(second)
	token = w.waitIdle("training")
	if len(token.Status.Credentials) != 1 {
		t.Errorf("ledger: %+v", token.Status.Credentials)
	}
	w.expectEvent("Revoked", first)
	w.usableCredential("training")
	w.expectMints(2)
	if again := readySince(t, token); !again.Equal(&since) {
		t.Errorf("Ready was not True all the time: since %v, then since %v", since, again)
	}
}

func readySince(t *testing.T, token *v1alpha1.ApiToken) metav1.Time {
	t.Helper()
	c := meta.FindStatusCondition(token.Status.Conditions, v1alpha1.ConditionReady)
	if c == nil || c.Status != metav1.ConditionTrue {
		t.Fatalf("not Ready: %+v", token.Status.Conditions)
	}
	return c.LastTransitionTime
}

func TestRaisedRotationGenerationRotates(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := activeOf(w.issue("training")).Name
	raise := func(to int64) func(*v1alpha1.ApiToken) {
		return func(t *v1alpha1.ApiToken) { t.Spec.Rotation.Generation = to }
	}
	w.edit("training", raise(3))
	token := w.waitReplaced("training", first)
	second := activeOf(token)
	if second.Reason != "RotationRequested" || second.RotationGeneration != 3 {
		t.Errorf("the new credential: %+v", second)
	}
	w.expectLive(first, second.Name)

	w.edit("training", raise(1)) // a revert
	w.waitReady("training")
	w.edit("training", raise(3)) // and the revert of that
	w.waitReady("training")
	w.waitIdle("training")
	w.expectMints(2)

	w.edit("training", raise(4))
	token = w.waitReplaced("training", second.Name)
	w.expectMints(3)
	w.advance(2 * time.Hour)
	w.expectLive(activeOf(token).Name)
	w.usableCredential("training")
}

func TestSuspendStopsIssuingButNotRevocation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := activeOf(w.issue("training")).Name
	w.edit("training", func(t *v1alpha1.ApiToken) { t.Spec.Rotation.Generation = 1 })
	second := activeOf(w.waitReplaced("training", first)).Name

	w.edit("training", func(t *v1alpha1.ApiToken) { t.Spec.Suspend = true })
	w.expectCondition("training", v1alpha1.ConditionReady, v1alpha1.ReasonSuspended, "holds credential", "spec.suspend")
	w.waitReady("training") // the Secret still has a valid credential
	w.advance(2 * time.Hour)
	w.expectLive(second) // due revocations still happen
	w.edit("training", func(t *v1alpha1.ApiToken) { t.Spec.Rotation.Generation = 2 })
	w.expectCondition("training", v1alpha1.ConditionReady, v1alpha1.ReasonSuspended, "spec.suspend", "still holds credential")
	w.advance(70 * day) // the rotation would be due
	token := w.waitIdle("training")
	if token.Status.RotatesAt != nil || activeOf(token).Name != second {
		t.Errorf("status: %+v", token.Status)
	}
	w.expectMints(2)

	w.edit("training", func(t *v1alpha1.ApiToken) { t.Spec.Suspend = false })
	w.waitReplaced("training", second)
	w.usableCredential("training")
	w.expectMints(3)

	w.edit("training", func(t *v1alpha1.ApiToken) { t.Spec.Suspend = true })
	w.delete("training") // suspend does not stop a deletion
	w.expectGone("training")
	w.expectLive()
}

func TestExpiresAtEndsAccess(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	end := epoch.Add(30 * day)
	endAt := func(at time.Time) func(*v1alpha1.ApiToken) {
		return func(t *v1alpha1.ApiToken) { t.Spec.ExpiresAt = v1alpha1.NewTimestamp(at) }
	}
	token := w.issue("training", endAt(end))
	if !token.Status.ExpiresAt.Time.Equal(end) || token.Status.RotatesAt != nil {
		t.Errorf("expires %v, rotates %v", token.Status.ExpiresAt, token.Status.RotatesAt)
	}
	w.clock.AdvanceTo(end.Add(-3 * time.Second))
	w.waitIdle("training")
	w.usableCredential("training")
	w.expectMints(1)

	w.advance(3 * time.Second)
	w.expectStalled("training", v1alpha1.ReasonExpired, "spec.expiresAt", "raise")
	w.Until(func() string {
		if w.secret("training") != nil {
			return "the Secret still exists"
		}
		return ""
	})
	w.expectLive()
	token = w.waitIdle("training")
	if len(token.Status.Credentials) > 0 || token.Status.ExpiresAt != nil || token.Status.Secret.ResourceVersion != "" {
		t.Errorf("status: %+v", token.Status)
	}
	w.expectEvent("Expired", "training")

	w.edit("training", endAt(end.Add(30*day)))
	w.waitReady("training")
	w.usableCredential("training")
	w.expectLiveCount(1)
	w.expectMints(2)
}

// The operator compares whole seconds, so one credential lasts until an end with a fraction.
func TestFractionOfASecondInExpiresAtIssuesOneCredential(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	end := epoch.Add(time.Minute)
	text := v1alpha1.Timestamp(end.Format("2006-01-02T15:04:05") + ".5Z")
	token := w.issue("training", func(t *v1alpha1.ApiToken) { t.Spec.ExpiresAt = &text })
	if !token.Status.ExpiresAt.Time.Equal(end) || token.Status.RotatesAt != nil || *token.Spec.ExpiresAt != text {
		t.Errorf("expires %v, rotates %v, declared %s", token.Status.ExpiresAt, token.Status.RotatesAt, *token.Spec.ExpiresAt)
	}
	w.passTime(11*time.Second, 5) // past the last possible rotation
	w.usableCredential("training")
	w.expectMints(1)
	w.advance(5 * time.Second)
	w.expectStalled("training", v1alpha1.ReasonExpired, "spec.expiresAt")
	w.waitIdle("training")
	w.passTime(500*time.Millisecond, 2)
	w.expectMints(1)
	w.expectLive()
}

func TestDeletionRevokesEverything(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := activeOf(w.issue("training")).Name
	w.edit("training", func(t *v1alpha1.ApiToken) { t.Spec.Rotation.Generation = 1 })
	w.waitReplaced("training", first)
	w.expectLiveCount(2)
	checkOwner(t, w.secret("training"), w.token("training")) // needed for garbage collection
	w.delete("training")
	w.expectGone("training")
	w.expectLive()
}

func TestDeletionOfUnissuedTokenNeedsNoProvider(t *testing.T) {
	t.Parallel()
	w := newEmptyWorld(t)
	w.start()
	w.declare("training")
	w.expectStalled("training", v1alpha1.ReasonProviderNotFound)
	w.delete("training")
	w.expectGone("training")
}

func TestDeletionWaitsForRevocation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.issue("training")
	w.hook(rejecting("Revoke", "PermissionDenied"))
	w.delete("training")
	w.expectCondition("training", v1alpha1.ConditionReady, v1alpha1.ReasonDeleting, "revoke")
	w.expectLiveCount(1)
	w.hook(nil)
	w.expectGone("training")
	w.expectLive()
}

func TestRetainKeepsSecretAndCredential(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	retain := func(t *v1alpha1.ApiToken) { t.Spec.DeletionPolicy = v1alpha1.DeletionRetain }
	name := activeOf(w.issue("training", retain)).Name
	before := w.secret("training")
	if len(before.OwnerReferences) > 0 {
		t.Errorf("a retained Secret has owners: %+v", before.OwnerReferences)
	}
	calls := len(w.backend.Calls())
	w.excused[name] = true
	w.delete("training")
	w.expectGone("training")
	if n := len(w.backend.Calls()); n != calls {
		t.Errorf("releasing the ApiToken took %d calls of the provider", n-calls)
	}
	if kept := w.usableCredential("training"); kept != name {
		t.Errorf("the Secret holds %s", kept)
	}
	if kept := w.secret("training"); kept.Annotations[v1alpha1.AnnotationRetained] != "true" || len(kept.OwnerReferences) > 0 {
		t.Errorf("annotations %v, owners %v", kept.Annotations, kept.OwnerReferences)
	}

	token := w.issue("training")
	if got := activeOf(token); got.Name != name || got.Reason != "Restored" {
		t.Errorf("adopted %+v", got)
	}
	w.Until(func() string {
		if s := w.secret("training"); metav1.GetControllerOf(s) == nil || s.Annotations[v1alpha1.AnnotationRetained] != "" {
			return "the Secret is not owned again"
		}
		return ""
	})
	checkOwner(t, w.secret("training"), token)
	if diff := cmp.Diff(before.Data, w.secret("training").Data); diff != "" {
		t.Errorf("the data of the Secret changed:\n%s", diff)
	}
	w.expectMints(1)
}

func TestRetainCanBeSetWhileDeletionWaits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	name := activeOf(w.issue("training")).Name
	w.excused[name] = true
	w.hook(rejecting("Revoke", "PermissionDenied"))
	w.delete("training")
	w.expectCondition("training", v1alpha1.ConditionReady, v1alpha1.ReasonDeleting, "revoke")
	w.edit("training", func(t *v1alpha1.ApiToken) { t.Spec.DeletionPolicy = v1alpha1.DeletionRetain })
	w.expectGone("training")
	if kept := w.secret("training"); len(kept.OwnerReferences) > 0 {
		t.Errorf("owners %v", kept.OwnerReferences)
	}
	w.usableCredential("training")
}
