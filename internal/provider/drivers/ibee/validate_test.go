package ibee

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/test/support/conformance"
)

// refusals are changes of a read-only grant for one bucket that are refused.
var refusals = conformance.Refusals{
	"no scope": {
		Change: func(g *provider.Grant) { g.Scopes = nil },
		Want:   provider.Refusal{Reason: provider.RefusedScope, Field: "spec.scopes", Value: "none", Message: scopeObjectReadOnly},
	},
	"scope of another provider": {
		Change: func(g *provider.Grant) { g.Scopes = []string{scopeObjectReadOnly, "residential:read"} },
		Want:   provider.Refusal{Reason: provider.RefusedScope, Field: "spec.scopes", Value: "residential:read", Message: scopeObjectReadWrite},
	},
	"writing without reading": {
		Change: func(g *provider.Grant) { g.Scopes = []string{scopeObjectWriteOnly} },
		Want:   provider.Refusal{Reason: provider.RefusedScope, Field: "spec.scopes", Value: scopeObjectWriteOnly, Message: "no permission to write without reading"},
	},
	"writing without reading and reading": {
		Change: func(g *provider.Grant) { g.Scopes = []string{scopeObjectReadOnly, scopeObjectWriteOnly} },
		Want:   provider.Refusal{Reason: provider.RefusedScope, Field: "spec.scopes", Value: scopeObjectWriteOnly, Message: scopeObjectReadWrite},
	},
	"billing and object storage": {
		Change: func(g *provider.Grant) { g.Scopes = []string{scopeObjectReadOnly, scopeBillingReadOnly} },
		Want:   provider.Refusal{Reason: provider.RefusedScope, Field: "spec.scopes", Value: scopeBillingReadOnly, Message: "separate ApiToken"},
	},
	"scopes that no permission covers exactly": {
		Change: func(g *provider.Grant) {
			g.Scopes, g.Buckets = []string{scopeObjectReadWrite, scopeAdminReadOnly}, []string{"*"}
		},
		Want: provider.Refusal{
			Reason: provider.RefusedScope, Field: "spec.scopes", Value: scopeObjectReadWrite + ", " + scopeAdminReadOnly, Message: "split them into several ApiTokens",
		},
	},
	"settings without contents": {
		Change: func(g *provider.Grant) { g.Scopes, g.Buckets = []string{scopeAdminReadOnly}, []string{"*"} },
		Want: provider.Refusal{
			Reason: provider.RefusedScope, Field: "spec.scopes", Value: scopeAdminReadOnly, Message: "declare " + scopeObjectReadOnly + " as well",
		},
	},
	"administration of one bucket": {
		Change: func(g *provider.Grant) { g.Scopes = []string{scopeAdminReadOnly} },
		Want: provider.Refusal{
			Reason: provider.RefusedBucket, Field: "spec.buckets", Value: "datasets", Message: scopeAdminReadOnly + ` works only with buckets: ["*"]`,
		},
	},
	"administration of one bucket and reading": {
		Change: func(g *provider.Grant) { g.Scopes = []string{scopeObjectReadOnly, scopeAdminReadWrite} },
		Want: provider.Refusal{
			Reason: provider.RefusedBucket, Field: "spec.buckets", Value: "datasets", Message: scopeAdminReadWrite + ` works only with buckets: ["*"]`,
		},
	},
	"no bucket": {
		Change: func(g *provider.Grant) { g.Buckets = nil },
		Want:   provider.Refusal{Reason: provider.RefusedBucket, Field: "spec.buckets", Value: "none", Message: `["*"]`},
	},
	"all buckets and one": {
		Change: func(g *provider.Grant) { g.Buckets = []string{"a-bucket", "*"} },
		Want:   provider.Refusal{Reason: provider.RefusedBucket, Field: "spec.buckets", Value: "*", Message: "alone"},
	},
	"pattern for a bucket": {
		Change: func(g *provider.Grant) { g.Buckets = []string{"data*"} },
		Want:   provider.Refusal{Reason: provider.RefusedBucket, Field: "spec.buckets", Value: "data*", Message: "letters"},
	},
	"path for a bucket": {
		Change: func(g *provider.Grant) { g.Buckets = []string{"data/secret"} },
		Want:   provider.Refusal{Reason: provider.RefusedBucket, Field: "spec.buckets", Value: "data/secret", Message: "letters"},
	},
	"allowed addresses": {
		Change: func(g *provider.Grant) { g.AllowedIPs = []string{"203.0.113.0/24"} },
		Want:   provider.Refusal{Reason: provider.RefusedNarrow, Field: "spec.restrictions.allowedIPs", Value: "203.0.113.0/24", Message: "remove it"},
	},
	"denied addresses": {
		Change: func(g *provider.Grant) { g.DeniedIPs = []string{"203.0.113.7"} },
		Want:   provider.Refusal{Reason: provider.RefusedNarrow, Field: "spec.restrictions.deniedIPs", Value: "203.0.113.7", Message: "remove it"},
	},
	"subaccounts": {
		Change: func(g *provider.Grant) { g.Subaccounts = []string{"one", "two"} },
		Want:   provider.Refusal{Reason: provider.RefusedNarrow, Field: "spec.restrictions.subaccounts", Value: "one, two", Message: "remove it"},
	},
}

