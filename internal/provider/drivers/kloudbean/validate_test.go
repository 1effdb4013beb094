package kloudbean

import (
	"testing"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/test/support/conformance"
)

// refusals are declarations that cannot be granted, each with its Refusal.
var refusals = conformance.Refusals{
	"administration": {
		Change: func(g *provider.Grant) { g.Scopes = []string{"objectstorage:admin-read-only"} },
		Want:   provider.Refusal{Reason: provider.RefusedScope, Field: "spec.scopes", Value: "objectstorage:admin-read-only", Message: scopeReadOnly},
	},
	"scope of another product": {
		Change: func(g *provider.Grant) { g.Scopes = []string{scopeReadOnly, "billing:read-only"} },
		Want:   provider.Refusal{Reason: provider.RefusedScope, Field: "spec.scopes", Value: "billing:read-only", Message: scopeReadWrite},
	},
	"no scope": {
		Change: func(g *provider.Grant) { g.Scopes = nil },
		Want:   provider.Refusal{Reason: provider.RefusedScope, Field: "spec.scopes", Value: "none", Message: "exactly one permission"},
	},
	"two scopes": {
		Change: func(g *provider.Grant) { g.Scopes = []string{scopeReadOnly, scopeWriteOnly} },
		Want:   provider.Refusal{Reason: provider.RefusedScope, Field: "spec.scopes", Value: scopeReadOnly + ", " + scopeWriteOnly, Message: "with one key is " + scopeReadWrite},
	},
	"no bucket": {
		Change: func(g *provider.Grant) { g.Buckets = nil },
		Want:   provider.Refusal{Reason: provider.RefusedBucket, Field: "spec.buckets", Value: "none", Message: "declare its name"},
	},
	"all buckets": {
		Change: func(g *provider.Grant) { g.Buckets = []string{"*"} },
		Want:   provider.Refusal{Reason: provider.RefusedBucket, Field: "spec.buckets", Value: "*", Message: "an ApiToken for each bucket"},
	},
	"several buckets": {
		Change: func(g *provider.Grant) { g.Buckets = []string{bucket, "other"} },
		Want:   provider.Refusal{Reason: provider.RefusedBuckets, Field: "spec.buckets", Value: "2 buckets", Message: "an ApiToken for each of the others"},
	},
	"object in a bucket": {
		Change: func(g *provider.Grant) { g.Buckets = []string{"data/secret"} },
		Want:   provider.Refusal{Reason: provider.RefusedBucket, Field: "spec.buckets", Value: "data/secret", Message: "letters"},
	},
	"subaccounts": {
		Change: func(g *provider.Grant) { g.Subaccounts = []string{"one", "two"} },
		Want:   provider.Refusal{Reason: provider.RefusedNarrow, Field: "spec.restrictions.subaccounts", Value: "one, two", Message: "never ignored"},
	},
	"no allowed address": {
		Change: func(g *provider.Grant) { g.AllowedIPs = []string{"203.0.113.7", "example.com"} },
		Want:   provider.Refusal{Reason: provider.RefusedNarrow, Field: "spec.restrictions.allowedIPs", Value: "example.com", Message: "203.0.113.7"},
	},
	"no denied address": {
		Change: func(g *provider.Grant) { g.DeniedIPs = []string{"10.0.0.0/33"} },
		Want:   provider.Refusal{Reason: provider.RefusedNarrow, Field: "spec.restrictions.deniedIPs", Value: "10.0.0.0/33", Message: "203.0.113.0/24"},
	},
	"address of an interface": {
		Change: func(g *provider.Grant) { g.DeniedIPs = []string{"fe80::1%eth0"} },
		Want:   provider.Refusal{Reason: provider.RefusedNarrow, Field: "spec.restrictions.deniedIPs", Value: "fe80::1%eth0", Message: "2001:db8::/32"},
	},
}

func TestValidateSaysWhatToDo(t *testing.T) {
	cfg := provider.Config{Settings: Settings{S3Endpoint: "https://s3.example.com"}}
	refusals.Check(t, New(), cfg, func() provider.Grant { return grant(scopeReadOnly) })
}

func TestWrongSettingsAreInvalid(t *testing.T) {
	conformance.CheckWrongSettings(t, New(), provider.Config{}, grant(scopeReadOnly), map[string]conformance.WrongSettings{
		"no settings":           {Settings: nil, Says: "settings of the kloudbean driver"},
		"no endpoint":           {Settings: Settings{}, Says: "spec.kloudbean.s3Endpoint"},
		"no URL":                {Settings: Settings{S3Endpoint: "s3.kloudbean.com"}, Says: "spec.kloudbean.s3Endpoint"},
		"no scheme that we use": {Settings: Settings{S3Endpoint: "s3://bucket"}, Says: "spec.kloudbean.s3Endpoint"},
		"secrets in a URL":      {Settings: Settings{S3Endpoint: "https://user:CANARY@s3.example.com"}, Says: "spec.kloudbean.s3Endpoint"},
		"a query":               {Settings: Settings{S3Endpoint: "https://s3.example.com?key=CANARY"}, Says: "spec.kloudbean.s3Endpoint"},
	})
}
