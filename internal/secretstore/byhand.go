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

// Credentials that a person makes come and go by two Secrets beside the
// published one: the person hands one over in the first; in the second the
// operator keeps a copy, to put back what is lost and to see when the credential
// has been deleted.

// annotationGrant is what a kept credential was declared to give.
const annotationGrant = "apitoken.dev/grant"

// HandoverName is the name of the Secret that hands a credential over.
func (t Target) HandoverName() string { return t.Token.Name + v1alpha1.HandoverSuffix }

// Handed is a credential that is handed over. It does not print its values.
type Handed struct {
	values  map[string]provider.Value
	uid     types.UID
	version string
}

// Values are the keys of the credential.
func (h Handed) Values() map[string]provider.Value { return h.values }

// Version is the resourceVersion of the Secret.
func (h Handed) Version() string { return h.version }

// String says which version this is, and nothing of what is in it.
func (h Handed) String() string { return "handed over at " + h.version }

// HandoverVersion returns the resourceVersion of the Secret that hands a
// credential over, from the metadata cache; empty when there is none, or it is being
// deleted: the operator deletes it once it has taken the credential.
func (s *Store) HandoverVersion(ctx context.Context, t Target) (string, error) {
	m := trim.Metadata("Secret")
	err := s.Client.Get(ctx, client.ObjectKey{Namespace: t.Token.Namespace, Name: t.HandoverName()}, m)
	if client.IgnoreNotFound(err) != nil {
		return "", fmt.Errorf("reading the metadata of Secret %q: %w", t.HandoverName(), err)
	}
	if err != nil || m.Labels[v1alpha1.LabelManaged] != v1alpha1.ManagedHandover || m.DeletionTimestamp != nil {
		return "", nil //nolint:nilerr // there is none
	}
	return m.ResourceVersion, nil
}

// Handover reads what is handed over. It reports false when there is nothing.
func (s *Store) Handover(ctx context.Context, t Target) (Handed, bool, error) {
	secret, err := s.get(ctx, t, t.HandoverName())
	if err != nil || secret == nil || secret.Labels[v1alpha1.LabelManaged] != v1alpha1.ManagedHandover || secret.DeletionTimestamp != nil {
		return Handed{}, false, err
	}
	out := Handed{values: map[string]provider.Value{}, uid: secret.UID, version: secret.ResourceVersion}
	for k, v := range secret.Data {
		// A line break at the end is what a shell leaves behind, and no part of a key.
		out.values[k] = provider.NewValue(strings.TrimRight(string(v), "\r\n"))
	}
	return out, true, nil
}

// Accept deletes the Secret that handed a credential over, if it still is as read.
func (s *Store) Accept(ctx context.Context, t Target, h Handed) error {
	return s.remove(ctx, t, t.HandoverName(), client.Preconditions{UID: &h.uid, ResourceVersion: &h.version})
}

// Keep keeps a credential under its name. It has no owner, so that no garbage
// collector is faster than the operator.
func (s *Store) Keep(ctx context.Context, t Target, name string, grant provider.Grant, values map[string]provider.Value) error {
	declared, err := declaredAs(t, grant)
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

// Edited records what a credential that is kept gives since it was edited at the
// provider. A credential that is not kept needs no record.
func (s *Store) Edited(ctx context.Context, t Target, name string, grant provider.Grant) error {
	_, kept, err := s.Kept(ctx, t, name)
	if err != nil || !kept {
		return err
	}
	declared, err := declaredAs(t, grant)
	if err != nil {
		return err
	}
	body, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": declared}})
	if err != nil {
		return fmt.Errorf("encoding a patch of a kept credential: %w", err)
	}
	m := trim.Metadata("Secret")
	m.Namespace, m.Name = t.Token.Namespace, name
	return client.IgnoreNotFound(s.Client.Patch(ctx, m, client.RawPatch(types.MergePatchType, body)))
}

// declaredAs are the annotations that say what a kept credential gives.
func declaredAs(t Target, grant provider.Grant) (map[string]string, error) {
	raw, err := json.Marshal(grant)
	if err != nil {
		return nil, fmt.Errorf("encoding what a kept credential gives: %w", err)
	}
	return map[string]string{annotationGrant: string(raw), v1alpha1.AnnotationFingerprint: t.Fingerprint}, nil
}

// Kept is a credential that was kept. It does not print its values.
type Kept struct {
	// Grant is what it gives, and Fingerprint that of the declaration that asked for it;
	// empty when an earlier version kept it.
	Grant       provider.Grant
	Fingerprint string

	values map[string]provider.Value
}

// Values are the keys of the credential.
func (k Kept) Values() map[string]provider.Value { return k.values }

// String says nothing of what was kept.
func (Kept) String() string { return "a kept credential" }

// Kept reads a credential that was kept. It reports false when there is none.
func (s *Store) Kept(ctx context.Context, t Target, name string) (Kept, bool, error) {
	secret, err := s.get(ctx, t, name)
	if err != nil || secret == nil || secret.Labels[v1alpha1.LabelManaged] != v1alpha1.ManagedKept ||
		secret.Annotations[v1alpha1.AnnotationToken] != t.Token.Name {
		return Kept{}, false, err
	}
	out := Kept{values: map[string]provider.Value{}, Fingerprint: secret.Annotations[v1alpha1.AnnotationFingerprint]}
	for k, v := range secret.Data {
		out.values[k] = provider.NewValue(string(v))
	}
	if err := json.Unmarshal([]byte(secret.Annotations[annotationGrant]), &out.Grant); err != nil {
		return Kept{}, false, nil //nolint:nilerr // what cannot be read proves nothing
	}
	return out, true, nil
}

// Drop deletes a credential that was kept.
func (s *Store) Drop(ctx context.Context, t Target, name string) error {
	_, kept, err := s.Kept(ctx, t, name)
	if err != nil || !kept {
		return err
	}
	return s.remove(ctx, t, name)
}

// Values are the keys of the Secret as it was read live.
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
	return client.IgnoreNotFound(s.Client.Delete(quiet.Context(ctx), secret, opts...)) // a finalizer makes the answer the Secret itself
}
