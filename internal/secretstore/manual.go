package secretstore

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/quiet"
	"apitoken.dev/operator/internal/trim"
)

// A manual credential uses two Secrets in addition to the published one. In the handover
// Secret a user submits the credential. In the other the operator stores a copy, from which
// it restores lost keys and checks whether the credential was deleted.

// annotationGrant records the declared grant of a stored copy, as JSON.
const annotationGrant = "apitoken.dev/grant"

// HandoverName is the name of the handover Secret.
func (t Target) HandoverName() string { return t.Token.Name + v1alpha1.HandoverSuffix }

// TokenOf returns the name of the ApiToken of a published Secret, a stored copy or a handover,
// or "".
func TokenOf(secret client.Object) string {
	if secret.GetLabels()[v1alpha1.LabelManaged] == v1alpha1.ManagedHandover {
		return strings.TrimSuffix(secret.GetName(), v1alpha1.HandoverSuffix)
	}
	return secret.GetAnnotations()[v1alpha1.AnnotationToken]
}

// Submitted is a credential that a user submitted. It does not print its values.
type Submitted struct {
	values  map[string]provider.Value
	uid     types.UID
	version string
}

// Values are the keys of the credential.
func (h Submitted) Values() map[string]provider.Value { return h.values }

// Version is the resourceVersion of the handover Secret.
func (h Submitted) Version() string { return h.version }

// String returns the version, and no values.
func (h Submitted) String() string { return "submitted at " + h.version }

// HandoverVersion returns the resourceVersion of the handover Secret from the metadata
// cache. It is empty if the Secret does not exist or is being deleted: the operator deletes
// it after it has taken the credential.
func (s *Store) HandoverVersion(ctx context.Context, t Target) (string, error) {
	m := trim.Metadata("Secret")
	err := s.Client.Get(ctx, client.ObjectKey{Namespace: t.Token.Namespace, Name: t.HandoverName()}, m)
	if client.IgnoreNotFound(err) != nil {
		return "", fmt.Errorf("reading the metadata of Secret %q: %w", t.HandoverName(), err)
	}
	if err != nil || m.Labels[v1alpha1.LabelManaged] != v1alpha1.ManagedHandover || m.DeletionTimestamp != nil {
		return "", nil //nolint:nilerr // no credential is submitted
	}
	return m.ResourceVersion, nil
}

// Handover reads the submitted credential live. It reports false if there is no handover
// Secret.
func (s *Store) Handover(ctx context.Context, t Target) (Submitted, bool, error) {
	secret, err := s.get(ctx, t, t.HandoverName())
	if err != nil || secret == nil || secret.Labels[v1alpha1.LabelManaged] != v1alpha1.ManagedHandover || secret.DeletionTimestamp != nil {
		return Submitted{}, false, err
	}
	out := Submitted{values: map[string]provider.Value{}, uid: secret.UID, version: secret.ResourceVersion}
	for k, v := range secret.Data {
		// Shells add a line break at the end. It is not part of a key.
		out.values[k] = provider.NewValue(strings.TrimRight(string(v), "\r\n"))
	}
	return out, true, nil
}

// DeleteHandover deletes the handover Secret on condition that it is unchanged since it was
// read.
func (s *Store) DeleteHandover(ctx context.Context, t Target, h Submitted) error {
	return s.remove(ctx, t, t.HandoverName(), client.Preconditions{UID: &h.uid, ResourceVersion: &h.version})
}

// SaveCopy stores a copy of a credential in a Secret of its name. The Secret has no owner
// reference, so garbage collection cannot delete it before the operator does.
func (s *Store) SaveCopy(ctx context.Context, t Target, name string, grant provider.Grant, values map[string]provider.Value) error {
	declared, err := declarationOf(t, grant)
	if err != nil {
		return err
	}
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: t.Token.Namespace, Name: name,
			Labels:      map[string]string{v1alpha1.LabelManaged: v1alpha1.ManagedKept},
			Annotations: map[string]string{v1alpha1.AnnotationToken: t.Token.Name, v1alpha1.AnnotationCluster: s.Cluster},
		},
		Type: corev1.SecretTypeOpaque, Data: map[string][]byte{},
	}
	for k, v := range values {
		secret.Data[k] = []byte(v.Reveal())
	}
	maps.Copy(secret.Annotations, declared)
	return s.Client.Create(quiet.Context(ctx), secret)
}

