package orphansweep

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/audit"
	"apitoken.dev/operator/internal/connections"
	"apitoken.dev/operator/internal/credname"
	"apitoken.dev/operator/internal/places"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/registry"
	"apitoken.dev/operator/test/support/fake"
	"apitoken.dev/operator/test/support/kit"
	"apitoken.dev/operator/test/support/testenv"
	"apitoken.dev/operator/test/support/testutil"
)

var env *testenv.Env

func TestMain(m *testing.M) { os.Exit(testenv.Main(m, &env)) }

// manualClock is a clock that only a test moves.
type manualClock struct{ at time.Duration }

func (c *manualClock) Now() time.Time { return time.Unix(1_800_000_000, 0).Add(c.at) }

func (c *manualClock) Monotonic() time.Duration { return c.at }

func (c *manualClock) Sleep(_ context.Context, d time.Duration) error {
	c.at += d
	return nil
}

// world is the cluster identity, provider and sweeper of one test. Other tests write to the
// same API server, but their names belong to other clusters.
type world struct {
	*kit.Kit
	clock    *manualClock
	backend  *fake.Backend
	provider provider.Client
	object   *v1alpha1.TokenProvider
	// other is a second provider, of the region "other".
	other     *fake.Backend
	recorder  *events.FakeRecorder
	logs      bytes.Buffer
	options   Options
	registry  *registry.Registry
	cluster   string
	namespace string
	// account is that of the provider.
	account string
	// missed are the credentials that were doubted because two lists did not show them.
	missed map[string]bool
}

func newWorld(t *testing.T, mode Mode) *world {
	t.Helper()
	w := &world{Kit: kit.New(t, env), clock: &manualClock{}, recorder: events.NewFakeRecorder(100)}
	w.namespace = w.Namespace("sweep", nil)
	w.cluster = credname.Cluster(w.namespace)
	w.backend = fake.NewBackend(w.clock)
	w.other = fake.NewBackend(w.clock)
	drivers, err := registry.New(
		registry.Entry{Driver: fake.New(w.backend), Settings: func(s registry.Spec) (any, bool) { return s.AWS.Region, s.AWS.Region != "other" }},
		registry.Entry{Driver: otherDriver{fake.New(w.other)}, Settings: func(s registry.Spec) (any, bool) { return s.AWS.Region, true }})
	w.OK(err)
	w.registry = drivers
	pool := connections.NewPool(connections.Options{Reader: w.Client, Live: w.Client, Registry: drivers, Namespace: w.namespace, Cluster: w.cluster,
		Audit: audit.New(logr.FromSlogHandler(slog.NewTextHandler(&w.logs, nil)))})
	w.ExpectApplied(kit.Minter(w.namespace, kit.MinterToken))
	w.object = w.newProvider("p")
	key := account.Of(w.object).Key()
	place, _ := places.New(w.clock, places.Limits{}).Take(places.Want{Who: key.ObjectKey(), Provider: key.String()})
	connection, err := pool.Connect(t.Context(), key, place)
	w.OK(err)
	w.provider, w.account = connection.Client, connection.Account.ID
	w.options = Options{Cached: only{w.Client, w.namespace}, Live: w.Client, Pool: pool, Clock: w.clock, Recorder: w.recorder,
		Logger: logr.FromSlogHandler(slog.NewTextHandler(&w.logs, nil)), Cluster: w.cluster, Mode: mode}
	return w
}

// otherDriver is the driver of another kind of provider.
type otherDriver struct{ *fake.Driver }

func (otherDriver) Type() string { return "other" }

// only shows the providers of one namespace, because those of other tests are Ready too.
type only struct {
	client.Reader
	namespace string
}

func (o only) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	if _, ok := list.(*v1alpha1.TokenProviderList); ok {
		opts = append(opts, client.InNamespace(o.namespace))
	}
	return o.Reader.List(ctx, list, opts...)
}

func (w *world) meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: w.namespace, Name: name}
}

func (w *world) newProvider(name string) *v1alpha1.TokenProvider {
	w.Helper()
	return w.providerIn(name, "r", kit.MinterSecret)
}

// providerIn creates a Ready provider.
func (w *world) providerIn(name, region, secret string) *v1alpha1.TokenProvider {
	w.Helper()
	p := kit.TokenProvider(w.namespace, name)
	p.Spec.CredentialsSecretRef.Name, p.Spec.AWS.Region = secret, region
	p.Finalizers = []string{v1alpha1.Finalizer}
	w.ExpectApplied(p)
	meta.SetStatusCondition(&p.Status.Conditions, metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue,
		Reason: v1alpha1.ReasonReady, ObservedGeneration: p.Generation})
	w.verified(p)
	w.OK(w.Status().Update(w.Context(), p))
	return p
}

