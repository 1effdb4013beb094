package drivers

import (
	"slices"
	"strings"
	"testing"
	"time"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/registry"
	"apitoken.dev/operator/test/support/samples"
)

// resolved returns every driver, with the settings of its sample.
func resolved(t *testing.T) map[provider.Driver]provider.Config {
	t.Helper()
	all, err := New()
	if err != nil {
		t.Fatal(err)
	}
	out := map[provider.Driver]provider.Config{}
	for _, spec := range samples.Blocks(t) {
		driver, settings, err := all.Resolve(registry.Spec{ProviderSpec: &spec})
		if err != nil {
			t.Fatal(err)
		}
		out[driver] = provider.Config{Settings: settings}
	}
	return out
}

// at returns the spec of every driver with its endpoint at another URL, and the field
// that names the endpoint.
func at(t *testing.T, url string) map[string]declared {
	t.Helper()
	all, err := New()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]declared{}
	for name, spec := range samples.Blocks(t) {
		driver, settings, err := all.Resolve(registry.Spec{ProviderSpec: &spec})
		if err != nil {
			t.Fatal(err)
		}
		located, ok := provider.As[provider.Located](driver)
		if !ok {
			t.Fatalf("%s does not name its server", name)
		}
		field := located.Server(t.Context(), provider.Config{Settings: settings}).Field
		out[name] = declared{spec: samples.With(t, spec, field, url), field: field}
	}
	return out
}

// expiry is the end of every grant in these tests.
var expiry = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// declared is a spec, and the field that names its endpoint.
type declared struct {
	spec  v1alpha1.ProviderSpec
	field string
}

// A driver names the server of its accounts, and the field with its address. Only a driver with declared
// capabilities lets the declaration choose the account.
func TestEveryDriverNamesItsServer(t *testing.T) {
	all, err := New()
	if err != nil {
		t.Fatal(err)
	}
	for driver, cfg := range resolved(t) {
		located, ok := provider.As[provider.Located](driver)
		if !ok {
			t.Fatalf("%s does not name its server", driver.Type())
		}
		got := located.Server(t.Context(), cfg)
		_, mayDeclare := driver.(registry.Declared)
		if got.Host == "" || provider.HostPort(got.URL) != got.Host || !strings.HasPrefix(got.Field, "spec."+driver.Type()+".") || got.Declared != mayDeclare {
			t.Errorf("%s is at %+v", driver.Type(), got)
		}
	}
	for name, elsewhere := range at(t, "https://ELSEWHERE.example.com/v1") {
		driver, settings, err := all.Resolve(registry.Spec{ProviderSpec: &elsewhere.spec})
		if err != nil {
			t.Fatal(err)
		}
		located, _ := provider.As[provider.Located](driver)
		if got := located.Server(t.Context(), provider.Config{Settings: settings}); got.Host != "elsewhere.example.com:443" {
			t.Errorf("%s with %s elsewhere is at %+v", name, elsewhere.field, got)
		}
	}
}

// A driver has a form for exactly the credentials whose expiry a user enforces.
// docs/providers/README.md relies on it.
func TestFormsAreForCredentialsThatAUserEnds(t *testing.T) {
	for driver, cfg := range resolved(t) {
		for _, scope := range driver.Capabilities().Scopes {
			grant := provider.Grant{Scopes: []string{scope}, Buckets: []string{"datasets"}}
			var asked bool
			if manual, ok := provider.As[provider.Manual](driver); ok {
				_, asked = manual.Form(cfg, provider.MintRequest{Grant: grant})
			}
			if ends := provider.CapabilitiesFor(driver, grant).ExpiryEnforcedBy == provider.EnforcedByUser; asked != ends {
				t.Errorf("%s, %s: a manual credential: %t, expiry enforced by a user: %t", driver.Type(), scope, asked, ends)
			}
		}
	}
}

// provenAdminReadOnly are the drivers that grant objectstorage:admin-read-only without
// the contents of objects. TestScopesAllowTheirOperationsInTheGrantedBucketOnly of test/e2e proves it at a real server.
var provenAdminReadOnly = []string{"aws"}

// The portable scope does not include the contents of objects. A driver whose permission includes them
// must refuse it, unless a reading scope is declared too.
func TestAdminReadOnlyMeansOneThing(t *testing.T) {
	for driver, cfg := range resolved(t) {
		if _, ok := driver.(registry.Declared); ok {
			continue // its scopes are the declaration's
		}
		validator, ok := provider.As[provider.Validator](driver)
		if !ok {
			t.Fatalf("%s validates nothing", driver.Type())
		}
		grant := provider.Grant{Scopes: []string{"objectstorage:admin-read-only"}, Buckets: []string{"*"}, ExpiresAt: expiry}
		err := validator.Validate(cfg, provider.MintRequest{Grant: grant})
		if granted := err == nil; granted != slices.Contains(provenAdminReadOnly, driver.Type()) {
			t.Errorf("%s grants objectstorage:admin-read-only alone: %t (%v)", driver.Type(), granted, err)
		}
	}
}
