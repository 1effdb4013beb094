package rest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml" //nolint:depguard // the samples are YAML, and are read as the API server reads them

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/drivers/rest"
	"apitoken.dev/operator/test/support/conformance"
	"apitoken.dev/operator/test/support/repofile"
	"apitoken.dev/operator/test/support/simulate/proxyscrapesim"
	"apitoken.dev/operator/test/support/simulate/restsim"
)

const cluster = "cccccccc"

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func clock() time.Time { return start }

// sample returns the settings of a shipped sample, with another address.
func sample(t *testing.T, file, baseURL string) rest.Settings {
	t.Helper()
	first, _, _ := strings.Cut(repofile.Read(t, "config/samples/"+file), "\n---\n")
	s := decode(t, []byte(first))
	s.BaseURL = baseURL
	return s
}

// decode returns the settings of a provider in YAML.
func decode(t *testing.T, content []byte) rest.Settings {
	t.Helper()
	var object struct {
		Spec struct {
			Rest json.RawMessage `json:"rest"`
		} `json:"spec"`
	}
	if err := yaml.Unmarshal(content, &object); err != nil {
		t.Fatal(err)
	}
	var s rest.Settings
	dec := json.NewDecoder(bytes.NewReader(object.Spec.Rest))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&s); err != nil {
		t.Fatal(err)
	}
	return s
}

func serve(t *testing.T, handler http.Handler) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server
}

func config(server *httptest.Server, s rest.Settings, credentials map[string]string) provider.Config {
	values := map[string]provider.Value{}
	for key, value := range credentials {
		values[key] = provider.NewValue(value)
	}
	return provider.Config{Settings: s, Credentials: values, Cluster: cluster, HTTP: server.Client(), UserAgent: "apitoken-operator/test"}
}

// proxyPermissions are the permissions of the simulator's minting key.
var proxyPermissions = []string{
	"account:apikeys:create", "account:apikeys:read", "account:apikeys:update", "account:apikeys:delete",
	"residential:read", "residential:write",
}

func proxyScrape(t *testing.T, legacy bool) (*proxyscrapesim.Simulator, provider.Config) {
	t.Helper()
	sim := proxyscrapesim.New(clock, "CANARY-minting-token", proxyPermissions...)
	sim.Legacy = legacy
	server := serve(t, sim)
	return sim, config(server, sample(t, "rest-proxyscrape.yaml", server.URL), map[string]string{"token": "CANARY-minting-token"})
}

func proxyScrapeHarness(t *testing.T) conformance.Harness {
	sim, cfg := proxyScrape(t, false)
	grant := func() provider.Grant {
		return provider.Grant{Scopes: []string{"residential:read"}, AllowedIPs: []string{"203.0.113.0/24"}, ExpiresAt: start.Add(24 * time.Hour)}
	}
	return conformance.Harness{
		Driver: rest.New().For(cfg.Settings), Config: cfg, Grant: grant, SecretKeys: []string{"token"},
		AnySuccess: true, EmptyLists: []string{"[]"}, OnePage: true,
		Wrong: map[string]provider.Value{"token": provider.NewValue("CANARY-not-the-token")},
		Alive: func(_ context.Context, m provider.Minted) (bool, error) {
			return sim.Accepts(m.Secret["token"].Reveal(), "203.0.113.7", sim.Now()), nil
		},
		Refused: map[string]conformance.Refused{
			"named buckets": {
				Change: func(r *provider.MintRequest) { r.Grant.Buckets = []string{"datasets"} },
				Reason: provider.RefusedBucket, Field: "spec.buckets",
			},
			"denied addresses": {
				Change: func(r *provider.MintRequest) { r.Grant.DeniedIPs = []string{"203.0.113.9"} },
				Reason: provider.RefusedNarrow, Field: "spec.restrictions.deniedIPs",
			},
			"no end": {
				Change: func(r *provider.MintRequest) { r.Grant.ExpiresAt = time.Time{} },
				Reason: provider.RefusedLifetime, Field: "spec.expiresIn",
			},
		},
		Faults: sim.Faults(),
		States: conformance.States{
			Disable: sim.Disable, Enable: sim.Enable,
			NeverEnded: "a deleted key is no longer listed",
		},
		Outside: conformance.Outside{
			Delete: sim.Delete, State: sim.State,
			Make: func(t *testing.T) string {
				t.Cleanup(func() { sim.Delete("another client") })
				return sim.Add(proxyscrapesim.Key{Name: "another client", Permissions: []string{"residential:read"}})
			},
		},
		MinterID: sim.Named("minter")[0].ID,
		Changed: func() provider.Grant {
			g := grant()
			g.Scopes, g.AllowedIPs, g.ExpiresAt = []string{"residential:read", "residential:write"}, []string{"203.0.113.7"}, start.Add(12*time.Hour)
			return g
		},
		IgnoreUpdates: sim.IgnoreUpdates,
	}
}

