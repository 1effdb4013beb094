package crusoe

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"apitoken.dev/operator/internal/credname"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/test/support/conformance"
	"apitoken.dev/operator/test/support/simulate/crusoesim"
)

const (
	rawText      = conformance.RawText
	organization = "ab4a6b00-aa5f-408e-a9fb-ac6de5eb45ab"
	userID       = "e7bed65d-e918-4fab-921c-03b8db94aa7b"
	otherUserID  = "0b8f2c55-7a9e-4a2b-9d6a-5b1f0a3f7c11"
	cluster      = "cccccccc"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// stopped is a clock that only a test moves.
type stopped struct{ at time.Time }

func (c *stopped) Now() time.Time                                 { return c.at }
func (c *stopped) Monotonic() time.Duration                       { return c.at.Sub(start) }
func (*stopped) Sleep(ctx context.Context, _ time.Duration) error { return ctx.Err() }

// account is a simulator of two users with a server in front of it.
type account struct {
	*crusoesim.Simulator

	server *httptest.Server
	clock  *stopped
	driver *Driver
	config provider.Config

	mu      sync.Mutex
	instead func(w http.ResponseWriter, r *http.Request) bool
}

// answer sets a handler that runs before the simulator. If the handler returns true, it has answered.
func (a *account) answer(instead func(w http.ResponseWriter, r *http.Request) bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.instead = instead
}

func (a *account) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	instead := a.instead
	a.mu.Unlock()
	if instead == nil || !instead(w, r) {
		a.Simulator.ServeHTTP(w, r)
	}
}

// The API keys of two users: the first is the example of swagger/v1/swagger.json.
var users = []crusoesim.User{
	{ID: userID, Organizations: []string{organization}, AccessKeyID: "Hm11C1coQZm2-Aihn9ofYg", SecretKey: "HrbZ3VTUb2YNAq53Md1EsA"},
	{ID: otherUserID, Organizations: []string{organization}, AccessKeyID: "other-user-of-the-same", SecretKey: "T3RoZXJTZWNyZXQ"},
}

func credentials(u crusoesim.User) map[string]provider.Value {
	return map[string]provider.Value{
		MinterKeyID: provider.NewValue(u.AccessKeyID), MinterSecret: provider.NewValue(u.SecretKey),
	}
}

func newAccount(t *testing.T) *account {
	t.Helper()
	clock := &stopped{at: start}
	a := &account{Simulator: crusoesim.New(clock.Now, users...), clock: clock, driver: New(clock)}
	a.server = httptest.NewServer(a)
	t.Cleanup(a.server.Close)
	a.config = provider.Config{
		Settings:    Settings{OrganizationID: organization, Location: "us-east1-a", Endpoint: a.server.URL + "/v1"},
		Credentials: credentials(users[0]), HTTP: a.server.Client(), Cluster: cluster, UserAgent: "apitoken-operator/test",
	}
	return a
}

func (a *account) connect(t *testing.T) *client {
	t.Helper()
	c, _, err := a.driver.Connect(t.Context(), a.config)
	if err != nil {
		t.Fatalf("Connect: %v", err)
	}
	return c.(*client)
}

func grant() provider.Grant {
	return provider.Grant{Scopes: []string{scopeAll}, Buckets: []string{"*"}, ExpiresAt: start.Add(time.Hour)}
}

func request(t *testing.T, token string) provider.MintRequest {
	t.Helper()
	name, err := credname.New(cluster, credname.Owner("ml", token), 1, 0, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return provider.MintRequest{
		Name: name.String(), Owner: provider.Owner{Cluster: cluster, Namespace: "ml", Token: token}, Grant: grant(),
	}
}

func harness(t *testing.T) conformance.Harness {
	h, _ := harnessOf(t)
	return h
}

func harnessOf(t *testing.T) (conformance.Harness, *account) {
	a := newAccount(t)
	return conformance.Harness{
		Driver: a.driver, Config: a.config, Grant: grant,
		SecretKeys: []string{KeyID, KeySecret},
		OnePage:    true,
		Wrong:      credentials(crusoesim.User{AccessKeyID: users[0].AccessKeyID, SecretKey: "Q0FOQVJZLXdyb25n"}),
		Alive: func(_ context.Context, m provider.Minted) (bool, error) {
			return a.Accepts(m.Secret[KeyID].Reveal(), m.Secret[KeySecret].Reveal()), nil
		},
		Refused: refusals.Refused(),
		Faults:  a.Faults(),
		States: conformance.States{
			Disable: a.Disable, Enable: a.Enable,
			NeverEnded: "a key is enabled or disabled; a deleted one is no longer listed",
		},
		Outside: conformance.Outside{
			Delete: a.Delete,
			Make: func(t *testing.T) string {
				t.Cleanup(func() { a.Delete("manual") })
				return mustMake(t, a, userID, "manual")
			},
			State: func(id string) string {
				for _, k := range a.All() {
					if k.AccessKeyID == id {
						return fmt.Sprintf("%+v", k)
					}
				}
				return ""
			},
		},
	}, a
}

func TestConformance(t *testing.T) { conformance.Run(t, harness(t)) }

func TestConformanceRunsEveryRequirement(t *testing.T) {
	for _, name := range conformance.NotRun(harness(t)) {
		t.Errorf("%s is not run", name)
	}
}

func TestConformanceWithNewErrors(t *testing.T) {
	h, a := harnessOf(t)
	a.NewErrors = true
	conformance.Run(t, h)
}

// Responses omit optional fields, so Mint reads the list. A key without an expiry works until the
// operator revokes it.
func TestConformanceWithoutExpiry(t *testing.T) {
	h, a := harnessOf(t)
	a.WithoutExpiry = true
	h.Faults.Interrupt = nil
	conformance.Run(t, h)
}
