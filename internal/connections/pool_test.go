package connections

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/clock"
	"apitoken.dev/operator/internal/places"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/registry"
	"apitoken.dev/operator/test/support/fake"
	"apitoken.dev/operator/test/support/kit"
	"apitoken.dev/operator/test/support/testenv"
)

var env *testenv.Env

func TestMain(m *testing.M) { os.Exit(testenv.Main(m, &env)) }

type keyed struct{ *fake.Driver }

func (keyed) CredentialKeys() []string { return []string{fake.TokenKey, "other"} }

// world is a pool with its own namespace. Its reads of the cache go to the API server, so
// the cache never lags.
type world struct {
	*kit.Kit
	backend *fake.Backend
	pool    *Pool
	key     account.Key
	secret  *corev1.Secret
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{Kit: kit.New(t, env), backend: fake.NewBackend(clock.NewReal())}
	namespace := w.Namespace("c", map[string]string{"tokens": "allowed"})
	w.key = account.Key{Kind: v1alpha1.KindTokenProvider, Namespace: namespace, Name: "p"}
	w.backend.Token = "good"
	drivers, err := registry.New(registry.Entry{Driver: keyed{fake.New(w.backend)},
		Settings: func(s registry.Spec) (any, bool) {
			return s.AWS.Region, s.AWS != nil && s.AWS.Region != "driverless"
		}})
	w.OK(err)
	w.pool = NewPool(Options{Reader: w.Client, Live: w.Client, Registry: drivers, Namespace: namespace, Cluster: "cluster", UserAgent: "test"})
	w.secret = kit.Minter(namespace, "good\n")
	w.secret.Data["other"] = []byte("x")
	w.ExpectApplied(w.secret, kit.TokenProvider(namespace, "p"))
	return w
}

func (w *world) provider() *v1alpha1.TokenProvider {
	w.Helper()
	p := &v1alpha1.TokenProvider{}
	w.OK(w.Get(w.Context(), w.key.ObjectKey(), p))
	return p
}

// cached is the driver's client of the cached connection.
func (w *world) cached() provider.Client {
	w.Helper()
	w.pool.mu.Lock()
	defer w.pool.mu.Unlock()
	c, ok := w.pool.cache[w.key]
	if !ok {
		w.Fatal("no connection is cached")
	}
	return c.connection.Client
}

var epoch = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

// place is a place at a provider.
func (w *world) place(key account.Key) *places.Place {
	w.Helper()
	place, ok := places.New(clock.NewReal(), places.Limits{}).Take(places.Want{Who: key.ObjectKey(), Provider: key.String()})
	if !ok {
		w.Fatal("no place")
	}
	return place
}

// viaConnect is Connect with a place.
func (w *world) viaConnect(ctx context.Context, key account.Key) (Connection, error) {
	w.verify(ctx, key)
	return w.pool.Connect(ctx, key, w.place(key))
}

// verify records the declared endpoint of a provider as verified.
func (w *world) verify(ctx context.Context, key account.Key) {
	w.Helper()
	o, err := account.Get(ctx, w.Client, key)
	if err != nil {
		return
	}
	driver, settings, err := w.pool.resolve(o, nil)
	if err != nil {
		return
	}
	if e := account.EndpointOf(ctx, driver, w.pool.config(settings)); !o.Verified(e) {
		base := o.Copy()
		o.Status.Driver, o.Status.Endpoint = e.Driver, e.URL
		w.OK(w.Status().Patch(ctx, o.Raw, client.MergeFrom(base.Raw)))
	}
}

// viaHealthCheck is a Check with a place, as a health check.
func (w *world) viaHealthCheck(ctx context.Context, key account.Key) (Connection, error) {
	return w.pool.Check(ctx, key, w.place(key), true)
}

// connect connects and checks how many calls that took in all.
func (w *world) connect(how func(context.Context, account.Key) (Connection, error), calls int) Connection {
	w.Helper()
	c, err := how(w.Context(), w.key)
	w.OK(err)
	if got := w.backend.Count(fake.Connect); got != calls {
		w.Fatalf("%d calls so far, want %d", got, calls)
	}
	return c
}

func TestConnectionIsCached(t *testing.T) {
	w := newWorld(t)
	first := w.connect(w.viaConnect, 1)
	if first.Account.ID != fake.DefaultAccount || first.DriverType != fake.Type {
		t.Errorf("connected to %+v", first)
	}
	client := w.cached()
	if w.connect(w.viaConnect, 1); w.cached() != client {
		t.Error("the second connection is another one")
	}
	if w.connect(w.viaHealthCheck, 2); w.cached() == client {
		t.Error("the health check used the cached connection")
	}
	w.connect(w.viaConnect, 2)
	w.pool.Forget(w.key)
	w.connect(w.viaConnect, 3)
}

func TestConnectFollowsChanges(t *testing.T) {
	w := newWorld(t)
	w.connect(w.viaConnect, 1)
	w.Merge(w.secret, func() { w.secret.Annotations = map[string]string{"a": "b"} })
	w.connect(w.viaConnect, 1) // the same credentials
	w.Merge(w.secret, func() { w.secret.Data["other"] = []byte("y") })
	w.connect(w.viaConnect, 2)
	w.connect(w.viaConnect, 2)
	p := w.provider()
	w.Merge(p, func() { p.Labels = map[string]string{"a": "b"} })
	w.connect(w.viaConnect, 2)
	w.Merge(p, func() { p.Spec.AWS.Region = "two" })
	w.connect(w.viaConnect, 3)
	w.ExpectDeleted(p)
	w.ExpectApplied(kit.TokenProvider(w.key.Namespace, "p"))
	w.connect(w.viaConnect, 4)
}

