// Package secretstore reads and writes the Secrets that credentials are
// published in. It is the only place that sees the value of a credential. Every
// write is conditional on what was read before, so that it never takes over a
// Secret that is somebody else's and never overwrites what another process wrote.
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
	// Live reads from the API server itself.
	Live client.Reader
	// Cluster is the identity hash of this cluster.
	Cluster string
	// Clock times how long a write may be missing from the cache.
	Clock clock.Clock

	recent recent
}

// Target is the Secret of one ApiToken as it should be.
type Target struct {
	Token *v1alpha1.ApiToken
	// Connection are the keys without secrets next to the credential.
	Connection provider.Connection
	// Fingerprint of the declaration that Connection.Declaration follows from.
	Fingerprint string
	// CredentialKeys are the keys that the driver documents for its credentials.
	CredentialKeys []string
}

// driven reports whether there is a driver that names keys.
func (t Target) driven() bool {
	return len(t.CredentialKeys)+len(t.Connection.Settings)+len(t.Connection.Declaration) > 0
}

func (t Target) key() client.ObjectKey {
	return client.ObjectKey{Namespace: t.Token.Namespace, Name: t.Token.SecretName()}
}

// Snapshot is a Secret as it was read. It does not print its values.
type Snapshot struct {
	View plan.Secret
	// Version is the resourceVersion; empty when the Secret does not exist.
	Version string
	// Written: it is what this process wrote into it just now.
	Written bool

	meta     metav1.ObjectMeta
	contents contents
	// recorded: the Secret itself says whose its keys are.
	recorded bool
}

// Checked is the version of the Secret, if its data was read or written just now and is
// what the operator wrote; empty otherwise. No other version may be recorded as checked:
// until the version changes, the data is not read again.
func (s Snapshot) Checked() string {
	if v := s.View; !v.Live || !v.Exists || !v.Intact || v.Deleting {
		return ""
	}
	return s.Version
}

// String says which Secret this is, and nothing of what is in it.
func (s Snapshot) String() string {
	return fmt.Sprintf("Secret %s/%s at %s", s.meta.Namespace, s.meta.Name, s.Version)
}

// Cached returns the Secret as the metadata cache has it, or as this process
// wrote it a moment ago. pending says that the cache does not show that write yet.
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
// absent, and not as pending.
func (s *Store) Shown(o client.Object) {
	s.recent.shown(client.ObjectKeyFromObject(o), o.GetResourceVersion())
}

// Read returns the Secret as the API server has it now.
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
	if v.Intact { // the data itself says more than its hash
		v.SettingsCurrent = out.contents.same(out.contents.settings, t.Connection.Settings)
		v.DeclarationCurrent = out.contents.same(out.contents.declaration, t.Connection.Declaration)
	}
	d, differs := out.difference(t, secret)
	if v.MetadataCurrent = !differs; differs {
		v.Contest = plan.Contest{What: d.what, By: d.manager(secret.ManagedFields)}
	}
	return out
}

// snapshot describes a Secret from its metadata.
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
	judge(t, &meta, v)
	if v.Foreign || meta.Annotations[v1alpha1.AnnotationCluster] != s.Cluster {
		return out
	}
	v.Credential = meta.Annotations[v1alpha1.AnnotationCredential]
	v.Facts = facts(meta.Annotations)
	return out
}

// owner says whose a Secret is: ours when its controller is the ApiToken of this
// name (a restored one has another UID), or when it has none and names it.
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
	return "somebody who left no owner reference", true
}

// facts reads what a Secret says of its credential. What cannot be read is left
// empty, and so is what no ledger could hold: it would make the status unwritable. The id and the time of issue are written for people and never read back.
func facts(annotations map[string]string) plan.CredentialFacts {
	out := plan.CredentialFacts{
		Account:     upTo(maxAccount, annotations[v1alpha1.AnnotationAccount]),
		Fingerprint: upTo(maxFingerprint, annotations[v1alpha1.AnnotationFingerprint]),
	}
	if name, err := credname.Parse(annotations[v1alpha1.AnnotationCredential]); err == nil {
		out.Revision = name.Revision
	}
	out.RotationGeneration, _ = strconv.ParseInt(annotations[v1alpha1.AnnotationRotation], 10, 64)
	out.ExpiresAt, _ = v1alpha1.Timestamp(annotations[v1alpha1.AnnotationExpiresAt]).Time()
	return out
}

// The longest account and fingerprint of a ledger entry, as its schema has them.
const (
	maxAccount     = 256
	maxFingerprint = 64
)

// upTo is a text of at most so many bytes; a longer one is empty.
func upTo(longest int, s string) string {
	if len(s) > longest {
		return ""
	}
	return s
}
