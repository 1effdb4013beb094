package crusoe

import (
	"errors"
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
	"reading only": {
		change: func(g *provider.Grant) { g.Scopes = []string{"objectstorage:object-read-only"} },
		want:   provider.Refusal{Reason: provider.RefusedScope, Field: "spec.scopes", Value: "objectstorage:object-read-only", Message: "declare objectstorage:admin-read-write"},
	},
	"every scope but the one": {
		change: func(g *provider.Grant) {
			g.Scopes = []string{"objectstorage:object-read-write", "objectstorage:admin-read-only"}
		},
		want: provider.Refusal{
			Reason: provider.RefusedScope, Field: "spec.scopes", Value: "objectstorage:object-read-write, objectstorage:admin-read-only", Message: "cannot be given less",
		},
	},
	"no scope": {
		change: func(g *provider.Grant) { g.Scopes = nil },
		want:   provider.Refusal{Reason: provider.RefusedScope, Field: "spec.scopes", Value: "none", Message: "declare objectstorage:admin-read-write"},
	},
	"another product beside it": {
		change: func(g *provider.Grant) { g.Scopes = append(g.Scopes, "billing:read-only") },
		want:   provider.Refusal{Reason: provider.RefusedScope, Field: "spec.scopes", Value: "billing:read-only", Message: "this provider grants"},
	},
	"one bucket": {
		change: func(g *provider.Grant) { g.Buckets = []string{"datasets"} },
		want:   provider.Refusal{Reason: provider.RefusedBucket, Field: "spec.buckets", Value: "datasets", Message: `declare ["*"]`},
	},
	"a bucket beside all": {
		change: func(g *provider.Grant) { g.Buckets = []string{"*", "datasets"} },
		want:   provider.Refusal{Reason: provider.RefusedBucket, Field: "spec.buckets", Value: "*, datasets", Message: `declare ["*"]`},
	},
	"no bucket": {
		change: func(g *provider.Grant) { g.Buckets = nil },
		want:   provider.Refusal{Reason: provider.RefusedBucket, Field: "spec.buckets", Value: "none", Message: `declare ["*"]`},
	},
	"addresses": {
		change: func(g *provider.Grant) { g.AllowedIPs = []string{"203.0.113.0/24"} },
		want:   provider.Refusal{Reason: provider.RefusedNarrow, Field: "spec.restrictions.allowedIPs", Value: "203.0.113.0/24", Message: "remove it"},
	},
	"denied addresses": {
		change: func(g *provider.Grant) { g.DeniedIPs = []string{"203.0.113.7"} },
		want:   provider.Refusal{Reason: provider.RefusedNarrow, Field: "spec.restrictions.deniedIPs", Value: "203.0.113.7", Message: "remove it"},
	},
	"subaccounts": {
		change: func(g *provider.Grant) { g.Subaccounts = []string{"17"} },
		want:   provider.Refusal{Reason: provider.RefusedNarrow, Field: "spec.restrictions.subaccounts", Value: "17", Message: "remove it"},
	},
	"no end": {
		change: func(g *provider.Grant) { g.ExpiresAt = time.Time{} },
		want:   provider.Refusal{Reason: provider.RefusedLifetime, Field: "spec.expiresIn", Value: "none", Message: "declare expiresIn or expiresAt"},
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
	a := newAccount(t)
	for name, tc := range refusals {
		t.Run(name, func(t *testing.T) {
			g := grant()
			tc.change(&g)
			err := a.driver.Validate(a.config, provider.MintRequest{Grant: g})
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
	if n := len(a.Requests()); n != 0 {
		t.Errorf("Validate sent %d requests", n)
	}
}

// TestScopesOfAKey: whatever a scope allows, a key has all of it, so that only the
// widest one may stand alone.
func TestScopesOfAKey(t *testing.T) {
	a := newAccount(t)
	for _, scope := range covered {
		g := grant()
		g.Scopes = []string{scope}
		if got, want := a.driver.Validate(a.config, provider.MintRequest{Grant: g}) == nil, scope == scopeAll; got != want {
			t.Errorf("%s alone: granted %t, want %t", scope, got, want)
		}
		g.Scopes = []string{scope, scopeAll}
		if err := a.driver.Validate(a.config, provider.MintRequest{Grant: g}); err != nil {
			t.Errorf("%s beside %s: %v", scope, scopeAll, err)
		}
	}
}

func TestWrongSettingsAreInvalid(t *testing.T) {
	good := Settings{OrganizationID: organization, Location: "us-east1-a"}
	cases := map[string]struct {
		settings func(Settings) any
		want     string
	}{
		"no settings":         {settings: func(Settings) any { return nil }, want: "settings of the crusoe driver"},
		"no organization":     {settings: func(s Settings) any { s.OrganizationID = ""; return s }, want: "spec.crusoe.organizationID"},
		"a path":              {settings: func(s Settings) any { s.OrganizationID = "../users"; return s }, want: "spec.crusoe.organizationID"},
		"no location":         {settings: func(s Settings) any { s.Location = ""; return s }, want: "spec.crusoe.location"},
		"a host":              {settings: func(s Settings) any { s.Location = "example.com/"; return s }, want: "spec.crusoe.location"},
		"no URL":              {settings: func(s Settings) any { s.Endpoint = "api.example.com"; return s }, want: "spec.crusoe.endpoint"},
		"a scheme of its own": {settings: func(s Settings) any { s.S3Endpoint = "s3://bucket"; return s }, want: "spec.crusoe.s3Endpoint"},
		"secrets in a URL":    {settings: func(s Settings) any { s.Endpoint = "https://user:CANARY@api.example.com"; return s }, want: "spec.crusoe.endpoint"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			a := newAccount(t)
			a.config.Settings = tc.settings(good)
			_, _, err := a.driver.Connect(t.Context(), a.config)
			e := provider.AsError(err)
			if e.Code != provider.CodeInvalid || !e.NotExecuted || !strings.Contains(e.Message, tc.want) || strings.Contains(e.Message, "CANARY") {
				t.Errorf("got %v, want %s about %q", err, provider.CodeInvalid, tc.want)
			}
		})
	}
}

func TestConnection(t *testing.T) {
	cases := map[string]struct {
		settings Settings
		want     map[string]string
	}{
		"of a location": {
			settings: Settings{OrganizationID: organization, Location: "eu-iceland1-a"},
			want: map[string]string{
				"AWS_ENDPOINT_URL": "https://object.eu-iceland1-a.crusoecloudcompute.com", "AWS_ENDPOINT_URL_S3": "https://object.eu-iceland1-a.crusoecloudcompute.com",
				"AWS_REGION": "eu-iceland1-a", "AWS_DEFAULT_REGION": "eu-iceland1-a",
			},
		},
		"of one's own": {
			settings: Settings{OrganizationID: organization, Location: "us-east1-a", S3Endpoint: "https://s3.example.com"},
			want: map[string]string{
				"AWS_ENDPOINT_URL": "https://s3.example.com", "AWS_ENDPOINT_URL_S3": "https://s3.example.com",
				"AWS_REGION": "us-east1-a", "AWS_DEFAULT_REGION": "us-east1-a",
			},
		},
		"of nothing": {settings: Settings{}, want: nil},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := New(&stopped{at: start}).Connection(provider.Config{Settings: tc.settings}, grant())
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// TestAccount: the host is no part of the account, and what earlier versions wrote still is.
func TestAccount(t *testing.T) {
	for endpoint, want := range map[string]string{
		defaultEndpoint:                          "org/user",
		"https://api.crusoecloud.com/v1":         "org/user",
		"https://API.cloud.crusoe.ai/v1":         "org/user",
		"https://crusoe.ai.example.com:8443/v1":  "org/user@crusoe.ai.example.com:8443",
		"http://127.0.0.1:9000":                  "org/user@127.0.0.1:9000",
		"https://api.cloud.crusoe.ai.example/v1": "org/user@api.cloud.crusoe.ai.example",
	} {
		if got := (settings{Settings{OrganizationID: "org", Endpoint: endpoint}}).account("user"); got.ID != "org/user" || !got.Is(want) || len(got.Former) > 1 {
			t.Errorf("%s: got %+v, which is not %q", endpoint, got, want)
		}
	}
}
