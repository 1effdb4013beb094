// Package secretstore reads and writes the Secrets of ApiTokens. Only this package and the
// drivers see the values of credentials. Every write is conditional on the version that was
// read, so it never takes over another client's Secret and never overwrites another
// process's write.
package secretstore

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/clock"
	"apitoken.dev/operator/internal/credname"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/quiet"
	"apitoken.dev/operator/internal/trim"
)

// namedFinalizers is how many finalizers a message names.
const namedFinalizers = 3

// Store reads and writes Secrets for one cluster.
type Store struct {
	// Client writes, and reads metadata from the cache.
	Client client.Client
	// Live reads from the API server.
	Live client.Reader
	// Cluster is the identity hash of this cluster.
	Cluster string
	// Clock measures how long the cache lacks a write.
	Clock clock.Clock

	recent recent
}

// Target is the desired Secret of one ApiToken.
type Target struct {
	Token *v1alpha1.ApiToken
	// Connection are the connection keys, which contain no secrets.
	Connection provider.Connection
	// Fingerprint of the declaration that Connection.Declaration follows from.
	Fingerprint string
	// CredentialKeys are the keys that the driver documents for its credentials.
	CredentialKeys []string
}

// hasDriver reports whether a driver named the keys.
func (t Target) hasDriver() bool {
	return len(t.CredentialKeys)+len(t.Connection.Settings)+len(t.Connection.Declaration) > 0
}

func (t Target) key() client.ObjectKey {
	return client.ObjectKey{Namespace: t.Token.Namespace, Name: t.Token.SecretName()}
}

// Snapshot is a Secret as of one read or write. It does not print its values.
type Snapshot struct {
	View plan.Secret
	// Version is the resourceVersion; empty if the Secret does not exist.
	Version string
	// Written: this process has just written it.
	Written bool

	meta     metav1.ObjectMeta
	contents contents
	// recorded: AnnotationKeys was usable.
	recorded bool
}

// Checked returns the version of the Secret if its data was read or written live and is
// what the operator wrote; otherwise it is empty. Record no other version as checked: until
// the version changes, the data is not read again.
func (s Snapshot) Checked() string {
	if v := s.View; !v.Live || !v.Exists || !v.Intact || v.Deleting {
		return ""
	}
	return s.Version
}

// String returns the name and version, and no values.
func (s Snapshot) String() string {
	return fmt.Sprintf("Secret %s/%s at %s", s.meta.Namespace, s.meta.Name, s.Version)
}

// Cached returns the Secret from the metadata cache, or as this process last wrote it.
// pending reports that the cache does not show that write yet.
func (s *Store) Cached(ctx context.Context, t Target) (snapshot Snapshot, pending bool, err error) {
	m := trim.Metadata("Secret")
	if err := s.Client.Get(ctx, t.key(), m); client.IgnoreNotFound(err) != nil {
		return Snapshot{}, false, fmt.Errorf("reading the Secret's metadata: %w", err)
	} else if err != nil {
		m.ObjectMeta = metav1.ObjectMeta{}
	}
	if written, ok := s.recent.newer(t.key(), m.ResourceVersion, s.Clock.Monotonic()); ok {
		m.ObjectMeta, pending = written, true
	}
	return s.snapshot(t, m.ObjectMeta), pending, nil
}

// Shown records a version of a Secret that the cache has shown. If a user deletes the
// Secret or removes its label soon after this process wrote it, Cached then reports it as
// absent and not as pending.
func (s *Store) Shown(o client.Object) {
	s.recent.shown(client.ObjectKeyFromObject(o), o.GetResourceVersion())
}

// Read reads the Secret live.
func (s *Store) Read(ctx context.Context, t Target) (Snapshot, error) {
	secret := &corev1.Secret{}
	err := s.Live.Get(quiet.Context(ctx), t.key(), secret)
	if apierrors.IsNotFound(err) {
		s.recent.forget(t.key())
		secret = &corev1.Secret{}
	} else if err != nil {
		return Snapshot{}, fmt.Errorf("reading the Secret: %w", err)
	}
	return s.live(t, secret), nil
}

