package secretstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/quiet"
	"apitoken.dev/operator/internal/trim"
)

// Publish writes the credential into the Secret on condition that it is unchanged since
// seen: absent, or at that version. It writes no other Secret and revokes nothing.
func (s *Store) Publish(ctx context.Context, t Target, seen Snapshot, entry *v1alpha1.LedgerEntry, minted provider.Minted) (Snapshot, error) {
	seen, err := s.full(ctx, t, seen)
	if err != nil {
		return Snapshot{}, err
	}
	secret := s.compose(t, seen, entry, issued(t, entry.Fingerprint, minted.Secret))
	delete(secret.Annotations, v1alpha1.AnnotationFence)
	return s.write(ctx, t, secret)
}

// TryPublish sends the write of Publish as a dry run, with empty values.
func (s *Store) TryPublish(ctx context.Context, t Target, seen Snapshot) error {
	seen, err := s.full(ctx, t, seen)
	if err != nil {
		return err
	}
	secret := s.compose(t, seen, &v1alpha1.LedgerEntry{}, issued(t, t.Fingerprint, nil))
	if secret.ResourceVersion == "" {
		return s.Client.Create(quiet.Context(ctx), secret, client.DryRunAll)
	}
	return s.Client.Update(quiet.Context(ctx), secret, client.DryRunAll)
}

// full completes a Secret with the metadata of other clients, which the cache does not
// hold. Every full write starts here. It fails with a conflict if the Secret no longer has
// the version of seen.
func (s *Store) full(ctx context.Context, t Target, seen Snapshot) (Snapshot, error) {
	if seen.View.Live || !seen.View.Exists {
		return seen, nil
	}
	now, err := s.Read(ctx, t)
	if err != nil {
		return Snapshot{}, err
	}
	if now.Version != seen.Version {
		return Snapshot{}, apierrors.NewConflict(corev1.Resource("secrets"), t.key().Name, errChanged)
	}
	return now, nil
}

var errChanged = errors.New("the Secret was changed after it was read")

// errEdited: the data of a Secret is not what the operator wrote, so it is not written
// back.
var errEdited = errors.New("the data of the Secret was changed by another client")

// compose returns the Secret to write. Metadata of other clients stays.
func (s *Store) compose(t Target, seen Snapshot, entry *v1alpha1.LedgerEntry, c contents) *corev1.Secret {
	secret := &corev1.Secret{ObjectMeta: *seen.meta.DeepCopy(), Type: corev1.SecretTypeOpaque, Data: c.data()}
	secret.ManagedFields = nil // an update without managedFields leaves them unchanged
	secret.Namespace, secret.Name = t.key().Namespace, t.key().Name
	s.setMetadata(t, &secret.ObjectMeta)
	sum := checksum(secret.Data)
	maps.Copy(secret.Annotations, map[string]string{
		v1alpha1.AnnotationCredential:   entry.Name,
		v1alpha1.AnnotationCredentialID: entry.ID,
		v1alpha1.AnnotationAccount:      entry.Account,
		v1alpha1.AnnotationFingerprint:  entry.Fingerprint,
		v1alpha1.AnnotationRotation:     strconv.FormatInt(entry.RotationGeneration, 10),
		v1alpha1.AnnotationIssuedAt:     stamp(entry.IssuedAt),
		v1alpha1.AnnotationExpiresAt:    stamp(entry.ExpiresAt),
		v1alpha1.AnnotationChecksum:     sum,
		v1alpha1.AnnotationKeys:         c.record(sum),
		v1alpha1.AnnotationLayout:       c.digests(t).String(),
	})
	return secret
}

// digests returns the digests of a Secret with these contents. A part that equals the
// target has the target's digest, and any other part has its own.
func (c contents) digests(t Target) digests {
	d := digestsOf(t)
	if !c.same(c.settings, t.Connection.Settings) {
		d.settings = digest(texts(c.settings))
	}
	if !c.same(c.declaration, t.Connection.Declaration) {
		d.declaration = digest(texts(c.declaration))
	}
	return d
}

// texts returns the values of a part of a connection, which contains no secrets.
func texts(part map[string]provider.Value) map[string]string {
	out := make(map[string]string, len(part))
	for k, v := range part {
		out[k] = v.Reveal()
	}
	return nilIfEmpty(out)
}

