package operator

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/clock"
	"apitoken.dev/operator/internal/provider/registry"
	"apitoken.dev/operator/test/support/fake"
	"apitoken.dev/operator/test/support/kit"
	"apitoken.dev/operator/test/support/testenv"
)

// typed is a driver with its own type.
type typed struct {
	*fake.Driver
	name string
}

// Type implements provider.Driver.
func (d typed) Type() string { return d.name }

// hung is a provider that does not answer one verb until it is released.
type hung struct {
	*fake.Backend
	release context.CancelFunc
	// now is how many calls hang, and most the maximum at the same time.
	mu        sync.Mutex
	now, most int
}

func hanging(t *testing.T, verb fake.Verb) *hung {
	t.Helper()
	ctx, release := context.WithCancel(t.Context())
	h := &hung{Backend: fake.NewBackend(clock.NewReal()), release: release}
	h.OnCall = func(call context.Context, c fake.Call) fake.Fault {
		if c.Verb == verb && c.Phase == fake.Before {
			h.count(1)
			defer h.count(-1)
			select {
			case <-ctx.Done():
			case <-call.Done():
			}
		}
		return fake.Fault{}
	}
	return h
}

func (h *hung) count(n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now += n
	h.most = max(h.most, h.now)
}

// atOnce returns how many calls hung at the same time.
func (h *hung) atOnce() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.most
}

// tokenProvider creates a TokenProvider. The region selects the driver.
func tokenProvider(k *kit.Kit, namespace, name, region string) {
	k.Helper()
	secret, p := kit.Minter(namespace, kit.MinterToken), kit.TokenProvider(namespace, name)
	secret.Name, p.Spec.CredentialsSecretRef.Name, p.Spec.AWS.Region = name, name, region
	k.ExpectApplied(secret, p)
}

// TestHangingProvidersDelayNoOtherNamespace: one namespace has many ApiTokens at a provider
// that hangs, and many namespaces have providers that hang when they connect. The provider
// and ApiTokens of another namespace still become Ready.
func TestHangingProvidersDelayNoOtherNamespace(t *testing.T) {
	server := testenv.Start(t) // its own, since calls that hang would delay other tests
	k := kit.New(t, server)
	own := k.Namespace("operator", nil)
	slow, dead := hanging(t, fake.Mint), hanging(t, fake.Connect)
	region := func(which string) func(registry.Spec) (any, bool) {
		return func(s registry.Spec) (any, bool) { return nil, s.AWS != nil && (s.AWS.Region == which) }
	}
	all, err := registry.New(
		registry.Entry{Driver: typed{fake.New(slow.Backend), "slow"}, Settings: region("slow")},
		registry.Entry{Driver: typed{fake.New(dead.Backend), "dead"}, Settings: region("dead")},
		registry.Entry{Driver: fake.New(fake.NewBackend(clock.NewReal())), Settings: region("r")},
	)
	if err != nil {
		t.Fatal(err)
	}
	run(k, server.Config, Options{Registry: all, Namespace: own, ClusterIdentity: own, Shutdown: time.Minute})
	t.Cleanup(slow.release)
	t.Cleanup(dead.release)

	many := k.Namespace("operator", nil)
	tokenProvider(k, many, "slow", "slow")
	for n := range 64 {
		token := apiToken(many, "slow")
		token.Name, token.Spec.ProviderRef.Kind = fmt.Sprintf("t%d", n), v1alpha1.KindTokenProvider
		k.ExpectApplied(token)
	}
	for n := range 24 {
		tokenProvider(k, many, fmt.Sprintf("dead-%d", n), "dead")
	}
	for range 10 {
		other := k.Namespace("operator", nil)
		for n := range 4 {
			tokenProvider(k, other, fmt.Sprintf("dead-%d", n), "dead")
		}
	}
	k.Eventually(func() error {
		if mints, connects := slow.atOnce(), dead.atOnce(); mints < DefaultProviderPlaces || connects < 11*checksOfNamespace {
			return fmt.Errorf("%d mints and %d connects hang", mints, connects)
		}
		return nil
	})
	victim := k.Namespace("operator", nil)
	tokenProvider(k, victim, "own", "r")
	token := apiToken(victim, "own")
	token.Spec.ProviderRef.Kind = v1alpha1.KindTokenProvider
	k.ExpectApplied(token)
	k.ExpectReady(token)
	if mints, connects := slow.atOnce(), dead.atOnce(); mints != DefaultProviderPlaces || connects != 11*checksOfNamespace {
		t.Errorf("%d mints and %d connects hung at once", mints, connects)
	}
}
