package drivers

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/registry"
)

// The drivers have the order of the blocks in a provider's spec, and each gets its block as its settings.
func TestEveryBlockHasOneDriver(t *testing.T) {
	all, err := New()
	if err != nil {
		t.Fatal(err)
	}
	var types []string
	for _, d := range all.Drivers() {
		types = append(types, d.Type())
	}
	if diff := cmp.Diff(v1alpha1.Blocks(), types); diff != "" {
		t.Errorf("drivers (-blocks +drivers):\n%s", diff)
	}
	for _, name := range v1alpha1.Blocks() {
		var spec v1alpha1.ProviderSpec
		if err := json.Unmarshal([]byte(`{"`+name+`": {"caBundle": "PEM"}}`), &spec); err != nil {
			t.Fatal(err)
		}
		driver, settings, err := all.Resolve(registry.Spec{ProviderSpec: &spec})
		if err != nil || driver.Type() != name {
			t.Fatalf("%s has the driver %v, %v", name, driver, err)
		}
		if got := reflect.ValueOf(settings).FieldByName("CABundle"); !got.IsValid() || got.String() != "PEM" {
			t.Errorf("the settings of %s are %#v", name, settings)
		}
		if field, bundle := spec.CABundle(); field != "spec."+name+".caBundle" || bundle != "PEM" {
			t.Errorf("the CAs of %s are %q of %s", name, bundle, field)
		}
		if _, ok := provider.As[provider.Validator](driver); !ok {
			t.Errorf("the %s driver validates nothing", name)
		}
		if _, ok := provider.As[provider.Connector](driver); !ok {
			t.Errorf("the %s driver has no connection", name)
		}
		if _, ok := driver.(provider.CredentialKeyer); !ok {
			t.Errorf("the %s driver does not name the keys of its credentials Secret", name)
		}
	}
	if field, bundle := (&v1alpha1.ProviderSpec{}).CABundle(); field != "" || bundle != "" {
		t.Errorf("without a block, the CAs are %q of %q", bundle, field)
	}
	if _, _, err := all.Resolve(registry.Spec{ProviderSpec: &v1alpha1.ProviderSpec{}}); err == nil {
		t.Error("a spec without a block has a driver")
	}
}
