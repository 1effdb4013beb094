package secretstore

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"apitoken.dev/operator/api/v1alpha1"
)

func TestPublishCreatesTheSecret(t *testing.T) {
	b := newBench(t)
	seen := b.read()
	if seen.View.Exists || seen.Version != "" || !seen.View.Live {
		t.Fatalf("an absent Secret reads as %+v", seen.View)
	}
	wrote, err := b.publish(1, seen)
	b.ok(err)
	entry, _ := credential(1)
	want := allKeys(b.target.Connection, map[string]string{"AWS_ACCESS_KEY_ID": "KEY1", "AWS_SECRET_ACCESS_KEY": "CANARY-1"})
	secret := b.secret()
	if diff := cmp.Diff(want, asText(secret.Data)); diff != "" {
		t.Errorf("data (-want +got):\n%s", diff)
	}
	if secret.Labels[v1alpha1.LabelManaged] != "true" || secret.Labels["team"] != "ml" || secret.Annotations["example.com/a"] != "1" {
		t.Errorf("labels %v, annotations %v", secret.Labels, secret.Annotations)
	}
	if c := metav1.GetControllerOf(secret); c == nil || c.UID != b.target.Token.UID {
		t.Errorf("owners %+v", secret.OwnerReferences)
	}
	again := b.read()
	if again.Version != wrote.Version || again.View.Credential != entry.Name || !again.View.Intact || !current(again.View) || again.View.Foreign {
		t.Errorf("read again: %+v", again.View)
	}
	facts := again.View.Facts
	if facts.Account != "42" || facts.Fingerprint != "f00d" || facts.RotationGeneration != 7 || facts.Revision != 1 ||
		!facts.ExpiresAt.Equal(entry.ExpiresAt.Time) {
		t.Errorf("facts: %+v", facts)
	}
	wrote.View.Trusted, again.View.Trusted = false, false
	if diff := cmp.Diff(again.View, wrote.View); diff != "" {
		t.Errorf("the written snapshot differs from a read (-read +written):\n%s", diff)
	}
}

// TestPublishIsConditional: any change since the Secret was read makes it fail.
func TestPublishIsConditional(t *testing.T) {
	changes := map[string]func(b *bench, seen Snapshot){
		"a label":                   func(b *bench, _ Snapshot) { b.edit(func(s *corev1.Secret) { s.Labels["x"] = "y" }) },
		"an annotation":             func(b *bench, _ Snapshot) { b.edit(func(s *corev1.Secret) { s.Annotations["x"] = "y" }) },
		"a value":                   func(b *bench, _ Snapshot) { b.edit(func(s *corev1.Secret) { s.Data["x"] = []byte("y") }) },
		"another publish":           func(b *bench, _ Snapshot) { b.published(9) },
		"a fence":                   func(b *bench, seen Snapshot) { b.ok(b.store.Fence(b.Context(), b.target, seen, "at1-given-up")) },
		"a release":                 func(b *bench, seen Snapshot) { b.ok(b.store.Release(b.Context(), b.target, seen)) },
		"deleted and created again": func(b *bench, seen Snapshot) { b.ok(b.store.Delete(b.Context(), b.target, seen)); b.published(9) },
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			seen := b.published(1)
			change(b, seen)
			before := b.secret()
			_, err := b.publish(2, seen)
			b.conflicts(name, err)
			if diff := cmp.Diff(before, b.secret()); diff != "" {
				t.Errorf("a publish that failed changed the Secret:\n%s", diff)
			}
		})
	}
	t.Run("deleted", func(t *testing.T) {
		b := newBench(t)
		seen := b.published(1)
		b.ok(b.store.Delete(b.Context(), b.target, seen))
		if _, err := b.publish(2, seen); !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			t.Errorf("over a deleted Secret: %v", err)
		}
	})
	t.Run("created since", func(t *testing.T) {
		b := newBench(t)
		absent := b.read()
		b.published(1)
		_, err := b.publish(2, absent)
		b.conflicts("over what was absent", err)
	})
	t.Run("unchanged", func(t *testing.T) {
		b := newBench(t)
		b.edit1(b.published(1))
		seen := b.read()
		_, err := b.publish(2, seen)
		b.ok(err)
		if s := b.secret(); s.Labels["theirs"] != "stays" || string(s.Data["AWS_SECRET_ACCESS_KEY"]) != "CANARY-2" {
			t.Errorf("labels %v, data %v", s.Labels, asText(s.Data))
		}
	})
}

// edit1 adds another client's label and a fence.
func (b *bench) edit1(seen Snapshot) {
	b.Helper()
	b.ok(b.store.Fence(b.Context(), b.target, seen, "at1-given-up"))
	b.edit(func(s *corev1.Secret) { s.Labels["theirs"] = "stays" })
}

func TestFenceChangesTheVersionOnly(t *testing.T) {
	b := newBench(t)
	seen := b.published(1)
	before := b.secret()
	b.ok(b.store.Fence(b.Context(), b.target, seen, "at1-given-up"))
	after := b.secret()
	if after.Annotations[v1alpha1.AnnotationFence] != "at1-given-up" || after.ResourceVersion == before.ResourceVersion {
		t.Errorf("annotations %v", after.Annotations)
	}
	if diff := cmp.Diff(asText(before.Data), asText(after.Data)); diff != "" {
		t.Errorf("a fence changed the data:\n%s", diff)
	}
	now := b.read()
	if !now.View.Intact || !current(now.View) {
		t.Errorf("a fenced Secret reads as %+v", now.View)
	}
	b.conflicts("a second fence over the same version", b.store.Fence(b.Context(), b.target, seen, "at1-other"))
	_, err := b.publish(2, now)
	b.ok(err)
	if fence := b.secret().Annotations[v1alpha1.AnnotationFence]; fence != "" {
		t.Errorf("the fence %s is left after a publish", fence)
	}
}