// verified records the declared endpoint of a provider in its status.
func (w *world) verified(p *v1alpha1.TokenProvider) {
	w.Helper()
	driver, settings, err := w.registry.Resolve(registry.Spec{ProviderSpec: &p.Spec})
	w.OK(err)
	e := account.EndpointOf(w.Context(), driver, provider.Config{Settings: settings})
	p.Status.Driver, p.Status.Endpoint = e.Driver, e.URL
}

// mint mints a credential as an attempt of that ApiToken does.
func (w *world) mint(cluster, token string, revision int64) string {
	w.Helper()
	return w.mintAs(cluster, token, revision, time.Time{})
}

// mintAs mints a credential with an expiry.
func (w *world) mintAs(cluster, token string, revision int64, expires time.Time) string {
	w.Helper()
	name, err := credname.New(cluster, credname.Owner(w.namespace, token), revision, 0, strings.NewReader(nonce()))
	w.OK(err)
	owner := provider.Owner{Cluster: w.cluster, Namespace: w.namespace, Token: token}
	if _, err := w.provider.Mint(w.Context(), provider.MintRequest{Name: name.String(), Owner: owner, Grant: provider.Grant{ExpiresAt: expires}}); err != nil {
		w.Fatal(err)
	}
	return name.String()
}

var nonces atomic.Int64

// nonce returns bytes whose first ones are unique, since a name contains only those.
func nonce() string { return fmt.Sprintf("%-8d", nonces.Add(1)) }

// secret creates a Secret that names a credential of an ApiToken.
func (w *world) secret(name, token, credential string, retained bool) {
	w.Helper()
	s := &corev1.Secret{ObjectMeta: w.meta(name)}
	s.Labels = map[string]string{v1alpha1.LabelManaged: "true"}
	s.Annotations = map[string]string{v1alpha1.AnnotationToken: token, v1alpha1.AnnotationCredential: credential}
	if retained {
		s.Annotations[v1alpha1.AnnotationRetained] = "true"
	}
	w.ExpectApplied(s)
}

// token creates an ApiToken with this revision and these names in its ledger.
func (w *world) token(name string, revision int64, credentials ...string) *v1alpha1.ApiToken {
	w.Helper()
	token := kit.ApiToken(w.namespace, name, v1alpha1.ProviderReference{Name: "p"}, func(t *v1alpha1.ApiToken) {
		t.Spec.Scopes, t.Spec.Buckets = []v1alpha1.Scope{"billing:read-only"}, nil
	})
	w.ExpectApplied(token)
	w.record(w.Context(), token, revision, credentials...)
	return token
}

func (w *world) record(ctx context.Context, token *v1alpha1.ApiToken, revision int64, credentials ...string) {
	w.Helper()
	token.Status.Revision = revision
	for _, c := range credentials {
		token.Status.Credentials = append(token.Status.Credentials, v1alpha1.LedgerEntry{Name: c, State: v1alpha1.StateActive})
	}
	w.OK(w.Status().Update(ctx, token))
}

func (w *world) sweep(s *Sweeper) {
	w.Helper()
	w.OK(s.Sweep(w.Context()))
}

// events returns the events since the last call.
func (w *world) events() string {
	var out []string
	for {
		select {
		case e := <-w.recorder.Events:
			out = append(out, e)
		default:
			return strings.Join(out, "\n")
		}
	}
}

func (w *world) gauge(name string) float64 {
	w.Helper()
	return testutil.Series(w.T, "apitoken_orphaned_credentials", map[string]string{"provider_kind": "TokenProvider",
		"provider_namespace": w.namespace, "provider": name}).GetGauge().GetValue()
}

// found checks which names were reported in the event, the log and the metric.
func (w *world) found(want ...string) {
	w.Helper()
	told := w.events()
	for _, name := range want {
		if !strings.Contains(told, name) {
			w.Errorf("%s is not in the events %q", name, told)
		}
		if !strings.Contains(w.logs.String(), name) {
			w.Errorf("%s is not in the log", name)
		}
	}
	if (told == "") != (len(want) == 0) {
		w.Errorf("the events are %q", told)
	}
	if got := w.gauge("p"); got != float64(len(want)) {
		w.Errorf("the metric is %v, want %d", got, len(want))
	}
	w.logs.Reset()
}
