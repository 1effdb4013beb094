package importer

import (
	"slices"
	"testing"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/cli/session"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/drivers"
	"apitoken.dev/operator/internal/provider/registry"
	"apitoken.dev/operator/test/support/samples"
)

// A Secret with an S3 endpoint matches only the provider that publishes this endpoint.
func TestImportReadsTheEndpointOfEveryDriver(t *testing.T) {
	all, err := drivers.New()
	if err != nil {
		t.Fatal(err)
	}
	s := &session.Session{App: &session.App{Env: session.Env{Registry: all}}}
	for name, test := range map[string]struct {
		spec     v1alpha1.ProviderSpec
		endpoint string
		fits     bool
	}{
		"AWS itself":      {v1alpha1.ProviderSpec{AWS: &v1alpha1.AWSProvider{}}, "", true},
		"with a slash":    {v1alpha1.ProviderSpec{AWS: &v1alpha1.AWSProvider{S3Endpoint: "https://s3.example.com/"}}, "https://s3.example.com", true},
		"no endpoint":     {v1alpha1.ProviderSpec{AWS: &v1alpha1.AWSProvider{S3Endpoint: "s3.example.com"}}, "", false},
		"no driver block": {},
	} {
		if endpoint, fits := s3Endpoint(s, &test.spec); endpoint != test.endpoint || fits != test.fits {
			t.Errorf("%s: %q, %t, want %q, %t", name, endpoint, fits, test.endpoint, test.fits)
		}
	}
	for _, p := range samples.Providers(t) {
		driver, settings, err := all.Resolve(registry.Spec{ProviderSpec: &p.Spec})
		if err != nil {
			t.Fatal(err)
		}
		keys := provider.DocumentedKeys(driver, provider.Config{Settings: settings}, provider.Grant{})
		endpoint, fits := s3Endpoint(s, &p.Spec)
		if fits != slices.Contains(keys, "AWS_ACCESS_KEY_ID") || (endpoint != "") != slices.Contains(keys, "AWS_ENDPOINT_URL") {
			t.Errorf("%s, which publishes %v: %q, %t", p.File, keys, endpoint, fits)
		}
	}
}