func spaces(t *testing.T) (*restsim.Spaces, provider.Config) {
	t.Helper()
	sim := restsim.NewSpaces(clock, "CANARY-do-token")
	server := serve(t, sim)
	return sim, config(server, sample(t, "rest-digitalocean-spaces.yaml", server.URL), map[string]string{"token": "CANARY-do-token"})
}

func bucketGrant() provider.Grant {
	return provider.Grant{
		Scopes: []string{"objectstorage:object-read-only"}, Buckets: []string{"datasets", "models"}, ExpiresAt: start.Add(24 * time.Hour),
	}
}

// limited makes an account small enough for the suite to fill it.
const limited = 8

func spacesHarness(t *testing.T) conformance.Harness {
	sim, cfg := spaces(t)
	sim.Limit = limited
	s := cfg.Settings.(rest.Settings)
	s.Limits.Live = limited
	cfg.Settings = s
	return conformance.Harness{
		Driver: rest.New().For(s), Config: cfg, Grant: bucketGrant,
		SecretKeys: []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"},
		AnySuccess: true,
		NextPage: func(body []byte, _ int) []byte {
			return bytes.Replace(body, []byte(`"links":{}`), []byte(`"links":{"pages":{"next":"more"}}`), 1)
		},
		Wrong: map[string]provider.Value{"token": provider.NewValue("CANARY-not-the-token")},
		Alive: func(_ context.Context, m provider.Minted) (bool, error) {
			return sim.Accepts(m.Secret["AWS_ACCESS_KEY_ID"].Reveal(), m.Secret["AWS_SECRET_ACCESS_KEY"].Reveal()), nil
		},
		Refused: map[string]conformance.Refused{
			"all buckets": {
				Change: func(r *provider.MintRequest) { r.Grant.Buckets = []string{"*"} },
				Reason: provider.RefusedBucket, Field: "spec.buckets",
			},
			"no buckets": {
				Change: func(r *provider.MintRequest) { r.Grant.Buckets = nil },
				Reason: provider.RefusedBucket, Field: "spec.buckets",
			},
			"a scope without a permission": {
				Change: func(r *provider.MintRequest) { r.Grant.Scopes = []string{"objectstorage:admin-read-write"} },
				Reason: provider.RefusedScope, Field: "spec.scopes",
			},
			"two scopes": {
				Change: func(r *provider.MintRequest) {
					r.Grant.Scopes = []string{"objectstorage:object-read-only", "objectstorage:object-read-write"}
				},
				Reason: provider.RefusedScope, Field: "spec.scopes",
			},
			"addresses": {
				Change: func(r *provider.MintRequest) { r.Grant.AllowedIPs = []string{"203.0.113.9"} },
				Reason: provider.RefusedNarrow, Field: "spec.restrictions.allowedIPs",
			},
		},
		Faults:  sim.Faults(),
		Outside: outside(sim),
		States:  neither,
	}
}

// account is the common interface of the simulators in package restsim.
type account interface {
	Delete(name string)
	Add() (id string)
	Crowd(n int) (remove func())
	State(id string) string
}

// neither is for a vendor without disabled and ended credentials.
var neither = conformance.States{
	NeverDisabled: "no field of the vendor's answers says that a credential is switched off",
	NeverEnded:    "a deleted credential is no longer listed",
}

func outside(sim account) conformance.Outside {
	return conformance.Outside{
		Delete: sim.Delete, State: sim.State,
		Make: func(t *testing.T) string {
			t.Cleanup(sim.Crowd(0))
			return sim.Add()
		},
	}
}

// newestHarness is for a vendor whose list has one page with the newest keys, and that shows one key by
// its ID.
func newestHarness(t *testing.T) conformance.Harness {
	h := spacesHarness(t)
	sim, cfg := spaces(t)
	s := cfg.Settings.(rest.Settings)
	s.Limits = v1alpha1.RestLimits{Listed: 20, Scopes: 1}
	s.List.Next, s.List.Query = "", map[string]v1alpha1.RestTemplate{"per_page": "20"}
	s.Get = &v1alpha1.RestGet{RestRequest: v1alpha1.RestRequest{Path: "/v2/spaces/keys/{{ .id }}"}, Item: "body.key"}
	cfg.Settings = s
	h.Driver, h.Config, h.Faults = rest.New().For(s), cfg, sim.Faults()
	h.Alive = func(_ context.Context, m provider.Minted) (bool, error) {
		return sim.Accepts(m.Secret["AWS_ACCESS_KEY_ID"].Reveal(), m.Secret["AWS_SECRET_ACCESS_KEY"].Reveal()), nil
	}
	h.Outside, h.Crowd, h.NextPage, h.OnePage = outside(sim), sim.Crowd, nil, true
	return h
}

func gitea(t *testing.T) (*restsim.Gitea, provider.Config) {
	t.Helper()
	sim := restsim.NewGitea(clock, "bot", "CANARY-password")
	server := serve(t, sim)
	cfg := config(server, sample(t, "rest-gitea.yaml", server.URL), map[string]string{"username": "bot", "password": "CANARY-password"})
	return sim, cfg
}