func TestTryPublishWritesNothing(t *testing.T) {
	b := newBench(t)
	b.ok(b.store.TryPublish(b.Context(), b.target, b.read()))
	if b.read().View.Exists {
		t.Fatal("a dry run created a Secret")
	}
	seen := b.published(1)
	before := b.secret()
	b.ok(b.store.TryPublish(b.Context(), b.target, seen))
	if diff := cmp.Diff(before, b.secret()); diff != "" {
		t.Errorf("a dry run changed the Secret:\n%s", diff)
	}
	b.edit(func(s *corev1.Secret) { s.Labels["x"] = "y" })
	b.conflicts("over a changed Secret", b.store.TryPublish(b.Context(), b.target, seen))
}

// TestSyncLeavesTheCredential: metadata and connection change, the credential does not.
func TestSyncLeavesTheCredential(t *testing.T) {
	b := newBench(t)
	b.edit1(b.published(1))
	b.target.Token.Spec.Secret.Labels = map[string]string{"tier": "gold"}
	b.target.Token.Spec.Secret.Annotations = nil
	b.target.Connection = s3("https://s3.example.org", "eu-2", "a", "b")
	seen := b.read()
	if current(seen.View) || !seen.View.Intact {
		t.Fatalf("before: %+v", seen.View)
	}
	wrote, err := b.sync(seen)
	b.ok(err)
	secret := b.secret()
	want := allKeys(b.target.Connection, map[string]string{"AWS_ACCESS_KEY_ID": "KEY1", "AWS_SECRET_ACCESS_KEY": "CANARY-1"})
	if diff := cmp.Diff(want, asText(secret.Data)); diff != "" {
		t.Errorf("data (-want +got):\n%s", diff)
	}
	wantLabels := map[string]string{"tier": "gold", "theirs": "stays", v1alpha1.LabelManaged: "true"}
	if diff := cmp.Diff(wantLabels, secret.Labels); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
	if _, ok := secret.Annotations["example.com/a"]; ok {
		t.Error("an annotation that is no longer declared is left")
	}
	now := b.read()
	if !now.View.Intact || !current(now.View) || now.Version != wrote.Version || now.View.Facts != seen.View.Facts {
		t.Errorf("after: %+v", now.View)
	}
	if same, err := b.sync(now); err != nil || same.Version != now.Version {
		t.Errorf("a second Sync wrote %s: %v", same.Version, err)
	}
	b.target.Token.Spec.Secret.Labels = nil
	stale := b.read()
	b.edit(func(s *corev1.Secret) { s.Labels["x"] = "y" })
	_, err = b.sync(stale)
	b.conflicts("a Sync over what changed", err)
}

func TestReleasedSecretHasNoOwner(t *testing.T) {
	b := newBench(t)
	seen := b.published(1)
	before := b.secret()
	b.ok(b.store.Release(b.Context(), b.target, seen))
	after := b.secret()
	if len(after.OwnerReferences) > 0 || after.Annotations[v1alpha1.AnnotationRetained] != "true" {
		t.Errorf("owners %v, annotations %v", after.OwnerReferences, after.Annotations)
	}
	if diff := cmp.Diff(asText(before.Data), asText(after.Data)); diff != "" {
		t.Errorf("a release changed the data:\n%s", diff)
	}
	b.conflicts("a second release of the same version", b.store.Release(b.Context(), b.target, seen))

	// An ApiToken that takes it back is its owner again.
	wrote, err := b.sync(b.read())
	b.ok(err)
	if s := b.secret(); metav1.GetControllerOf(s) == nil || s.Annotations[v1alpha1.AnnotationRetained] != "" || wrote.View.Foreign {
		t.Errorf("owners %v, annotations %v", s.OwnerReferences, s.Annotations)
	}
}

func TestDeleteIsConditional(t *testing.T) {
	b := newBench(t)
	seen := b.published(1)
	b.edit(func(s *corev1.Secret) { s.Labels["x"] = "y" })
	b.conflicts("deleting what changed", b.store.Delete(b.Context(), b.target, seen))
	now := b.read()
	b.ok(b.store.Delete(b.Context(), b.target, now))
	b.ok(b.store.Delete(b.Context(), b.target, now)) // deleting it twice is no error
	b.published(2)
	b.conflicts("deleting one of the same name", b.store.Delete(b.Context(), b.target, now))
	b.secret()
}

// TestRetainedSecretNeverHasAnOwner: with deletionPolicy Retain, the Secret has no owner
// from the start.
func TestRetainedSecretNeverHasAnOwner(t *testing.T) {
	b := newBench(t)
	b.target.Token.Spec.DeletionPolicy = v1alpha1.DeletionRetain
	b.published(1)
	if s := b.secret(); len(s.OwnerReferences) > 0 {
		t.Errorf("owners %v", s.OwnerReferences)
	}
	b.target.Token.Spec.DeletionPolicy = v1alpha1.DeletionRevoke
	seen := b.read()
	if current(seen.View) {
		t.Error("the missing owner is not seen")
	}
	_, err := b.sync(seen)
	b.ok(err)
	if metav1.GetControllerOf(b.secret()) == nil {
		t.Error("no owner")
	}
}
