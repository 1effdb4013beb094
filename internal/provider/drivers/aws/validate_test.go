package aws

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/test/support/conformance"
)

// refusals are grants that are refused, each with its Refusal.
var refusals = conformance.Refusals{
	"scope of another product": {
		Change: func(g *provider.Grant) { g.Scopes = []string{scopeObjectReadOnly, "billing:read-only"} },
		Want:   provider.Refusal{Reason: provider.RefusedScope, Field: "spec.scopes", Value: "billing:read-only", Message: scopeObjectReadWrite},
	},
	"no scope": {
		Change: func(g *provider.Grant) { g.Scopes = nil },
		Want:   provider.Refusal{Reason: provider.RefusedScope, Field: "spec.scopes", Value: "none", Message: scopeObjectReadOnly},
	},
	"no bucket": {
		Change: func(g *provider.Grant) { g.Buckets = nil },
		Want:   provider.Refusal{Reason: provider.RefusedBucket, Field: "spec.buckets", Value: "none", Message: `["*"]`},
	},
	"all buckets and a name": {
		Change: func(g *provider.Grant) { g.Buckets = []string{"a-bucket", "*"} },
		Want:   provider.Refusal{Reason: provider.RefusedBucket, Field: "spec.buckets", Value: "*", Message: "alone"},
	},
	"wildcard in a name": {
		Change: func(g *provider.Grant) { g.Buckets = []string{"data*"} },
		Want:   provider.Refusal{Reason: provider.RefusedBucket, Field: "spec.buckets", Value: "data*", Message: "letters"},
	},
	"variable in a name": {
		Change: func(g *provider.Grant) { g.Buckets = []string{"a${aws:username}"} },
		Want:   provider.Refusal{Reason: provider.RefusedBucket, Field: "spec.buckets", Value: "a${aws:username}", Message: "letters"},
	},
	"object in a bucket": {
		Change: func(g *provider.Grant) { g.Buckets = []string{"data/secret"} },
		Want:   provider.Refusal{Reason: provider.RefusedBucket, Field: "spec.buckets", Value: "data/secret", Message: "letters"},
	},
	"no end": {
		Change: func(g *provider.Grant) { g.ExpiresAt = time.Time{} },
		Want:   provider.Refusal{Reason: provider.RefusedLifetime, Field: "spec.expiresIn", Value: "none", Message: "expiresAt"},
	},
	"subaccounts": {
		Change: func(g *provider.Grant) { g.Subaccounts = []string{"one", "two"} },
		Want:   provider.Refusal{Reason: provider.RefusedNarrow, Field: "spec.restrictions.subaccounts", Value: "one, two", Message: "leave them out"},
	},
	"no address": {
		Change: func(g *provider.Grant) { g.AllowedIPs = []string{"10.0.0.0/8", "notanip"} },
		Want:   provider.Refusal{Reason: provider.RefusedNarrow, Field: "spec.restrictions.allowedIPs", Value: "notanip", Message: "203.0.113.0/24"},
	},
	"no denied address": {
		Change: func(g *provider.Grant) { g.DeniedIPs = []string{"10.0.0.0/33"} },
		Want:   provider.Refusal{Reason: provider.RefusedNarrow, Field: "spec.restrictions.deniedIPs", Value: "10.0.0.0/33", Message: "203.0.113.0/24"},
	},
	"address of an interface": {
		Change: func(g *provider.Grant) { g.DeniedIPs = []string{"fe80::1%eth0"} },
		Want:   provider.Refusal{Reason: provider.RefusedNarrow, Field: "spec.restrictions.deniedIPs", Value: "fe80::1%eth0", Message: "2001:db8::/32"},
	},
	"too many buckets": {
		Change: func(g *provider.Grant) { g.Buckets = numbered(100) },
		Want:   provider.Refusal{Reason: provider.RefusedBuckets, Field: "spec.buckets", Value: "100 buckets", Message: "the first 31 of these 100 buckets fit"},
	},
	"too many ranges": {
		Change: func(g *provider.Grant) {
			for i := range 100 {
				g.AllowedIPs = append(g.AllowedIPs, fmt.Sprintf("203.0.113.%d", i))
			}
		},
		Want: provider.Refusal{Reason: provider.RefusedNarrow, Field: "spec.restrictions", Value: "100 ranges", Message: "no room"},
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

func TestValidateSaysWhatToDo(t *testing.T) {
	refusals.Check(t, New(), provider.Config{Settings: Settings{}}, func() provider.Grant { return readOnly("datasets") })
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
	conformance.CheckWrongSettings(t, New(), newSimulator(t).config(), readOnly("datasets"), map[string]conformance.WrongSettings{
		"no settings":        {Settings: nil, Says: "settings of the aws driver"},
		"no URL":             {Settings: Settings{IAMEndpoint: "iam.example.com"}, Says: "spec.aws.iamEndpoint"},
		"unsupported scheme": {Settings: Settings{S3Endpoint: "s3://bucket"}, Says: "spec.aws.s3Endpoint"},
		"secrets in a URL":   {Settings: Settings{S3Endpoint: "https://user:CANARY@s3.example.com"}, Says: "spec.aws.s3Endpoint"},
	})
}
