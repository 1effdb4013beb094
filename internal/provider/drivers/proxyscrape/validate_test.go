package proxyscrape

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/test/support/conformance"
)

// refusals are declarations that cannot be granted, and what is said of them.
var refusals = map[string]struct {
	change func(*provider.Grant)
	want   provider.Refusal // Message: what it has to contain
}{
	"no scope": {
		change: func(g *provider.Grant) { g.Scopes = nil },
		want:   provider.Refusal{Reason: provider.RefusedScope, Field: "spec.scopes", Value: "none", Message: "residential:read"},
	},
	"object storage": {
		change: func(g *provider.Grant) { g.Scopes = []string{"residential:read", "objectstorage:object-read-only"} },
		want:   provider.Refusal{Reason: provider.RefusedScope, Field: "spec.scopes", Value: "objectstorage:object-read-only", Message: "neither object storage"},
	},
	"billing": {
		change: func(g *provider.Grant) { g.Scopes = []string{"billing:read-only"} },
		want:   provider.Refusal{Reason: provider.RefusedScope, Field: "spec.scopes", Value: "billing:read-only", Message: "status.grantableScopes"},
	},
	"no permission": {
		change: func(g *provider.Grant) { g.Scopes = []string{"residential"} },
		want:   provider.Refusal{Reason: provider.RefusedScope, Field: "spec.scopes", Value: "residential", Message: "product:permission"},
	},
	"too long a permission": {
		change: func(g *provider.Grant) { g.Scopes = []string{"a:" + strings.Repeat("b", 127)} },
		want: provider.Refusal{
			Reason: provider.RefusedScope, Field: "spec.scopes", Value: "a:" + strings.Repeat("b", 127), Message: "product:permission",
		},
	},
	"buckets": {
		change: func(g *provider.Grant) { g.Buckets = []string{"datasets", "logs"} },
		want:   provider.Refusal{Reason: provider.RefusedBucket, Field: "spec.buckets", Value: "datasets, logs", Message: "remove them"},
	},
	"all buckets": {
		change: func(g *provider.Grant) { g.Buckets = []string{"*"} },
		want:   provider.Refusal{Reason: provider.RefusedBucket, Field: "spec.buckets", Value: "*", Message: "remove them"},
	},
	"no end": {
		change: func(g *provider.Grant) { g.ExpiresAt = time.Time{} },
		want:   provider.Refusal{Reason: provider.RefusedLifetime, Field: "spec.expiresIn", Value: "none", Message: "expiresAt"},
	},
	"denied addresses": {
		change: func(g *provider.Grant) { g.DeniedIPs = []string{"10.0.0.0/8"} },
		want:   provider.Refusal{Reason: provider.RefusedNarrow, Field: "spec.restrictions.deniedIPs", Value: "10.0.0.0/8", Message: "remove it"},
	},
	"no subaccount": {
		change: func(g *provider.Grant) { g.Subaccounts = []string{firstSubaccount, "team-a"} },
		want:   provider.Refusal{Reason: provider.RefusedNarrow, Field: "spec.restrictions.subaccounts", Value: "team-a", Message: "UUID"},
	},
	"no address": {
		change: func(g *provider.Grant) { g.AllowedIPs = []string{"10.0.0.0/8", "10.0.0.0/33"} },
		want:   provider.Refusal{Reason: provider.RefusedNarrow, Field: "spec.restrictions.allowedIPs", Value: "10.0.0.0/33", Message: "203.0.113.0/24"},
	},
	"address of an interface": {
		change: func(g *provider.Grant) { g.AllowedIPs = []string{"fe80::1%eth0"} },
		want:   provider.Refusal{Reason: provider.RefusedNarrow, Field: "spec.restrictions.allowedIPs", Value: "fe80::1%eth0", Message: "2001:db8::/32"},
	},
	"IPv4 in IPv6": {
		change: func(g *provider.Grant) { g.AllowedIPs = []string{"::ffff:10.0.0.0/104"} },
		want:   provider.Refusal{Reason: provider.RefusedNarrow, Field: "spec.restrictions.allowedIPs", Value: "::ffff:10.0.0.0/104", Message: "203.0.113.0/24"},
	},
}

func refusedByConformance() map[string]conformance.Refused {
	out := map[string]conformance.Refused{}
	for name, tc := range refusals {
		out[name] = conformance.Refused{
			Change: func(r *provider.MintRequest) { tc.change(&r.Grant) },
			Reason: tc.want.Reason, Field: tc.want.Field,
		}
	}
	return out
}

func TestValidateSaysWhatToDo(t *testing.T) {
	for name, tc := range refusals {
		t.Run(name, func(t *testing.T) {
			grant := readOnly()
			tc.change(&grant)
			err := New().Validate(provider.Config{Settings: Settings{}}, provider.MintRequest{Grant: grant})
			var got *provider.Refusal
			if !errors.As(err, &got) {
				t.Fatalf("got %v, want a Refusal", err)
			}
			if !strings.Contains(got.Message, tc.want.Message) {
				t.Errorf("message %q does not contain %q", got.Message, tc.want.Message)
			}
			want := tc.want
			want.Message = got.Message
			if diff := cmp.Diff(want, *got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// TestEveryPermissionPassesThrough mints with each documented permission, and
// compares what reaches the provider.
func TestEveryPermissionPassesThrough(t *testing.T) {
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
	cases := map[string]struct {
		settings any
		want     string
	}{
		"no settings":           {settings: nil, want: "settings of the proxyscrape driver"},
		"no URL":                {settings: Settings{Endpoint: "api.example.com"}, want: "spec.proxyscrape.endpoint"},
		"no scheme that we use": {settings: Settings{Endpoint: "ftp://api.example.com"}, want: "spec.proxyscrape.endpoint"},
		"secrets in a URL":      {settings: Settings{Endpoint: "https://user:CANARY@api.example.com"}, want: "spec.proxyscrape.endpoint"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, cfg := newSimulator(t)
			cfg.Settings = tc.settings
			_, _, err := New().Connect(t.Context(), cfg)
			for _, err := range []error{err, New().Validate(cfg, request(t))} {
				e := provider.AsError(err)
				if e.Code != provider.CodeInvalid || !strings.Contains(e.Message, tc.want) || strings.Contains(e.Message, "CANARY") {
					t.Errorf("got %v, want %s about %q", err, provider.CodeInvalid, tc.want)
				}
			}
			if got := New().Connection(cfg, readOnly()); got != nil {
				t.Errorf("Connection returns %v", got)
			}
		})
	}
}

func TestConnectionNamesTheEndpoint(t *testing.T) {
	for endpoint, want := range map[string]string{"": DefaultEndpoint, "https://api.example.com/": "https://api.example.com"} {
		got := New().Connection(provider.Config{Settings: Settings{Endpoint: endpoint}}, readOnly())
		if diff := cmp.Diff(map[string]string{KeyEndpoint: want}, got); diff != "" {
			t.Errorf("%q: -want +got:\n%s", endpoint, diff)
		}
	}
}