// billingRefusals are changes of a billing grant that are refused.
var billingRefusals = conformance.Refusals{
	"buckets": {
		Change: func(g *provider.Grant) { g.Buckets = []string{"datasets"} },
		Want:   provider.Refusal{Reason: provider.RefusedBucket, Field: "spec.buckets", Value: "datasets", Message: "remove spec.buckets"},
	},
	"no end": {
		Change: func(g *provider.Grant) { g.ExpiresAt = time.Time{} },
		Want:   provider.Refusal{Reason: provider.RefusedLifetime, Field: "spec.expiresIn", Value: "none", Message: "expiresAt"},
	},
	"allowed addresses": {
		Change: func(g *provider.Grant) { g.AllowedIPs = []string{"203.0.113.0/24"} },
		Want:   provider.Refusal{Reason: provider.RefusedNarrow, Field: "spec.restrictions.allowedIPs", Value: "203.0.113.0/24", Message: "remove it"},
	},
	"with object storage": {
		Change: func(g *provider.Grant) {
			g.Scopes, g.Buckets = append(g.Scopes, scopeAdminReadWrite), []string{"*"}
		},
		Want: provider.Refusal{Reason: provider.RefusedScope, Field: "spec.scopes", Value: scopeBillingReadOnly, Message: "separate ApiToken"},
	},
}

func TestValidateSaysWhatToDo(t *testing.T) {
	cfg := provider.Config{Settings: Settings{WorkspaceID: ws}}
	refusals.Check(t, New(), cfg, func() provider.Grant { return readOnly("datasets") })
	t.Run("billing", func(t *testing.T) { billingRefusals.Check(t, New(), cfg, readBilling) })
}

// The cases are all grantable sets of scopes.
func TestScopesMapToPermissions(t *testing.T) {
	ro, rw, aro, arw := scopeObjectReadOnly, scopeObjectReadWrite, scopeAdminReadOnly, scopeAdminReadWrite
	cases := map[string]struct {
		scopes, buckets []string
		want            planned
	}{
		"reading":                       {[]string{ro}, []string{"b1", "b2"}, planned{permission: "object_ro", bucketScope: "specific", buckets: []string{"b1", "b2"}}},
		"reading everywhere":            {[]string{ro}, []string{"*"}, planned{permission: "object_ro", bucketScope: "all", buckets: []string{}}},
		"writing":                       {[]string{rw}, []string{"b1"}, planned{permission: "object_rw", bucketScope: "specific", buckets: []string{"b1"}}},
		"writing everywhere":            {[]string{rw}, []string{"*"}, planned{permission: "object_rw", bucketScope: "all", buckets: []string{}}},
		"writing, which reads":          {[]string{ro, rw}, []string{"b1"}, planned{permission: "object_rw", bucketScope: "specific", buckets: []string{"b1"}}},
		"looking at settings, reading":  {[]string{aro, ro}, []string{"*"}, planned{permission: "admin_ro", bucketScope: "all", buckets: []string{}}},
		"administration":                {[]string{arw}, []string{"*"}, planned{permission: "admin_rw", bucketScope: "all", buckets: []string{}}},
		"administration, which has all": {[]string{ro, aro, arw, rw}, []string{"*"}, planned{permission: "admin_rw", bucketScope: "all", buckets: []string{}}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, refusal := plan(provider.Grant{Scopes: tc.scopes, Buckets: tc.buckets})
			if refusal != nil {
				t.Fatal(refusal)
			}
			if diff := cmp.Diff(tc.want, got, cmp.AllowUnexported(planned{})); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
	if got, refusal := plan(readBilling()); refusal != nil || !got.manual {
		t.Errorf("reading billing: got %+v, %v, want a manual one", got, refusal)
	}
}

func TestWrongSettingsAreInvalid(t *testing.T) {
	cfg := provider.Config{Credentials: map[string]provider.Value{KeyToken: provider.NewValue("CANARY")}}
	conformance.CheckWrongSettings(t, New(), cfg, readOnly("b1"), map[string]conformance.WrongSettings{
		"no settings":           {Settings: nil, Says: "settings of the ibee driver"},
		"no workspace":          {Settings: Settings{}, Says: "spec.ibee.workspaceID"},
		"name for a workspace":  {Settings: Settings{WorkspaceID: "main"}, Says: "spec.ibee.workspaceID"},
		"zero":                  {Settings: Settings{WorkspaceID: "042"}, Says: "spec.ibee.workspaceID"},
		"no URL":                {Settings: Settings{WorkspaceID: ws, Endpoint: "api.ibee.ai"}, Says: "spec.ibee.endpoint"},
		"secrets in a URL":      {Settings: Settings{WorkspaceID: ws, Endpoint: "https://user:CANARY@api.example.com"}, Says: "spec.ibee.endpoint"},
		"no scheme that we use": {Settings: Settings{WorkspaceID: ws, S3Endpoint: "s3://bucket"}, Says: "spec.ibee.s3Endpoint"},
	})
	for _, s := range []any{nil, Settings{}} {
		if _, ok := New().Form(provider.Config{Settings: s}, provider.MintRequest{Grant: readBilling()}); ok {
			t.Errorf("%+v: Form is ok", s)
		}
	}
}
