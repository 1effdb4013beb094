package secretstore

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/test/support/apifake"
	"apitoken.dev/operator/test/support/testutil"
)

const (
	namespace = "ml"
	cluster   = "abcdefgh"
)

var (
	epoch = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	key   = client.ObjectKey{Namespace: namespace, Name: "training"}
)

// bench is a Store on its own API server, with one ApiToken.
type bench struct {
	*testing.T
	client.Client
	store  *Store
	clock  *testutil.Clock
	target Target
}

func newBench(t *testing.T) *bench {
	t.Helper()
	clock := testutil.NewClock(epoch)
	c := apifake.NewServer(clock.Now).Client(nil)
	b := &bench{T: t, Client: c, clock: clock, store: &Store{Client: c, Live: c, Cluster: cluster, Clock: clock}}
	b.ok(c.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}))
	token := &v1alpha1.ApiToken{
		ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name},
		Spec: v1alpha1.ApiTokenSpec{
			ProviderRef: v1alpha1.ProviderReference{Name: "store"},
			Scopes:      []v1alpha1.Scope{"objectstorage:object-read-only"}, Buckets: []v1alpha1.Bucket{"datasets"},
			Secret: v1alpha1.SecretTarget{Labels: map[string]string{"team": "ml"}, Annotations: map[string]string{"example.com/a": "1"}},
		},
	}
	b.ok(c.Create(t.Context(), token))
	b.target = Target{
		Token: token, Connection: s3("https://s3.example.com", "eu-1", "datasets"), Fingerprint: "f00d",
		CredentialKeys: []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"},
	}
	return b
}

// s3 is an S3 connection in its parts.
func s3(endpoint, region string, buckets ...string) provider.Connection {
	all := provider.S3Connection(endpoint, region, buckets)
	out := provider.Connection{Settings: all, Declaration: map[string]string{}}
	if bucket, ok := all["BUCKET_NAME"]; ok {
		out.Declaration["BUCKET_NAME"] = bucket
		delete(all, "BUCKET_NAME")
	}
	return out
}

// allKeys returns all keys of a connection, and more.
func allKeys(c provider.Connection, more map[string]string) map[string]string {
	return with(with(c.Settings, c.Declaration), more)
}

// current reports whether everything next to the credential is as declared.
func current(v plan.Secret) bool {
	return v.MetadataCurrent && v.SettingsCurrent && v.DeclarationCurrent
}

// sync updates every part that is not current, as the rules do.
func (b *bench) sync(seen Snapshot) (Snapshot, error) {
	b.Helper()
	entry, _ := credential(1)
	v := seen.View
	return b.store.Sync(b.Context(), b.target, seen, entry,
		plan.SyncSecret{Metadata: !v.MetadataCurrent, Settings: !v.SettingsCurrent, Declaration: !v.DeclarationCurrent})
}

// synced returns the Secret that sync wrote.
func (b *bench) synced() Snapshot {
	b.Helper()
	wrote, err := b.sync(b.read())
	b.ok(err)
	return wrote
}

func (b *bench) ok(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// conflicts checks that an error is a conflict.
func (b *bench) conflicts(what string, err error) {
	b.Helper()
	if !apierrors.IsConflict(err) && !apierrors.IsAlreadyExists(err) {
		b.Errorf("%s: %v, want a conflict", what, err)
	}
}

// credential returns credential number n, for the ledger and from the provider.
func credential(n int) (*v1alpha1.LedgerEntry, provider.Minted) {
	issued, expires := metav1.NewTime(epoch), metav1.NewTime(epoch.Add(time.Hour))
	entry := &v1alpha1.LedgerEntry{
		Name: fmt.Sprintf("at1-%s-%s-%d-%s", cluster, strings.Repeat("o", 16), n, strings.Repeat("n", 10)), ID: fmt.Sprintf("KEY%d", n),
		Account: "42", Fingerprint: "f00d", RotationGeneration: 7, IssuedAt: &issued, ExpiresAt: &expires,
	}
	return entry, provider.Minted{Secret: map[string]provider.Value{
		"AWS_ACCESS_KEY_ID": provider.NewValue(entry.ID), "AWS_SECRET_ACCESS_KEY": provider.NewValue(fmt.Sprintf("CANARY-%d", n)),
	}}
}

// publish publishes credential number n over a Secret as seen.
func (b *bench) publish(n int, seen Snapshot) (Snapshot, error) {
	b.Helper()
	entry, minted := credential(n)
	return b.store.Publish(b.Context(), b.target, seen, entry, minted)
}

// published publishes credential number n over the current Secret.
func (b *bench) published(n int) Snapshot {
	b.Helper()
	seen, err := b.publish(n, b.read())
	b.ok(err)
	return seen
}

func (b *bench) read() Snapshot {
	b.Helper()
	seen, err := b.store.Read(b.Context(), b.target)
	b.ok(err)
	return seen
}

// cached reads from the cache, with the version that the status remembers.
func (b *bench) cached(version string) (Snapshot, bool) {
	b.Helper()
	b.target.Token.Status.Secret.ResourceVersion = version
	seen, pending, err := b.store.Cached(b.Context(), b.target)
	b.ok(err)
	return seen, pending
}

func (b *bench) secret() *corev1.Secret {
	b.Helper()
	s := &corev1.Secret{}
	b.ok(b.Get(b.Context(), key, s))
	return s
}

// edit changes the Secret as another client.
func (b *bench) edit(change func(*corev1.Secret)) {
	b.Helper()
	s := b.secret()
	change(s)
	b.ok(b.Update(b.Context(), s))
}

func asText(data map[string][]byte) map[string]string {
	out := map[string]string{}
	for k, v := range data {
		out[k] = string(v)
	}
	return out
}

func with(m map[string]string, more map[string]string) map[string]string {
	out := maps.Clone(m)
	maps.Copy(out, more)
	return out
}
