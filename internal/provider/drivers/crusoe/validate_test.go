package crusoe

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/test/support/conformance"
)

// refusals are grants that are refused, each with its Refusal.
var refusals = conformance.Refusals{
	"reading only": {
		Change: func(g *provider.Grant) { g.Scopes = []string{"objectstorage:object-read-only"} },
		Want:   provider.Refusal{Reason: provider.RefusedScope, Field: "spec.scopes", Value: "objectstorage:object-read-only", Message: "declare objectstorage:admin-read-write"},
	},
	"every scope but the one": {
		Change: func(g *provider.Grant) {
			g.Scopes = []string{"objectstorage:object-read-write", "objectstorage:admin-read-only"}
		},
		Want: provider.Refusal{
			Reason: provider.RefusedScope, Field: "spec.scopes", Value: "objectstorage:object-read-write, objectstorage:admin-read-only", Message: "cannot be scoped",
		},
	},
	"no scope": {
		Change: func(g *provider.Grant) { g.Scopes = nil },
		Want:   provider.Refusal{Reason: provider.RefusedScope, Field: "spec.scopes", Value: "none", Message: "declare objectstorage:admin-read-write"},
	},
	"a scope of another product": {
		Change: func(g *provider.Grant) { g.Scopes = append(g.Scopes, "billing:read-only") },
		Want:   provider.Refusal{Reason: provider.RefusedScope, Field: "spec.scopes", Value: "billing:read-only", Message: "this provider grants"},
	},
	"one bucket": {
		Change: func(g *provider.Grant) { g.Buckets = []string{"datasets"} },
		Want:   provider.Refusal{Reason: provider.RefusedBucket, Field: "spec.buckets", Value: "datasets", Message: `declare ["*"]`},
	},
	"a bucket and all": {
		Change: func(g *provider.Grant) { g.Buckets = []string{"*", "datasets"} },
		Want:   provider.Refusal{Reason: provider.RefusedBucket, Field: "spec.buckets", Value: "*, datasets", Message: `declare ["*"]`},
	},
	"no bucket": {
		Change: func(g *provider.Grant) { g.Buckets = nil },
		Want:   provider.Refusal{Reason: provider.RefusedBucket, Field: "spec.buckets", Value: "none", Message: `declare ["*"]`},
	},
	"addresses": {
		Change: func(g *provider.Grant) { g.AllowedIPs = []string{"203.0.113.0/24"} },
		Want:   provider.Refusal{Reason: provider.RefusedNarrow, Field: "spec.restrictions.allowedIPs", Value: "203.0.113.0/24", Message: "remove it"},
	},
	"denied addresses": {
		Change: func(g *provider.Grant) { g.DeniedIPs = []string{"203.0.113.7"} },
		Want:   provider.Refusal{Reason: provider.RefusedNarrow, Field: "spec.restrictions.deniedIPs", Value: "203.0.113.7", Message: "remove it"},
	},
	"subaccounts": {
		Change: func(g *provider.Grant) { g.Subaccounts = []string{"17"} },
		Want:   provider.Refusal{Reason: provider.RefusedNarrow, Field: "spec.restrictions.subaccounts", Value: "17", Message: "remove it"},
	},
	"no end": {
		Change: func(g *provider.Grant) { g.ExpiresAt = time.Time{} },
		Want:   provider.Refusal{Reason: provider.RefusedLifetime, Field: "spec.expiresIn", Value: "none", Message: "declare expiresIn or expiresAt"},
	},
}

func TestValidateSaysWhatToDo(t *testing.T) {
	a := newAccount(t)
	refusals.Check(t, a.driver, a.config, grant)
	if n := len(a.Requests()); n != 0 {
		t.Errorf("Validate sent %d requests", n)
	}
}

// Every key has full access, so a narrower scope alone would grant too much.
func TestNarrowerScopesNeedTheWidest(t *testing.T) {
	a := newAccount(t)
	for _, scope := range covered {
		g := grant()
		g.Scopes = []string{scope}
		if got, want := a.driver.Validate(a.config, provider.MintRequest{Grant: g}) == nil, scope == scopeAll; got != want {
			t.Errorf("%s alone: granted %t, want %t", scope, got, want)
		}
		g.Scopes = []string{scope, scopeAll}
		if err := a.driver.Validate(a.config, provider.MintRequest{Grant: g}); err != nil {
			t.Errorf("%s and %s: %v", scope, scopeAll, err)
		}
	}
}

func TestWrongSettingsAreInvalid(t *testing.T) {
	a := newAccount(t)
	conformance.CheckWrongSettings(t, a.driver, a.config, grant(), map[string]conformance.WrongSettings{
		"no settings":         {Settings: nil, Says: "settings of the crusoe driver"},
		"no organization":     {Settings: Settings{OrganizationID: "", Location: "us-east1-a"}, Says: "spec.crusoe.organizationID"},
		"a path":              {Settings: Settings{OrganizationID: "../users", Location: "us-east1-a"}, Says: "spec.crusoe.organizationID"},
		"no location":         {Settings: Settings{OrganizationID: organization, Location: ""}, Says: "spec.crusoe.location"},
		"a host":              {Settings: Settings{OrganizationID: organization, Location: "example.com/"}, Says: "spec.crusoe.location"},
		"no URL":              {Settings: Settings{OrganizationID: organization, Location: "us-east1-a", Endpoint: "api.example.com"}, Says: "spec.crusoe.endpoint"},
		"a scheme of its own": {Settings: Settings{OrganizationID: organization, Location: "us-east1-a", S3Endpoint: "s3://bucket"}, Says: "spec.crusoe.s3Endpoint"},
		"secrets in a URL":    {Settings: Settings{OrganizationID: organization, Location: "us-east1-a", Endpoint: "https://user:CANARY@api.example.com"}, Says: "spec.crusoe.endpoint"},
	})
}

func TestConnectionNamesEndpointAndRegion(t *testing.T) {
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
		"of another server": {
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

func TestAccountIsTheUserAndKnowsFormerIDs(t *testing.T) {
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
