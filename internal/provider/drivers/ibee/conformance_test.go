package ibee

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/test/support/conformance"
	"apitoken.dev/operator/test/support/simulate/ibeesim"
)

const (
	rawText     = conformance.RawText
	minterToken = "ibee_prod_key_CANARY-minter"
	ws          = "42"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// backend is a simulator behind a server.
type backend struct {
	*ibeesim.Simulator
	url string
}

// newBackend starts a simulator whose clock stands at start.
func newBackend(t *testing.T) *backend {
	t.Helper()
	b := &backend{Simulator: ibeesim.New(ws, func() time.Time { return start })}
	b.AddToken(minterToken, ibeesim.StorageRead, ibeesim.StorageWrite)
	server := httptest.NewServer(b.Handler())
	t.Cleanup(server.Close)
	b.url = server.URL + "/v1"
	return b
}

func (b *backend) config() provider.Config {
	return provider.Config{
		Settings:    Settings{WorkspaceID: ws, Endpoint: b.url},
		Credentials: map[string]provider.Value{KeyToken: provider.NewValue(minterToken)},
		Cluster:     "cccccccc", HTTP: http.DefaultClient,
	}
}

// harness is for S3 credentials.
func harness(t *testing.T, change func(*ibeesim.Simulator)) conformance.Harness {
	b := newBackend(t)
	change(b.Simulator)
	return conformance.Harness{
		Driver:     New(),
		Config:     b.config(),
		Grant:      func() provider.Grant { return readOnly("datasets") },
		SecretKeys: []string{KeyID, KeySecret},
		OnePage:    true,
		Wrong:      map[string]provider.Value{KeyToken: provider.NewValue("ibee_prod_key_CANARY-unknown")},
		Alive: func(_ context.Context, m provider.Minted) (bool, error) {
			return b.Accepts(m.Secret[KeyID].Reveal(), m.Secret[KeySecret].Reveal()), nil
		},
		Refused: refusals.Refused(),
		Faults:  b.Faults(),
		States: conformance.States{
			End:           b.Revoke,
			NeverDisabled: "the vendor's clients know active and revoked, and nothing that switches a credential off",
		},
		Outside: conformance.Outside{
			Delete: b.Delete,
			Make: func(t *testing.T) string {
				t.Cleanup(func() { b.Delete("alice's backup") })
				return b.Add("alice's backup")
			},
			State: func(id string) string {
				for _, c := range b.Credentials() {
					if c.AccessKeyID == id {
						return fmt.Sprintf("%+v", c)
					}
				}
				return ""
			},
		},
		Crowd: b.Crowd,
	}
}

// readOnly grants reading buckets for an hour.
func readOnly(buckets ...string) provider.Grant {
	return provider.Grant{Scopes: []string{scopeObjectReadOnly}, Buckets: buckets, ExpiresAt: start.Add(time.Hour)}
}

// manualHarness is for platform API tokens.
func manualHarness(t *testing.T) conformance.Harness {
	b := newBackend(t)
	var made sync.Map // the tokens by their ids
	n := 0
	return conformance.Harness{
		Driver:     New(),
		Config:     b.config(),
		Grant:      func() provider.Grant { return readBilling() },
		SecretKeys: []string{KeyToken},
		Wrong:      map[string]provider.Value{KeyToken: provider.NewValue("ibee_prod_key_CANARY-unknown")},
		Alive: func(ctx context.Context, m provider.Minted) (bool, error) {
			client, _, err := New().Connect(ctx, b.config())
			if err != nil {
				return false, err
			}
			prober, ok := provider.As[provider.Prober](client)
			if !ok {
				return false, errors.New("no prober")
			}
			return prober.Accepts(ctx, m.Secret, readBilling())
		},
		Refused: billingRefusals.Refused(),
		Faults:  b.Faults(),
		States: conformance.States{
			DisableID: func(id string) {
				if token, ok := made.Load(id); ok {
					b.EndToken(token.(string), "key_disabled")
				}
			},
			NeverEnded: "no API shows a platform API token: the API refuses one that was revoked",
		},
		Outside: conformance.Outside{DeleteID: func(id string) {
			if token, ok := made.Load(id); ok {
				b.EndToken(token.(string), "key_revoked")
			}
		}},
		HandOver: func(*testing.T, provider.MintRequest) map[string]provider.Value {
			n++
			token := "ibee_prod_key_CANARY-manual-" + strconv.Itoa(n)
			b.AddToken(token, ibeesim.BillingRead)
			made.Store(handID(provider.NewValue(token)), token)
			return map[string]provider.Value{KeyToken: provider.NewValue(token)}
		},
	}
}

func readBilling() provider.Grant {
	return provider.Grant{Scopes: []string{scopeBillingReadOnly}, ExpiresAt: start.Add(30 * 24 * time.Hour)}
}

// harnesses returns the two documented behaviours of the vendor, each form of its errors, and manual
// credentials.
func harnesses(t *testing.T) map[string]conformance.Harness {
	return map[string]conformance.Harness{
		"revoked by POST": harness(t, func(*ibeesim.Simulator) {}),
		"revoked by DELETE, the route is not found": harness(t, func(s *ibeesim.Simulator) {
			s.RevokeRoute, s.Envelope = false, 2
		}),
		"revoked by DELETE, the method is not allowed": harness(t, func(s *ibeesim.Simulator) {
			s.RevokeRoute, s.NoRoute, s.Envelope = false, http.StatusMethodNotAllowed, 3
		}),
		"revoked by DELETE, the route is unknown to the gateway": harness(t, func(s *ibeesim.Simulator) {
			s.RevokeRoute, s.NoRoute, s.Envelope = false, http.StatusForbidden, 4
		}),
		"manual": manualHarness(t),
	}
}

func TestConformance(t *testing.T) {
	for name, h := range harnesses(t) {
		t.Run(name, func(t *testing.T) { conformance.Run(t, h) })
	}
}

func TestConformanceRunsEveryRequirement(t *testing.T) {
	for name, h := range harnesses(t) {
		if left := conformance.NotRun(h); len(left) > 0 {
			t.Errorf("%s: %v are not run", name, left)
		}
	}
}
