package proxyscrape

import (
	"context"
	"net/http/httptest"
	"testing"
	"time"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/test/support/conformance"
	"apitoken.dev/operator/test/support/simulate/proxyscrapesim"
)

const (
	rawText = conformance.RawText
	// minter is the token of the minting key.
	minter = "CANARY-minting-token"
	// office is an address in readOnly's allowed range.
	office = "203.0.113.7"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// documented are all permissions of docs.proxyscrape.com/api/account/permission-reference.
var documented = []string{
	"account:apikeys:create", "account:apikeys:delete", "account:apikeys:read", "account:apikeys:regenerate", "account:apikeys:update",
	"datacenter_dedicated:delete", "datacenter_dedicated:read", "datacenter_dedicated:write",
	"datacenter_shared:delete", "datacenter_shared:read", "datacenter_shared:write",
	"residential:delete", "residential:read", "residential:write",
	"residential_unlimited:delete", "residential_unlimited:read", "residential_unlimited:write",
	"serp_api:delete", "serp_api:read", "serp_api:write",
	"subaccount:read", "subaccount:write",
}

const (
	firstSubaccount  = "3c90c3cc-0d44-4b50-8888-8dd25736052a"
	secondSubaccount = "7d1a54f0-6e0b-4a53-9c57-0d5f5e1f8a11"
)

func newSimulator(t *testing.T) (*proxyscrapesim.Simulator, provider.Config) {
	t.Helper()
	s := proxyscrapesim.New(func() time.Time { return start }, minter, documented...)
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return s, configFor(server)
}

func configFor(server *httptest.Server) provider.Config {
	return provider.Config{
		Settings:    Settings{Endpoint: server.URL},
		Credentials: map[string]provider.Value{KeyToken: provider.NewValue(minter)},
		Cluster:     cluster, HTTP: server.Client(), UserAgent: "apitoken-operator/test",
	}
}

// readOnly grants reading for a day.
func readOnly() provider.Grant {
	return provider.Grant{Scopes: []string{"residential:read"}, AllowedIPs: []string{"203.0.113.0/24"}, ExpiresAt: start.Add(24 * time.Hour)}
}

func harness(t *testing.T, legacy bool) conformance.Harness {
	_, h := simulated(t, legacy)
	return h
}

func simulated(t *testing.T, legacy bool) (*proxyscrapesim.Simulator, conformance.Harness) {
	s, cfg := newSimulator(t)
	s.Legacy = legacy
	return s, conformance.Harness{
		Driver:     New(),
		Config:     cfg,
		Grant:      readOnly,
		SecretKeys: []string{KeyToken},
		OnePage:    true,
		EmptyLists: []string{"[]"}, // the older of the two documented shapes
		Wrong:      map[string]provider.Value{KeyToken: provider.NewValue("CANARY-not-the-token")},
		Alive: func(_ context.Context, m provider.Minted) (bool, error) {
			return s.Accepts(m.Secret[KeyToken].Reveal(), office, s.Now()), nil
		},
		Refused: refusals.Refused(),
		Faults:  s.Faults(),
		States: conformance.States{
			Disable: s.Disable, Enable: s.Enable,
			NeverEnded: "a key is active or not; a deleted one is no longer listed",
		},
		Outside: conformance.Outside{
			Delete: s.Delete, State: s.State,
			Make: func(t *testing.T) string {
				t.Cleanup(func() { s.Delete("another client") })
				return s.Add(proxyscrapesim.Key{Name: "another client", Permissions: []string{"residential:read"}})
			},
		},
		MinterID: s.Named("minter")[0].ID,
		Changed: func() provider.Grant {
			return provider.Grant{
				Scopes:     []string{"residential:read", "residential:write"},
				AllowedIPs: []string{office}, Subaccounts: []string{firstSubaccount},
				ExpiresAt: start.Add(12 * time.Hour),
			}
		},
		IgnoreUpdates: s.IgnoreUpdates,
	}
}

func TestConformance(t *testing.T) {
	for name, legacy := range map[string]bool{"wrapped": false, "bare": true} {
		t.Run(name, func(t *testing.T) { conformance.Run(t, harness(t, legacy)) })
	}
	t.Run("minting key limited to subaccounts", func(t *testing.T) {
		s, h := simulated(t, false)
		s.Limit("minter", firstSubaccount, secondSubaccount)
		conformance.Run(t, h)
	})
}

func TestConformanceRunsEveryRequirement(t *testing.T) {
	for _, name := range conformance.NotRun(harness(t, false)) {
		t.Errorf("%s is not run", name)
	}
}
