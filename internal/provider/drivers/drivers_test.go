package drivers

import (
	"strings"
	"testing"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/registry"
)

// Every driver tells which server names its accounts, defaults included. Only rest
// lets a declaration choose the account.
func TestEveryDriverTellsItsServer(t *testing.T) {
	drivers, err := New()
	if err != nil {
		t.Fatal(err)
	}
	const organization = "ab4a6b00-aa5f-408e-a9fb-ac6de5eb45ab"
	tests := map[string]struct {
		spec v1alpha1.ProviderSpec
		want provider.Server
	}{
		"aws": {v1alpha1.ProviderSpec{AWS: &v1alpha1.AWSProvider{Region: "eu-central-1"}}, provider.Server{Host: "iam.amazonaws.com:443"}},
		"aws, explicitly": {v1alpha1.ProviderSpec{AWS: &v1alpha1.AWSProvider{Region: "eu-central-1", IAMEndpoint: "https://IAM.amazonaws.com/"}},
			provider.Server{Host: "iam.amazonaws.com:443"}},
		"aws in China": {v1alpha1.ProviderSpec{AWS: &v1alpha1.AWSProvider{Region: "cn-north-1"}},
			provider.Server{Host: "iam.cn-north-1.amazonaws.com.cn:443"}},
		"another IAM server": {v1alpha1.ProviderSpec{AWS: &v1alpha1.AWSProvider{Region: "r", IAMEndpoint: "http://iam.example.com:7071"}},
			provider.Server{Host: "iam.example.com:7071"}},
		"ibee": {v1alpha1.ProviderSpec{IBEE: &v1alpha1.IBEEProvider{WorkspaceID: "42"}}, provider.Server{Host: "api.ibee.ai:443"}},
		"crusoe": {v1alpha1.ProviderSpec{Crusoe: &v1alpha1.CrusoeProvider{OrganizationID: organization, Location: "us-east1-a"}},
			provider.Server{Host: "api.cloud.crusoe.ai:443"}},
		"crusoe elsewhere": {v1alpha1.ProviderSpec{Crusoe: &v1alpha1.CrusoeProvider{OrganizationID: organization, Location: "us-east1-a",
			Endpoint: "https://evil.example.com/v1"}}, provider.Server{Host: "evil.example.com:443"}},
		"proxyscrape": {v1alpha1.ProviderSpec{ProxyScrape: &v1alpha1.ProxyScrapeProvider{}}, provider.Server{Host: "api.proxyscrape.com:443"}},
		"kloudbean": {v1alpha1.ProviderSpec{KloudBean: &v1alpha1.KloudBeanProvider{S3Endpoint: "https://s3.kloudbean.com"}},
			provider.Server{Host: "s3.kloudbean.com:443"}},
		"rest": {v1alpha1.ProviderSpec{Rest: &v1alpha1.RestProvider{BaseURL: "https://api.example.com/v2"}},
			provider.Server{Host: "api.example.com:443", Declared: true}},
	}
	told := map[string]bool{}
	for name, test := range tests {
		driver, settings, err := drivers.Resolve(registry.Spec{ProviderSpec: &test.spec})
		if err != nil {
			t.Fatal(err)
		}
		located, ok := provider.As[provider.Located](driver)
		if !ok {
			t.Fatalf("%s does not tell its server", name)
		}
		got := located.Server(t.Context(), provider.Config{Settings: settings})
		if got.Host != test.want.Host || got.Declared != test.want.Declared {
			t.Errorf("%s: got %+v, want %+v", name, got, test.want)
		}
		if provider.HostPort(got.URL) != got.Host || !strings.HasPrefix(got.Field, "spec."+driver.Type()+".") {
			t.Errorf("%s is at %q of %s", name, got.URL, got.Field)
		}
		told[driver.Type()] = true
	}
	for _, driver := range drivers.Drivers() {
		if !told[driver.Type()] {
			t.Errorf("no case for %s", driver.Type())
		}
	}
}