// RecordEdit updates the grant of a stored copy after the credential was edited at the
// provider. It does nothing if there is no copy.
func (s *Store) RecordEdit(ctx context.Context, t Target, name string, grant provider.Grant) error {
	_, found, err := s.ReadCopy(ctx, t, name)
	if err != nil || !found {
		return err
	}
	declared, err := declarationOf(t, grant)
	if err != nil {
		return err
	}
	body, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": declared}})
	if err != nil {
		return fmt.Errorf("encoding a patch of a stored copy: %w", err)
	}
	m := trim.Metadata("Secret")
	m.Namespace, m.Name = t.Token.Namespace, name
	return client.IgnoreNotFound(s.Client.Patch(ctx, m, client.RawPatch(types.MergePatchType, body)))
}

// declarationOf returns the annotations that record the grant of a stored copy.
func declarationOf(t Target, grant provider.Grant) (map[string]string, error) {
	raw, err := json.Marshal(grant)
	if err != nil {
		return nil, fmt.Errorf("encoding the grant of a stored copy: %w", err)
	}
	return map[string]string{annotationGrant: string(raw), v1alpha1.AnnotationFingerprint: t.Fingerprint}, nil
}

// Copy is the stored copy of a manual credential. It does not print its values.
type Copy struct {
	// Grant is the declared grant, and Fingerprint identifies the declaration. Fingerprint
	// is empty if an earlier version of the operator stored the copy.
	Grant       provider.Grant
	Fingerprint string

	values map[string]provider.Value
}

// Values are the keys of the credential.
func (c Copy) Values() map[string]provider.Value { return c.values }

// String returns no values.
func (Copy) String() string { return "a stored copy" }

// ReadCopy reads the stored copy of a credential. It reports false if it does not exist.
func (s *Store) ReadCopy(ctx context.Context, t Target, name string) (Copy, bool, error) {
	secret, err := s.get(ctx, t, name)
	if err != nil || secret == nil || secret.Labels[v1alpha1.LabelManaged] != v1alpha1.ManagedKept ||
		secret.Annotations[v1alpha1.AnnotationToken] != t.Token.Name {
		return Copy{}, false, err
	}
	out := Copy{values: map[string]provider.Value{}, Fingerprint: secret.Annotations[v1alpha1.AnnotationFingerprint]}
	for k, v := range secret.Data {
		out.values[k] = provider.NewValue(string(v))
	}
	if err := json.Unmarshal([]byte(secret.Annotations[annotationGrant]), &out.Grant); err != nil {
		return Copy{}, false, nil //nolint:nilerr // an unreadable copy is ignored
	}
	return out, true, nil
}

// DeleteCopy deletes the stored copy of a credential.
func (s *Store) DeleteCopy(ctx context.Context, t Target, name string) error {
	_, found, err := s.ReadCopy(ctx, t, name)
	if err != nil || !found {
		return err
	}
	return s.remove(ctx, t, name)
}

// Values are the keys and values of a Secret that was read live.
func (s Snapshot) Values() map[string]provider.Value {
	out := map[string]provider.Value{}
	for _, part := range []map[string]provider.Value{s.contents.credential, s.contents.settings, s.contents.declaration} {
		maps.Copy(out, part)
	}
	return out
}

func (s *Store) get(ctx context.Context, t Target, name string) (*corev1.Secret, error) {
	secret := &corev1.Secret{}
	err := s.Live.Get(quiet.Context(ctx), client.ObjectKey{Namespace: t.Token.Namespace, Name: name}, secret)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading Secret %q: %w", name, err)
	}
	return secret, nil
}

func (s *Store) remove(ctx context.Context, t Target, name string, opts ...client.DeleteOption) error {
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: t.Token.Namespace, Name: name}}
	// Quiet, because the API server answers with the whole Secret if it has a finalizer.
	return client.IgnoreNotFound(s.Client.Delete(quiet.Context(ctx), secret, opts...))
}
