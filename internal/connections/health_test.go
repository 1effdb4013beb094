package connections

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/pacing"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/registry"
	"apitoken.dev/operator/test/support/fake"
	"apitoken.dev/operator/test/support/kit"
	"apitoken.dev/operator/test/support/testutil"
)

// at makes a new pool with a stopped clock and a lower rate.
func (w *world) at(c *testutil.Clock, drivers *registry.Registry) {
	o := w.pool.o
	o.Clock, o.Rate, o.Burst = c, 1, 4
	if drivers != nil {
		o.Registry = drivers
	}
	w.pool = NewPool(o)
}

// TestPauseAppliesToTheWholeProvider: a pause holds back every call, including Connect, and
// no call to another provider.
func TestPauseAppliesToTheWholeProvider(t *testing.T) {
	w := newWorld(t)
	c := testutil.NewClock(epoch)
	w.at(c, nil)
	other := w.key
	other.Name = "q"
	w.ExpectApplied(kit.TokenProvider(w.key.Namespace, "q"))
	first := w.connect(w.viaConnect, 1)
	w.backend.Script(fake.Revoke, fake.Fault{Kind: fake.RateLimit, RetryAfter: time.Minute})
	if err := first.Client.Revoke(t.Context(), provider.Ref{Name: "n"}); provider.AsError(err).RetryAfter != time.Minute {
		t.Fatal(err)
	}
	w.connect(w.viaConnect, 1) // a pause does not drop the connection
	if _, err := w.viaHealthCheck(t.Context(), w.key); provider.AsError(err).RetryAfter != time.Minute || !errors.Is(err, pacing.ErrNotSent) {
		t.Errorf("a health check gets %v", err)
	}
	w.pool.Forget(w.key)
	if _, err := w.viaConnect(t.Context(), w.key); !errors.Is(err, pacing.ErrNotSent) {
		t.Errorf("after the connection was dropped: %v", err)
	}
	if _, err := w.viaConnect(t.Context(), other); err != nil {
		t.Errorf("the other provider: %v", err)
	}
	if n := w.backend.Count(fake.Connect); n != 2 {
		t.Errorf("%d calls to connect", n)
	}
	c.Advance(time.Minute)
	again := w.connect(w.viaConnect, 3)
	if err := again.Client.Revoke(t.Context(), provider.Ref{Name: "n"}); err != nil {
		t.Error(err)
	}
}

func TestFailuresAreReportedToTheWatcher(t *testing.T) {
	w := newWorld(t)
	w.at(testutil.NewClock(epoch), nil)
	var reported []bool
	w.pool.Watch(w.key.Kind, func(key account.Key, unhealthy bool) {
		if key != w.key {
			t.Errorf("a failure of %v", key)
		}
		reported = append(reported, unhealthy)
	})
	if diff := cmp.Diff(pacing.Health{}, w.pool.Health(w.key)); diff != "" {
		t.Error(diff)
	}
	w.backend.Script(fake.Connect, fake.Fault{Kind: fake.InDoubt})
	if _, err := w.viaConnect(t.Context(), w.key); err == nil {
		t.Fatal("no error")
	}
	want := pacing.Health{Unhealthy: true, LastError: &pacing.Failure{At: epoch, Operation: "connect", Code: provider.CodeUnavailable, Message: "the provider did not answer"}}
	if diff := cmp.Diff(want, w.pool.Health(w.key)); diff != "" {
		t.Error(diff)
	}
	client := w.refresh().Client
	want.Unhealthy = false
	if diff := cmp.Diff(want, w.pool.Health(w.key)); diff != "" {
		t.Errorf("after a health check: %s", diff)
	}
	w.backend.Script(fake.Find, fake.Fault{Kind: fake.Reject, Code: provider.CodeQuota})
	if _, err := client.Find(t.Context(), provider.Ref{Name: "n"}); err == nil {
		t.Fatal("no error")
	}
	if diff := cmp.Diff([]bool{true, false}, reported); diff != "" {
		t.Errorf("reported: %s", diff)
	}
	if got := w.pool.Health(w.key).LastError; got.Operation != "find" || got.Code != provider.CodeQuota {
		t.Errorf("the last error is %+v", got)
	}
	w.pool.Drop(w.key)
	if diff := cmp.Diff(pacing.Health{}, w.pool.Health(w.key)); diff != "" {
		t.Errorf("of a provider that is gone: %s", diff)
	}
}

