package ibee

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/test/support/conformance"
)

// refusal is a declaration that cannot be granted, and what is said of it.
type refusal struct {
	change func(*provider.Grant)
	want   provider.Refusal // Message: what it has to contain
}

// refusals are those that a change of reading one bucket leads to.
var refusals = map[string]refusal{
	"no scope": {
		change: func(g *provider.Grant) { g.Scopes = nil },
		want:   provider.Refusal{Reason: provider.RefusedScope, Field: "spec.scopes", Value: "none", Message: scopeObjectReadOnly},
	},
	"scope of another provider": {
		change: func(g *provider.Grant) { g.Scopes = []string{scopeObjectReadOnly, "residential:read"} },
		want:   provider.Refusal{Reason: provider.RefusedScope, Field: "spec.scopes", Value: "residential:read", Message: scopeObjectReadWrite},
	},
	"writing without reading": {
		change: func(g *provider.Grant) { g.Scopes = []string{scopeObjectWriteOnly} },
		want:   provider.Refusal{Reason: provider.RefusedScope, Field: "spec.scopes", Value: scopeObjectWriteOnly, Message: "no permission to write without reading"},
	},
	"writing without reading beside reading": {
		change: func(g *provider.Grant) { g.Scopes = []string{scopeObjectReadOnly, scopeObjectWriteOnly} },
		want:   provider.Refusal{Reason: provider.RefusedScope, Field: "spec.scopes", Value: scopeObjectWriteOnly, Message: scopeObjectReadWrite},
	},
	"billing beside object storage": {
		change: func(g *provider.Grant) { g.Scopes = []string{scopeObjectReadOnly, scopeBillingReadOnly} },
		want:   provider.Refusal{Reason: provider.RefusedScope, Field: "spec.scopes", Value: scopeBillingReadOnly, Message: "ApiToken of its own"},
	},
	"scopes that no permission covers exactly": {
		change: func(g *provider.Grant) {
			g.Scopes, g.Buckets = []string{scopeObjectReadWrite, scopeAdminReadOnly}, []string{"*"}
		},
		want: provider.Refusal{
			Reason: provider.RefusedScope, Field: "spec.scopes", Value: scopeObjectReadWrite + ", " + scopeAdminReadOnly, Message: "split them into several ApiTokens",
		},
	},
	"settings without contents": {
		change: func(g *provider.Grant) { g.Scopes, g.Buckets = []string{scopeAdminReadOnly}, []string{"*"} },
		want: provider.Refusal{
			Reason: provider.RefusedScope, Field: "spec.scopes", Value: scopeAdminReadOnly, Message: "declare " + scopeObjectReadOnly + " as well",
		},
	},
	"administration of one bucket": {
		change: func(g *provider.Grant) { g.Scopes = []string{scopeAdminReadOnly} },
		want: provider.Refusal{
			Reason: provider.RefusedBucket, Field: "spec.buckets", Value: "datasets", Message: scopeAdminReadOnly + ` works only with buckets: ["*"]`,
		},
	},
	"administration of one bucket beside reading": {
		change: func(g *provider.Grant) { g.Scopes = []string{scopeObjectReadOnly, scopeAdminReadWrite} },
		want: provider.Refusal{
			Reason: provider.RefusedBucket, Field: "spec.buckets", Value: "datasets", Message: scopeAdminReadWrite + ` works only with buckets: ["*"]`,
		},
	},
	"no bucket": {
		change: func(g *provider.Grant) { g.Buckets = nil },
		want:   provider.Refusal{Reason: provider.RefusedBucket, Field: "spec.buckets", Value: "none", Message: `["*"]`},
	},
	"all buckets beside one": {
		change: func(g *provider.Grant) { g.Buckets = []string{"a-bucket", "*"} },
		want:   provider.Refusal{Reason: provider.RefusedBucket, Field: "spec.buckets", Value: "*", Message: "alone"},
	},
	"pattern for a bucket": {
		change: func(g *provider.Grant) { g.Buckets = []string{"data*"} },
		want:   provider.Refusal{Reason: provider.RefusedBucket, Field: "spec.buckets", Value: "data*", Message: "letters"},
	},
	"path for a bucket": {
		change: func(g *provider.Grant) { g.Buckets = []string{"data/secret"} },
		want:   provider.Refusal{Reason: provider.RefusedBucket, Field: "spec.buckets", Value: "data/secret", Message: "letters"},
	},
	"allowed addresses": {
		change: func(g *provider.Grant) { g.AllowedIPs = []string{"203.0.113.0/24"} },
		want:   provider.Refusal{Reason: provider.RefusedNarrow, Field: "spec.restrictions.allowedIPs", Value: "203.0.113.0/24", Message: "remove it"},
	},
	"denied addresses": {
		change: func(g *provider.Grant) { g.DeniedIPs = []string{"203.0.113.7"} },
		want:   provider.Refusal{Reason: provider.RefusedNarrow, Field: "spec.restrictions.deniedIPs", Value: "203.0.113.7", Message: "remove it"},
	},
	"subaccounts": {
		change: func(g *provider.Grant) { g.Subaccounts = []string{"one", "two"} },
		want:   provider.Refusal{Reason: provider.RefusedNarrow, Field: "spec.restrictions.subaccounts", Value: "one, two", Message: "remove it"},
	},
}