// Sync updates the selected parts of a Secret that holds the credential of a ledger entry.
// It never changes the keys of the credential. Without parts it writes nothing. It fails
// with a conflict if the data of the Secret is not what the operator wrote.
func (s *Store) Sync(ctx context.Context, t Target, seen Snapshot, entry *v1alpha1.LedgerEntry, parts plan.SyncSecret) (Snapshot, error) {
	seen, err := s.full(ctx, t, seen)
	if err != nil {
		return Snapshot{}, err
	}
	if !seen.View.Intact || seen.View.Credential != entry.Name {
		return Snapshot{}, apierrors.NewConflict(corev1.Resource("secrets"), t.key().Name, errEdited)
	}
	if parts == (plan.SyncSecret{}) {
		return seen, nil
	}
	secret := s.compose(t, seen, entry, seen.contents.follow(t, parts.Settings, parts.Declaration))
	if !t.hasDriver() && !seen.recorded {
		delete(secret.Annotations, v1alpha1.AnnotationKeys) // without a driver this would be a guess
	}
	return s.write(ctx, t, secret)
}

// write creates or updates, conditional on the version in the object.
func (s *Store) write(ctx context.Context, t Target, secret *corev1.Secret) (Snapshot, error) {
	var err error
	if secret.ResourceVersion == "" {
		err = s.Client.Create(quiet.Context(ctx), secret)
	} else {
		err = s.Client.Update(quiet.Context(ctx), secret)
	}
	if err != nil {
		return Snapshot{}, err
	}
	return s.wrote(t, secret), nil
}

// wrote records and describes a Secret that this process has just written.
func (s *Store) wrote(t Target, secret *corev1.Secret) Snapshot {
	secret.ManagedFields = nil
	s.recent.remember(t.key(), secret.ObjectMeta, s.Clock.Monotonic())
	out := s.live(t, secret)
	out.View.Trusted, out.Written = true, true
	return out
}

// Fence writes the name of an abandoned attempt into the annotations of the Secret on
// condition that it is unchanged since seen. A publish of that attempt then fails with a
// conflict.
func (s *Store) Fence(ctx context.Context, t Target, seen Snapshot, name string) error {
	return s.patchMeta(ctx, t, seen, map[string]any{"annotations": map[string]any{v1alpha1.AnnotationFence: name}})
}

// Release removes the ApiToken's owner reference, so that the Secret outlives the ApiToken,
// and marks the Secret as retained. Other owner references stay.
func (s *Store) Release(ctx context.Context, t Target, seen Snapshot) error {
	seen, err := s.full(ctx, t, seen)
	if err != nil {
		return err
	}
	var owners any // a patch with null removes the list
	if others := othersOf(seen.meta.OwnerReferences); len(others) > 0 {
		owners = others
	}
	return s.patchMeta(ctx, t, seen, map[string]any{
		"ownerReferences": owners,
		"annotations":     map[string]any{v1alpha1.AnnotationRetained: "true"},
	})
}

func (s *Store) patchMeta(ctx context.Context, t Target, seen Snapshot, meta map[string]any) error {
	meta["resourceVersion"], meta["uid"] = seen.Version, string(seen.meta.UID)
	body, err := json.Marshal(map[string]any{"metadata": meta})
	if err != nil {
		return fmt.Errorf("encoding a patch of the Secret's metadata: %w", err)
	}
	m := trim.Metadata("Secret")
	m.Namespace, m.Name = t.key().Namespace, t.key().Name
	if err := s.Client.Patch(ctx, m, client.RawPatch(types.MergePatchType, body)); err != nil {
		return err
	}
	s.recent.remember(t.key(), m.ObjectMeta, s.Clock.Monotonic())
	return nil
}

// Delete deletes the Secret on condition that it is unchanged since seen.
func (s *Store) Delete(ctx context.Context, t Target, seen Snapshot) error {
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: t.key().Namespace, Name: t.key().Name}}
	uid, version := seen.meta.UID, seen.Version
	err := s.Client.Delete(quiet.Context(ctx), secret, client.Preconditions{UID: &uid, ResourceVersion: &version})
	s.recent.forget(t.key())
	return client.IgnoreNotFound(err)
}

func stamp(t *metav1.Time) string {
	if t == nil {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