// live describes a Secret that was read live.
func (s *Store) live(t Target, secret *corev1.Secret) Snapshot {
	out := s.snapshot(t, secret.ObjectMeta)
	v := &out.View
	v.Live = true
	if !v.Exists {
		return out
	}
	out.contents, out.recorded = divide(t, secret)
	v.Intact = checksum(secret.Data) == secret.Annotations[v1alpha1.AnnotationChecksum]
	if v.Intact { // the data is known, so its hash is not needed
		v.SettingsCurrent = out.contents.same(out.contents.settings, t.Connection.Settings)
		v.DeclarationCurrent = out.contents.same(out.contents.declaration, t.Connection.Declaration)
	}
	d, differs := out.difference(t, secret)
	if v.MetadataCurrent = !differs; differs {
		v.Contest = plan.Contest{What: d.what, By: d.manager(secret.ManagedFields)}
	}
	return out
}

// snapshot describes a Secret by its metadata.
func (s *Store) snapshot(t Target, meta metav1.ObjectMeta) Snapshot {
	out := Snapshot{Version: meta.ResourceVersion, meta: meta}
	v := &out.View
	v.Name = t.key().Name
	v.Exists = meta.ResourceVersion != ""
	if v.Deleting = meta.DeletionTimestamp != nil; v.Deleting {
		v.HeldBy = strings.Join(meta.Finalizers[:min(len(meta.Finalizers), namedFinalizers)], ", ")
	}
	v.Trusted = meta.ResourceVersion == t.Token.Status.Secret.ResourceVersion
	if !v.Exists {
		return out
	}
	v.Owner, v.Foreign = owner(meta, t.Token)
	v.Intact = v.Trusted
	compareDigests(t, &meta, v)
	if v.Foreign || meta.Annotations[v1alpha1.AnnotationCluster] != s.Cluster {
		return out
	}
	v.Credential = meta.Annotations[v1alpha1.AnnotationCredential]
	v.Facts = facts(meta.Annotations)
	return out
}

// owner returns the owner of a Secret, for a message, and whether that is not this
// ApiToken. The Secret belongs to the ApiToken if its controller has the ApiToken's name (a
// restored one has another UID), or if it has no controller and its annotation names the
// ApiToken.
func owner(meta metav1.ObjectMeta, token *v1alpha1.ApiToken) (who string, foreign bool) {
	if c := metav1.GetControllerOfNoCopy(&metav1.PartialObjectMetadata{ObjectMeta: meta}); c != nil {
		ours := c.Kind == "ApiToken" && c.Name == token.Name && c.APIVersion == v1alpha1.GroupVersion.String()
		return c.Kind + " " + strconv.Quote(c.Name), !ours
	}
	if name := meta.Annotations[v1alpha1.AnnotationToken]; name != "" {
		return "ApiToken " + strconv.Quote(name), name != token.Name
	}
	if by := meta.Labels["app.kubernetes.io/managed-by"]; by != "" {
		return strconv.Quote(by) + " (its label app.kubernetes.io/managed-by)", true
	}
	return "an unknown owner (no owner reference)", true
}

// facts reads the annotations about the credential. Unreadable values are left empty, and
// so are those that a ledger cannot hold, which would make the status unwritable. The id
// and the time of issue are for users and are never read back.
func facts(annotations map[string]string) plan.CredentialFacts {
	out := plan.CredentialFacts{
		Account:     bounded(maxAccount, annotations[v1alpha1.AnnotationAccount]),
		Fingerprint: bounded(maxFingerprint, annotations[v1alpha1.AnnotationFingerprint]),
	}
	if name, err := credname.Parse(annotations[v1alpha1.AnnotationCredential]); err == nil {
		out.Revision = name.Revision
	}
	out.RotationGeneration, _ = strconv.ParseInt(annotations[v1alpha1.AnnotationRotation], 10, 64)
	out.ExpiresAt, _ = v1alpha1.Timestamp(annotations[v1alpha1.AnnotationExpiresAt]).Time()
	return out
}

// The maximum lengths of account and fingerprint in the schema of a ledger entry.
const (
	maxAccount     = 256
	maxFingerprint = 64
)

// bounded returns s, or "" if s is longer than the maximum.
func bounded(longest int, s string) string {
	if len(s) > longest {
		return ""
	}
	return s
}