// billingRefusals are those that a change of reading billing leads to.
var billingRefusals = map[string]refusal{
	"buckets": {
		change: func(g *provider.Grant) { g.Buckets = []string{"datasets"} },
		want:   provider.Refusal{Reason: provider.RefusedBucket, Field: "spec.buckets", Value: "datasets", Message: "remove spec.buckets"},
	},
	"no end": {
		change: func(g *provider.Grant) { g.ExpiresAt = time.Time{} },
		want:   provider.Refusal{Reason: provider.RefusedLifetime, Field: "spec.expiresIn", Value: "none", Message: "expiresAt"},
	},
	"allowed addresses": {
		change: func(g *provider.Grant) { g.AllowedIPs = []string{"203.0.113.0/24"} },
		want:   provider.Refusal{Reason: provider.RefusedNarrow, Field: "spec.restrictions.allowedIPs", Value: "203.0.113.0/24", Message: "remove it"},
	},
	"object storage beside it": {
		change: func(g *provider.Grant) {
			g.Scopes, g.Buckets = append(g.Scopes, scopeAdminReadWrite), []string{"*"}
		},
		want: provider.Refusal{Reason: provider.RefusedScope, Field: "spec.scopes", Value: scopeBillingReadOnly, Message: "ApiToken of its own"},
	},
}

func refusedBy(cases map[string]refusal) map[string]conformance.Refused {
	out := map[string]conformance.Refused{}
	for name, tc := range cases {
		out[name] = conformance.Refused{
			Change: func(r *provider.MintRequest) { tc.change(&r.Grant) },
			Reason: tc.want.Reason, Field: tc.want.Field,
		}
	}
	return out
}

func refusedByConformance() map[string]conformance.Refused        { return refusedBy(refusals) }
func refusedBillingByConformance() map[string]conformance.Refused { return refusedBy(billingRefusals) }

func TestValidateSaysWhatToDo(t *testing.T) {
	check := func(grant provider.Grant, tc refusal) func(*testing.T) {
		return func(t *testing.T) {
			tc.change(&grant)
			err := New().Validate(provider.Config{Settings: Settings{WorkspaceID: ws}}, provider.MintRequest{Grant: grant})
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
		}
	}
	for name, tc := range refusals {
		t.Run(name, check(readOnly("datasets"), tc))
	}
	for name, tc := range billingRefusals {
		t.Run("billing: "+name, check(readBilling(), tc))
	}
}

// TestScopes maps every set of scopes that can be granted.
func TestScopes(t *testing.T) {
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
	if got, refusal := plan(readBilling()); refusal != nil || !got.byHand {
		t.Errorf("reading billing: got %+v, %v, want one made by hand", got, refusal)
	}
}

func TestWrongSettingsAreInvalid(t *testing.T) {
	cases := map[string]struct {
		settings any
		want     string
	}{
		"no settings":           {settings: nil, want: "settings of the ibee driver"},
		"no workspace":          {settings: Settings{}, want: "spec.ibee.workspaceID"},
		"name for a workspace":  {settings: Settings{WorkspaceID: "main"}, want: "spec.ibee.workspaceID"},
		"zero":                  {settings: Settings{WorkspaceID: "042"}, want: "spec.ibee.workspaceID"},
		"no URL":                {settings: Settings{WorkspaceID: ws, Endpoint: "api.ibee.ai"}, want: "spec.ibee.endpoint"},
		"secrets in a URL":      {settings: Settings{WorkspaceID: ws, Endpoint: "https://user:CANARY@api.example.com"}, want: "spec.ibee.endpoint"},
		"no scheme that we use": {settings: Settings{WorkspaceID: ws, S3Endpoint: "s3://bucket"}, want: "spec.ibee.s3Endpoint"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			cfg := provider.Config{Settings: tc.settings, Credentials: map[string]provider.Value{KeyToken: provider.NewValue("CANARY")}}
			_, _, err := New().Connect(t.Context(), cfg)
			e := provider.AsError(err)
			if e.Code != provider.CodeInvalid || !e.NotExecuted || !strings.Contains(e.Message, tc.want) || strings.Contains(e.Message, "CANARY") {
				t.Errorf("got %v, want %s about %q", err, provider.CodeInvalid, tc.want)
			}
			if got := New().Validate(cfg, provider.MintRequest{Grant: readOnly("b1")}); provider.AsError(got).Message != e.Message {
				t.Errorf("Validate says %v, Connect %v", got, err)
			}
			if got := New().Connection(cfg, readOnly("b1")); got != nil {
				t.Errorf("Connection returns %v", got)
			}
			if _, ok := New().Form(cfg, provider.MintRequest{Grant: readBilling()}); ok {
				t.Error("Form is ok")
			}
		})
	}
}