func giteaHarness(t *testing.T) conformance.Harness {
	sim, cfg := gitea(t)
	return conformance.Harness{
		Driver: rest.New().For(cfg.Settings), Config: cfg, SecretKeys: []string{"token"},
		AnySuccess: true, EmptyLists: []string{"[]"},
		NextPage: func(_ []byte, n int) []byte { return fmt.Appendf(nil, `[{"id":%d,"name":"another client"}]`, n+1000) },
		Grant: func() provider.Grant {
			return provider.Grant{Scopes: []string{"read:repository", "write:package"}, ExpiresAt: start.Add(24 * time.Hour)}
		},
		Wrong: map[string]provider.Value{"username": provider.NewValue("bot"), "password": provider.NewValue("CANARY-not-it")},
		Alive: func(_ context.Context, m provider.Minted) (bool, error) {
			return sim.Holds(m.Secret["token"].Reveal()), nil
		},
		Refused: map[string]conformance.Refused{
			"a scope that is not listed": {
				Change: func(r *provider.MintRequest) { r.Grant.Scopes = []string{"write:user"} },
				Reason: provider.RefusedScope, Field: "spec.scopes",
			},
		},
		Faults:  sim.Faults(),
		Outside: outside(sim),
		States:  neither,
	}
}

func gitLab(t *testing.T, old bool) (*restsim.GitLab, provider.Config) {
	t.Helper()
	sim := restsim.NewGitLab(clock, "CANARY-gitlab-token")
	sim.Old = old
	server := serve(t, sim)
	credentials := map[string]string{"token": "CANARY-gitlab-token", "project": strconv.Itoa(restsim.GitLabProject)}
	return sim, config(server, sample(t, "rest-gitlab.yaml", server.URL), credentials)
}

func gitLabHarness(old bool) func(t *testing.T) conformance.Harness {
	return func(t *testing.T) conformance.Harness {
		sim, cfg := gitLab(t, old)
		s := cfg.Settings.(rest.Settings)
		sim.Limit, s.Limits.Live = limited, limited
		s.Error.Word, s.Error.Codes = `body.?error.orValue("")`, map[string]v1alpha1.RestCode{"limit_reached": v1alpha1.RestCode(provider.CodeQuota)}
		cfg.Settings = s
		return conformance.Harness{
			Driver: rest.New().For(s), Config: cfg, SecretKeys: []string{"token"},
			AnySuccess: true, EmptyLists: []string{"[]"},
			NextPage: func(_ []byte, n int) []byte {
				page := make([]map[string]any, 100)
				for i := range page {
					page[i] = map[string]any{"id": 1000 + 100*n + i, "name": "another client", "active": true, "created_at": start}
				}
				body, _ := json.Marshal(page) // numbers and texts
				return body
			},
			Grant: func() provider.Grant {
				return provider.Grant{Scopes: []string{"repository:read", "registry:write"}, ExpiresAt: start.Add(24 * time.Hour)}
			},
			Wrong: map[string]provider.Value{
				"token": provider.NewValue("CANARY-not-it"), "project": provider.NewValue(strconv.Itoa(restsim.GitLabProject)),
			},
			Alive: func(_ context.Context, m provider.Minted) (bool, error) {
				return sim.Holds(m.Secret["token"].Reveal()), nil
			},
			Refused: map[string]conformance.Refused{
				"a scope that is not listed": {
					Change: func(r *provider.MintRequest) { r.Grant.Scopes = []string{"api:write"} },
					Reason: provider.RefusedScope, Field: "spec.scopes",
				},
			},
			Faults:  sim.Faults(),
			Outside: outside(sim),
			States: conformance.States{
				End:           sim.Revoke,
				NeverDisabled: "an access token of GitLab is active, or was revoked or has expired; nothing brings it back",
			},
		}
	}
}

var harnesses = map[string]func(*testing.T) conformance.Harness{
	"proxyscrape": proxyScrapeHarness, "spaces": spacesHarness, "gitea": giteaHarness, "newest": newestHarness,
	"gitlab": gitLabHarness(false), "gitlab before 17.2": gitLabHarness(true),
}

func TestConformance(t *testing.T) {
	for name, harness := range harnesses {
		t.Run(name, func(t *testing.T) { conformance.Run(t, harness(t)) })
	}
}

// notRun are the requirements for credentials that a user makes.
var notRun = []string{
	"FormIsConstantAndWithoutSecrets", "MintRequiresSubmittedKeys", "SubmittedKeysAreReturned", "WrongKeysAreRejected",
	"ManualIsNotRevoked", "AcceptsUntilDeleted", "CancelledChecksEnd", "SwitchedOffIsNotDeleted",
}

// A requirement that applies to one of the vendors runs for one of them at least.
func TestConformanceRunsEveryRequirement(t *testing.T) {
	var all []conformance.Harness
	for _, harness := range harnesses {
		all = append(all, harness(t))
	}
	for _, r := range conformance.Requirements {
		runs := r.Needs == nil || slices.ContainsFunc(all, func(h conformance.Harness) bool { return r.Needs(h) })
		if runs == slices.Contains(notRun, r.Name) {
			t.Errorf("%s is run: %t", r.Name, runs)
		}
	}
}
