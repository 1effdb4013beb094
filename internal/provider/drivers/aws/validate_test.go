package aws

import (
	"errors"
	"fmt"
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
	"scope of another product": {
		change: func(g *provider.Grant) { g.Scopes = []string{scopeObjectReadOnly, "billing:read-only"} },
		want:   provider.Refusal{Reason: provider.RefusedScope, Field: "spec.scopes", Value: "billing:read-only", Message: scopeObjectReadWrite},
	},
	"no scope": {
		change: func(g *provider.Grant) { g.Scopes = nil },
		want:   provider.Refusal{Reason: provider.RefusedScope, Field: "spec.scopes", Value: "none", Message: scopeObjectReadOnly},
	},
	"no bucket": {
		change: func(g *provider.Grant) { g.Buckets = nil },
		want:   provider.Refusal{Reason: provider.RefusedBucket, Field: "spec.buckets", Value: "none", Message: `["*"]`},
	},
	"all buckets beside one": {
		change: func(g *provider.Grant) { g.Buckets = []string{"a-bucket", "*"} },
		want:   provider.Refusal{Reason: provider.RefusedBucket, Field: "spec.buckets", Value: "*", Message: "alone"},
	},
	"wildcard in a name": {
		change: func(g *provider.Grant) { g.Buckets = []string{"data*"} },
		want:   provider.Refusal{Reason: provider.RefusedBucket, Field: "spec.buckets", Value: "data*", Message: "letters"},
	},
	"variable in a name": {
		change: func(g *provider.Grant) { g.Buckets = []string{"a${aws:username}"} },
		want:   provider.Refusal{Reason: provider.RefusedBucket, Field: "spec.buckets", Value: "a${aws:username}", Message: "letters"},
	},
	"object in a bucket": {
		change: func(g *provider.Grant) { g.Buckets = []string{"data/secret"} },
		want:   provider.Refusal{Reason: provider.RefusedBucket, Field: "spec.buckets", Value: "data/secret", Message: "letters"},
	},
	"no end": {
		change: func(g *provider.Grant) { g.ExpiresAt = time.Time{} },
		want:   provider.Refusal{Reason: provider.RefusedLifetime, Field: "spec.expiresIn", Value: "none", Message: "expiresAt"},
	},
	"subaccounts": {
		change: func(g *provider.Grant) { g.Subaccounts = []string{"one", "two"} },
		want:   provider.Refusal{Reason: provider.RefusedNarrow, Field: "spec.restrictions.subaccounts", Value: "one, two", Message: "leave them out"},
	},
	"no address": {
		change: func(g *provider.Grant) { g.AllowedIPs = []string{"10.0.0.0/8", "notanip"} },
		want:   provider.Refusal{Reason: provider.RefusedNarrow, Field: "spec.restrictions.allowedIPs", Value: "notanip", Message: "203.0.113.0/24"},
	},
	"no denied address": {
		change: func(g *provider.Grant) { g.DeniedIPs = []string{"10.0.0.0/33"} },
		want:   provider.Refusal{Reason: provider.RefusedNarrow, Field: "spec.restrictions.deniedIPs", Value: "10.0.0.0/33", Message: "203.0.113.0/24"},
	},
	"address of an interface": {
		change: func(g *provider.Grant) { g.DeniedIPs = []string{"fe80::1%eth0"} },
		want:   provider.Refusal{Reason: provider.RefusedNarrow, Field: "spec.restrictions.deniedIPs", Value: "fe80::1%eth0", Message: "2001:db8::/32"},
	},
	"too many buckets": {
		change: func(g *provider.Grant) { g.Buckets = numbered(100) },
		want:   provider.Refusal{Reason: provider.RefusedBuckets, Field: "spec.buckets", Value: "100 buckets", Message: "the first 31 of these 100 buckets fit"},
	},
	"too many ranges": {
		change: func(g *provider.Grant) {
			for i := range 100 {
				g.AllowedIPs = append(g.AllowedIPs, fmt.Sprintf("203.0.113.%d", i))
			}
		},
		want: provider.Refusal{Reason: provider.RefusedNarrow, Field: "spec.restrictions", Value: "100 ranges", Message: "no room"},
	},
}

// numbered returns n bucket names of ten characters.
func numbered(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("bucket-%03d", i)
	}
	return out
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
			grant := readOnly("datasets")
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

func TestTooManyBucketsCountsRight(t *testing.T) {
	grant := readOnly(numbered(31)...)
	if _, refusal := plan(settings{}, grant); refusal != nil {
		t.Errorf("31 buckets are said to fit, but: %v", refusal)
	}
	grant.Buckets = numbered(32)
	if _, refusal := plan(settings{}, grant); refusal == nil {
		t.Error("32 buckets fit as well")
	}
}

func TestAllBucketsAreOfferedToObjectScopesOnly(t *testing.T) {
	for scope, want := range map[string]bool{scopeObjectReadOnly: true, scopeAdminReadWrite: false} {
		grant := readOnly(numbered(100)...)
		grant.Scopes = []string{scope}
		_, refusal := plan(settings{}, grant)
		if got := refusal != nil && strings.Contains(refusal.Message, `["*"]`); got != want {
			t.Errorf("%s: offers all buckets: got %t, want %t (%v)", scope, got, want, refusal)
		}
	}
}

func TestWrongSettingsAreInvalid(t *testing.T) {
	cases := map[string]struct {
		settings any
		want     string
	}{
		"no settings":           {settings: nil, want: "settings of the aws driver"},
		"no URL":                {settings: Settings{IAMEndpoint: "iam.example.com"}, want: "spec.aws.iamEndpoint"},
		"no scheme that we use": {settings: Settings{S3Endpoint: "s3://bucket"}, want: "spec.aws.s3Endpoint"},
		"secrets in a URL":      {settings: Settings{S3Endpoint: "https://user:CANARY@s3.example.com"}, want: "spec.aws.s3Endpoint"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			cfg := newSimulator(t).config()
			cfg.Settings = tc.settings
			_, _, err := New().Connect(t.Context(), cfg)
			e := provider.AsError(err)
			if e.Code != provider.CodeInvalid || !strings.Contains(e.Message, tc.want) || strings.Contains(e.Message, "CANARY") {
				t.Errorf("got %v, want %s about %q", err, provider.CodeInvalid, tc.want)
			}
		})
	}
}