func (w *world) refresh() Connection {
	w.Helper()
	c, err := w.viaHealthCheck(w.Context(), w.key)
	w.OK(err)
	return c
}

// TestRecreatedProviderStartsWithoutPause: it only has the name of the old one.
func TestRecreatedProviderStartsWithoutPause(t *testing.T) {
	w := newWorld(t)
	w.at(testutil.NewClock(epoch), nil)
	w.backend.Script(fake.Connect, fake.Fault{Kind: fake.RateLimit, RetryAfter: time.Hour})
	if _, err := w.viaConnect(t.Context(), w.key); err == nil {
		t.Fatal("no error")
	}
	w.ExpectDeleted(w.provider())
	w.ExpectApplied(kit.TokenProvider(w.key.Namespace, "p"))
	w.connect(w.viaConnect, 2)
	if h := w.pool.Health(w.key); h.LastError != nil {
		t.Errorf("the new one has the last error %+v", h.LastError)
	}
}

// keyless is a driver that declares that it needs no credentials.
type keyless struct{ *fake.Driver }

func (keyless) CredentialKeys() []string { return nil }

// A driver that needs no credentials connects. For any other, the error names the missing keys.
func TestConnectNeedsASecretOnlyForDriversWithKeys(t *testing.T) {
	tests := map[string]struct {
		driver func(*fake.Driver) provider.Driver
		says   []string
	}{
		"none are needed":         {driver: func(d *fake.Driver) provider.Driver { return keyless{d} }},
		"keys are needed":         {func(d *fake.Driver) provider.Driver { return keyed{d} }, []string{"spec.credentialsSecretRef is not set", "the keys token and other"}},
		"the driver does not say": {func(d *fake.Driver) provider.Driver { return d }, []string{"spec.credentialsSecretRef is not set", "the minting credentials"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.backend.Token = ""
			drivers, err := registry.New(registry.Entry{Driver: test.driver(fake.New(w.backend)),
				Settings: func(s registry.Spec) (any, bool) { return s.KloudBean, s.KloudBean != nil }})
			w.OK(err)
			w.at(testutil.NewClock(epoch), drivers)
			w.key.Name = "bare"
			w.ExpectApplied(&v1alpha1.TokenProvider{ObjectMeta: metav1.ObjectMeta{Namespace: w.key.Namespace, Name: "bare"},
				Spec: v1alpha1.ProviderSpec{KloudBean: &v1alpha1.KloudBeanProvider{S3Endpoint: "https://s3.example.com"}}})
			if len(test.says) == 0 {
				w.connect(w.viaConnect, 1)
				w.connect(w.viaConnect, 1)
				w.connect(w.viaHealthCheck, 2)
				return
			}
			_, err = w.viaConnect(t.Context(), w.key)
			var missing *MissingCredentialsError
			if !errors.As(err, &missing) {
				t.Fatalf("got %v", err)
			}
			for _, want := range test.says {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
			if n := w.backend.Count(fake.Connect); n != 0 {
				t.Errorf("%d calls without credentials", n)
			}
		})
	}
}

// The next call uses minting credentials that were replaced in their Secret, without a
// restart.
func TestReplacedCredentialsAreUsed(t *testing.T) {
	w := newWorld(t)
	w.connect(w.viaConnect, 1)
	w.backend.Token = "newer"
	w.Merge(w.secret, func() { w.secret.Data[fake.TokenKey] = []byte("newer") })
	c := w.connect(w.viaConnect, 2)
	if _, err := c.Client.Find(t.Context(), provider.Ref{Name: "n"}); err != nil {
		t.Error(err)
	}
}