func TestFailedHealthCheckKeepsTheConnection(t *testing.T) {
	w := newWorld(t)
	w.connect(w.viaConnect, 1)
	client := w.cached()
	w.backend.Script(fake.Connect, fake.Fault{Kind: fake.InDoubt})
	if _, err := w.viaHealthCheck(t.Context(), w.key); err == nil {
		t.Fatal("no error")
	} else if provider.InDoubt(err) {
		t.Errorf("connecting mints nothing, and yet %v is in doubt", err)
	}
	if w.connect(w.viaConnect, 2); w.cached() != client {
		t.Error("the cached connection is gone")
	}
}

func TestConcurrentCallersShareOneConnect(t *testing.T) {
	w := newWorld(t)
	const callers = 20
	entered, release := make(chan struct{}), make(chan struct{})
	w.backend.OnCall = func(_ context.Context, call fake.Call) fake.Fault {
		if call.Verb == fake.Connect && call.Phase == fake.Before {
			close(entered)
			<-release
		}
		return fake.Fault{}
	}
	var group sync.WaitGroup
	errs := make([]error, callers)
	call := func(i int) { _, errs[i] = w.viaConnect(t.Context(), w.key) }
	canceled, cancel := context.WithCancel(t.Context())
	first := make(chan error, 1)
	go func() {
		_, err := w.viaConnect(canceled, w.key)
		first <- err
	}()
	<-entered
	for i := range callers {
		group.Go(func() { call(i) })
	}
	cancel()
	if err := <-first; !errors.Is(err, context.Canceled) || provider.InDoubt(err) {
		t.Errorf("a caller that gave up gets %v", err)
	}
	close(release)
	group.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Errorf("the one who began stopped waiting, and the others got %v", err)
	}
	if n := w.backend.Count(fake.Connect); n != 1 {
		t.Errorf("%d calls for %d callers", n, callers+1)
	}
}

func TestConnectErrorsNameTheirCause(t *testing.T) {
	var missing *MissingCredentialsError
	tests := map[string]struct {
		change  func(w *world)
		missing bool
		code    provider.Code
		says    []string
	}{
		"no Secret": {
			change:  func(w *world) { w.ExpectDeleted(w.secret) },
			missing: true, says: []string{"minter does not exist", "the keys token and other"},
		},
		"a key is missing": {
			change:  func(w *world) { w.Merge(w.secret, func() { delete(w.secret.Data, "other") }) },
			missing: true, says: []string{"minter lacks the key other"},
		},
		"a key is blank": {
			change:  func(w *world) { w.Merge(w.secret, func() { w.secret.Data["other"] = []byte("\n") }) },
			missing: true, says: []string{"minter lacks the key other"},
		},
		"rejected": {
			change: func(w *world) { w.Merge(w.secret, func() { w.secret.Data["token"] = []byte("CANARY") }) },
			code:   provider.CodeUnauthenticated,
		},
		"no provider": {
			change: func(w *world) { w.ExpectDeleted(w.provider()) },
			code:   provider.CodeUnavailable, says: []string{"NotFound"},
		},
		"no driver": {
			change: func(w *world) { p := w.provider(); w.Merge(p, func() { p.Spec.AWS.Region = "driverless" }) },
			code:   provider.CodeInvalid,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			test.change(w)
			_, err := w.viaConnect(t.Context(), w.key)
			if errors.As(err, &missing) != test.missing {
				t.Fatalf("got %v", err)
			}
			if !test.missing && provider.AsError(err).Code != test.code {
				t.Errorf("got %v, want %s", err, test.code)
			}
			for _, want := range test.says {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
			if strings.Contains(err.Error(), "CANARY") {
				t.Errorf("%q shows a credential", err)
			}
		})
	}
}

func TestTenantsDoNotSeeTheSecretOfTheOperatorsNamespace(t *testing.T) {
	missing := &MissingCredentialsError{Secret: client.ObjectKey{Namespace: "operator", Name: "minter"}}
	cluster := account.Key{Kind: v1alpha1.KindClusterTokenProvider, Name: "store"}
	if got, want := missing.ForTenant(cluster), `the minting credentials of ClusterTokenProvider "store" are missing`; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	own := account.Key{Kind: v1alpha1.KindTokenProvider, Namespace: "ml", Name: "store"}
	if got := missing.ForTenant(own); got != missing.Error() {
		t.Errorf("%q, want %q", got, missing.Error())
	}
}

// only shows the providers of one namespace, because other tests create theirs in the same
// API server.
type only struct {
	client.Reader
	namespace string
}

func (o only) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	switch list.(type) {
	case *v1alpha1.TokenProviderList:
		opts = append(opts, client.InNamespace(o.namespace))
	case *v1alpha1.ClusterTokenProviderList:
		return nil
	}
	return o.Reader.List(ctx, list, opts...)
}

// TestOnlyUsedCredentialsAreCached: a large Secret takes no memory for each provider that
// refers to it.
func TestOnlyUsedCredentialsAreCached(t *testing.T) {
	w := newWorld(t)
	w.Merge(w.secret, func() { w.secret.Data["large"] = make([]byte, 900<<10) })
	w.connect(w.viaConnect, 1)
	if cached := w.pool.cache[w.key].credentials; len(cached) != 2 || cached[fake.TokenKey].Empty() || cached["other"].Empty() {
		t.Errorf("%d values are cached", len(cached))
	}
	w.Merge(w.secret, func() { w.secret.Data["other"] = make([]byte, maxCredentials+1) })
	if _, err := w.viaHealthCheck(t.Context(), w.key); provider.AsError(err).Code != provider.CodeInvalid || !strings.Contains(err.Error(), "64 KiB") {
		t.Errorf("got %v", err)
	}
}
