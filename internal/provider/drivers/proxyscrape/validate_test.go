package proxyscrape

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/test/support/conformance"
)

// refusals are declarations that cannot be granted, each with its Refusal.
var refusals = conformance.Refusals{
	"no scope": {
		Change: func(g *provider.Grant) { g.Scopes = nil },
		Want:   provider.Refusal{Reason: provider.RefusedScope, Field: "spec.scopes", Value: "none", Message: "residential:read"},
	},
	"object storage": {
		Change: func(g *provider.Grant) { g.Scopes = []string{"residential:read", "objectstorage:object-read-only"} },
		Want:   provider.Refusal{Reason: provider.RefusedScope, Field: "spec.scopes", Value: "objectstorage:object-read-only", Message: "neither object storage"},
	},
	"billing": {
		Change: func(g *provider.Grant) { g.Scopes = []string{"billing:read-only"} },
		Want:   provider.Refusal{Reason: provider.RefusedScope, Field: "spec.scopes", Value: "billing:read-only", Message: "status.grantableScopes"},
	},
	"no permission": {
		Change: func(g *provider.Grant) { g.Scopes = []string{"residential"} },
		Want:   provider.Refusal{Reason: provider.RefusedScope, Field: "spec.scopes", Value: "residential", Message: "product:permission"},
	},
	"too long a permission": {
		Change: func(g *provider.Grant) { g.Scopes = []string{"a:" + strings.Repeat("b", 127)} },
		Want: provider.Refusal{
			Reason: provider.RefusedScope, Field: "spec.scopes", Value: "a:" + strings.Repeat("b", 127), Message: "product:permission",
		},
	},
	"buckets": {
		Change: func(g *provider.Grant) { g.Buckets = []string{"datasets", "logs"} },
		Want:   provider.Refusal{Reason: provider.RefusedBucket, Field: "spec.buckets", Value: "datasets, logs", Message: "remove them"},
	},
	"all buckets": {
		Change: func(g *provider.Grant) { g.Buckets = []string{"*"} },
		Want:   provider.Refusal{Reason: provider.RefusedBucket, Field: "spec.buckets", Value: "*", Message: "remove them"},
	},
	"no end": {
		Change: func(g *provider.Grant) { g.ExpiresAt = time.Time{} },
		Want:   provider.Refusal{Reason: provider.RefusedLifetime, Field: "spec.expiresIn", Value: "none", Message: "expiresAt"},
	},
	"denied addresses": {
		Change: func(g *provider.Grant) { g.DeniedIPs = []string{"10.0.0.0/8"} },
		Want:   provider.Refusal{Reason: provider.RefusedNarrow, Field: "spec.restrictions.deniedIPs", Value: "10.0.0.0/8", Message: "remove it"},
	},
	"no subaccount": {
		Change: func(g *provider.Grant) { g.Subaccounts = []string{firstSubaccount, "team-a"} },
		Want:   provider.Refusal{Reason: provider.RefusedNarrow, Field: "spec.restrictions.subaccounts", Value: "team-a", Message: "UUID"},
	},
	"no address": {
		Change: func(g *provider.Grant) { g.AllowedIPs = []string{"10.0.0.0/8", "10.0.0.0/33"} },
		Want:   provider.Refusal{Reason: provider.RefusedNarrow, Field: "spec.restrictions.allowedIPs", Value: "10.0.0.0/33", Message: "203.0.113.0/24"},
	},
	"address of an interface": {
		Change: func(g *provider.Grant) { g.AllowedIPs = []string{"fe80::1%eth0"} },
		Want:   provider.Refusal{Reason: provider.RefusedNarrow, Field: "spec.restrictions.allowedIPs", Value: "fe80::1%eth0", Message: "2001:db8::/32"},
	},
	"IPv4 in IPv6": {
		Change: func(g *provider.Grant) { g.AllowedIPs = []string{"::ffff:10.0.0.0/104"} },
		Want:   provider.Refusal{Reason: provider.RefusedNarrow, Field: "spec.restrictions.allowedIPs", Value: "::ffff:10.0.0.0/104", Message: "203.0.113.0/24"},
	},
}

func TestValidateSaysWhatToDo(t *testing.T) {
	refusals.Check(t, New(), provider.Config{Settings: Settings{}}, readOnly)
}

// The test mints with each documented permission.
func TestEveryPermissionIsSentUnchanged(t *testing.T) {
	s, cfg := newSimulator(t)
	client, _ := connect(t, cfg)
	for _, scope := range documented {
		req := request(t)
		req.Grant.Scopes = []string{scope}
		if err := New().Validate(cfg, req); err != nil {
			t.Errorf("Validate(%s): %v", scope, err)
		}
		if _, err := client.Mint(t.Context(), req); err != nil {
			t.Errorf("Mint(%s): %v", scope, err)
			continue
		}
		if got := s.Named(req.Name); len(got) != 1 || !slices.Equal(got[0].Permissions, []string{scope}) {
			t.Errorf("%s became %+v", scope, got)
		}
	}
}

func TestAddressesHaveOneForm(t *testing.T) {
	cases := map[string]string{
		"203.0.113.7": "203.0.113.7", "203.0.113.7/32": "203.0.113.7", "203.0.113.7/24": "203.0.113.0/24", "0.0.0.0/0": "0.0.0.0/0",
		"2001:DB8:0::7": "2001:db8::7", "2001:db8::7/128": "2001:db8::7", "2001:db8::7/32": "2001:db8::/32", "::ffff:203.0.113.7": "203.0.113.7",
	}
	for text, want := range cases {
		if got, ok := canonical(text); !ok || got != want {
			t.Errorf("%s: got %s, %t, want %s", text, got, ok, want)
		}
	}
}

func TestWrongSettingsAreInvalid(t *testing.T) {
	_, cfg := newSimulator(t)
	conformance.CheckWrongSettings(t, New(), cfg, readOnly(), map[string]conformance.WrongSettings{
		"no settings":           {Settings: nil, Says: "settings of the proxyscrape driver"},
		"no URL":                {Settings: Settings{Endpoint: "api.example.com"}, Says: "spec.proxyscrape.endpoint"},
		"no scheme that we use": {Settings: Settings{Endpoint: "ftp://api.example.com"}, Says: "spec.proxyscrape.endpoint"},
		"secrets in a URL":      {Settings: Settings{Endpoint: "https://user:CANARY@api.example.com"}, Says: "spec.proxyscrape.endpoint"},
	})
}

func TestConnectionNamesTheEndpoint(t *testing.T) {
	for endpoint, want := range map[string]string{"": DefaultEndpoint, "https://api.example.com/": "https://api.example.com"} {
		got := New().Connection(provider.Config{Settings: Settings{Endpoint: endpoint}}, readOnly())
		if diff := cmp.Diff(map[string]string{KeyEndpoint: want}, got); diff != "" {
			t.Errorf("%q: -want +got:\n%s", endpoint, diff)
		}
	}
}
