package kloudbean

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/test/support/conformance"
)

// refusals are declarations that cannot be granted, and what is said of them.
var refusals = map[string]struct {
	change func(*provider.Grant)
	want   provider.Refusal // Message: what it has to contain
}{
	"administration": {
		change: func(g *provider.Grant) { g.Scopes = []string{"objectstorage:admin-read-only"} },
		want:   provider.Refusal{Reason: provider.RefusedScope, Field: "spec.scopes", Value: "objectstorage:admin-read-only", Message: scopeReadOnly},
	},
	"scope of another product": {
		change: func(g *provider.Grant) { g.Scopes = []string{scopeReadOnly, "billing:read-only"} },
		want:   provider.Refusal{Reason: provider.RefusedScope, Field: "spec.scopes", Value: "billing:read-only", Message: scopeReadWrite},
	},
	"no scope": {
		change: func(g *provider.Grant) { g.Scopes = nil },
		want:   provider.Refusal{Reason: provider.RefusedScope, Field: "spec.scopes", Value: "none", Message: "exactly one permission"},
	},
	"two scopes": {
		change: func(g *provider.Grant) { g.Scopes = []string{scopeReadOnly, scopeWriteOnly} },
		want:   provider.Refusal{Reason: provider.RefusedScope, Field: "spec.scopes", Value: scopeReadOnly + ", " + scopeWriteOnly, Message: "with one key is " + scopeReadWrite},
	},
	"no bucket": {
		change: func(g *provider.Grant) { g.Buckets = nil },
		want:   provider.Refusal{Reason: provider.RefusedBucket, Field: "spec.buckets", Value: "none", Message: "declare its name"},
	},
	"all buckets": {
		change: func(g *provider.Grant) { g.Buckets = []string{"*"} },
		want:   provider.Refusal{Reason: provider.RefusedBucket, Field: "spec.buckets", Value: "*", Message: "an ApiToken for each bucket"},
	},
	"several buckets": {
		change: func(g *provider.Grant) { g.Buckets = []string{bucket, "other"} },
		want:   provider.Refusal{Reason: provider.RefusedBuckets, Field: "spec.buckets", Value: "2 buckets", Message: "an ApiToken for each of the others"},
	},
	"object in a bucket": {
		change: func(g *provider.Grant) { g.Buckets = []string{"data/secret"} },
		want:   provider.Refusal{Reason: provider.RefusedBucket, Field: "spec.buckets", Value: "data/secret", Message: "letters"},
	},
	"subaccounts": {
		change: func(g *provider.Grant) { g.Subaccounts = []string{"one", "two"} },
		want:   provider.Refusal{Reason: provider.RefusedNarrow, Field: "spec.restrictions.subaccounts", Value: "one, two", Message: "never ignored"},
	},
	"no allowed address": {
		change: func(g *provider.Grant) { g.AllowedIPs = []string{"203.0.113.7", "example.com"} },
		want:   provider.Refusal{Reason: provider.RefusedNarrow, Field: "spec.restrictions.allowedIPs", Value: "example.com", Message: "203.0.113.7"},
	},
	"no denied address": {
		change: func(g *provider.Grant) { g.DeniedIPs = []string{"10.0.0.0/33"} },
		want:   provider.Refusal{Reason: provider.RefusedNarrow, Field: "spec.restrictions.deniedIPs", Value: "10.0.0.0/33", Message: "203.0.113.0/24"},
	},
	"address of an interface": {
		change: func(g *provider.Grant) { g.DeniedIPs = []string{"fe80::1%eth0"} },
		want:   provider.Refusal{Reason: provider.RefusedNarrow, Field: "spec.restrictions.deniedIPs", Value: "fe80::1%eth0", Message: "2001:db8::/32"},
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
	cfg := provider.Config{Settings: Settings{S3Endpoint: "https://s3.example.com"}}
	for name, tc := range refusals {
		t.Run(name, func(t *testing.T) {
			g := grant(scopeReadOnly)
			tc.change(&g)
			err := New().Validate(cfg, provider.MintRequest{Grant: g})
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

func TestWrongSettingsAreInvalid(t *testing.T) {
	cases := map[string]struct {
		settings any
		want     string
	}{
		"no settings":           {settings: nil, want: "settings of the kloudbean driver"},
		"no endpoint":           {settings: Settings{}, want: "spec.kloudbean.s3Endpoint"},
		"no URL":                {settings: Settings{S3Endpoint: "s3.kloudbean.com"}, want: "spec.kloudbean.s3Endpoint"},
		"no scheme that we use": {settings: Settings{S3Endpoint: "s3://bucket"}, want: "spec.kloudbean.s3Endpoint"},
		"secrets in a URL":      {settings: Settings{S3Endpoint: "https://user:CANARY@s3.example.com"}, want: "spec.kloudbean.s3Endpoint"},
		"a query":               {settings: Settings{S3Endpoint: "https://s3.example.com?key=CANARY"}, want: "spec.kloudbean.s3Endpoint"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			cfg := provider.Config{Settings: tc.settings}
			_, _, connectErr := New().Connect(t.Context(), cfg)
			for _, err := range []error{connectErr, New().Validate(cfg, provider.MintRequest{Grant: grant(scopeReadOnly)})} {
				e := provider.AsError(err)
				if e.Code != provider.CodeInvalid || !e.NotExecuted || !strings.Contains(e.Message, tc.want) || strings.Contains(e.Message, "CANARY") {
					t.Errorf("got %v, want %s about %q", err, provider.CodeInvalid, tc.want)
				}
			}
			if got := New().Connection(cfg, grant(scopeReadOnly)); got != nil {
				t.Errorf("Connection: got %v, want nothing", got)
			}
		})
	}
}
