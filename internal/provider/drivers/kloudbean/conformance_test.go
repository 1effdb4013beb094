package kloudbean

import (
	"context"
	"net/http/httptest"
	"testing"
	"time"

	"apitoken.dev/operator/internal/clock"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/test/support/conformance"
	"apitoken.dev/operator/test/support/simulate/kloudbeansim"
)

const (
	rawText = conformance.RawText
	bucket  = "datasets"
	cluster = "cccccccc"
)

// expires is the expiry of every credential in these tests. KloudBean does not know it.
var expires = time.Date(2030, 3, 1, 12, 0, 0, 0, time.UTC)

// world is an account at KloudBean, and a provider for it.
type world struct {
	*kloudbeansim.Simulator
	cfg provider.Config
}

func open(t *testing.T) *world {
	t.Helper()
	w := &world{Simulator: kloudbeansim.New(clock.NewReal().Now, bucket, "other")}
	server := httptest.NewServer(w.Handler())
	t.Cleanup(server.Close)
	w.EndpointURL = server.URL
	w.cfg = provider.Config{
		Settings: Settings{S3Endpoint: server.URL}, HTTP: server.Client(), Cluster: cluster, UserAgent: "apitoken-operator/test",
	}
	return w
}

// grant allows access to the bucket from the address of these tests.
func grant(scope string) provider.Grant {
	return provider.Grant{
		Scopes: []string{scope}, Buckets: []string{bucket}, ExpiresAt: expires,
		AllowedIPs: []string{"127.0.0.1", "192.0.2.0/24"}, DeniedIPs: []string{"192.0.2.7"},
	}
}

// handOver fills in the form and copies the displayed keys, as a user does.
func (w *world) handOver(t *testing.T, req provider.MintRequest) map[string]provider.Value {
	t.Helper()
	form, ok := New().Form(w.cfg, req)
	if !ok {
		t.Fatal("there is no form")
	}
	filled, err := kloudbeansim.ReadForm(form.Fields)
	if err != nil {
		t.Fatal(err)
	}
	made, err := w.AddToken(t.Context(), filled)
	if err != nil {
		t.Fatal(err)
	}
	return handed(made)
}

func handed(made kloudbeansim.Details) map[string]provider.Value {
	return map[string]provider.Value{
		KeyID: provider.NewValue(made.AccessKeyID), KeySecret: made.SecretAccessKey,
		keyEndpoint: provider.NewValue(made.EndpointURL), keyBucket: provider.NewValue(made.BucketName),
	}
}

func harness(t *testing.T, scope string) conformance.Harness {
	w := open(t)
	return conformance.Harness{
		Driver:     New(),
		Config:     w.cfg,
		Grant:      func() provider.Grant { return grant(scope) },
		SecretKeys: []string{KeyID, KeySecret},
		Alive: func(_ context.Context, m provider.Minted) (bool, error) {
			return w.Accepts(m.Secret[KeyID].Reveal(), m.Secret[KeySecret].Reveal()), nil
		},
		Refused:  refusals.Refused(),
		Faults:   w.Faults(),
		HandOver: w.handOver,
		States: conformance.States{
			NeverDisabled: "the panel has no switch for a token, and no API shows one",
			NeverEnded:    "no API shows a token: the data plane refuses one that was deleted",
		},
		Outside: conformance.Outside{
			DeleteID: func(id string) { _ = w.Delete(context.WithoutCancel(t.Context()), id) },
		},
	}
}

func TestConformance(t *testing.T) {
	for scope := range permissions {
		t.Run(scope, func(t *testing.T) { conformance.Run(t, harness(t, scope)) })
	}
}

// The requirement about rejected minting credentials cannot run: the driver does not log in.
func TestConformanceRunsEveryRequirement(t *testing.T) {
	for _, name := range conformance.NotRun(harness(t, scopeReadOnly)) {
		if name != "WrongCredentialsAreUnauthenticated" {
			t.Errorf("%s is not run", name)
		}
	}
}
