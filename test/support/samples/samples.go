// Package samples finds the manifests of config/samples, and reads their providers, so that
// a test covers every driver without naming each one.
package samples

import (
	"bytes"
	"fmt"
	"os"
	"path"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	apiruntime "k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/test/support/repofile"
)

// Provider is a provider of one sample.
type Provider struct {
	// File is its name in config/samples.
	File string
	Spec v1alpha1.ProviderSpec
}

// Providers returns every TokenProvider and ClusterTokenProvider of config/samples,
// sorted by file.
func Providers(t testing.TB) []Provider {
	t.Helper()
	out, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Load is Providers for code without a test.
func Load() ([]Provider, error) {
	files, err := list()
	if err != nil {
		return nil, err
	}
	var out []Provider
	for _, file := range files {
		content, err := os.ReadFile(repofile.Path(file))
		if err != nil {
			return nil, err
		}
		for document := range bytes.SplitSeq(content, []byte("\n---\n")) {
			var object v1alpha1.TokenProvider // a ClusterTokenProvider has the same fields, and one more
			if err := yaml.Unmarshal(document, &object); err != nil {
				return nil, fmt.Errorf("%s: %w", file, err)
			}
			switch v1alpha1.ProviderKind(object.Kind) {
			case v1alpha1.KindTokenProvider, v1alpha1.KindClusterTokenProvider:
				out = append(out, Provider{File: path.Base(file), Spec: object.Spec})
			}
		}
	}
	return out, nil
}

// Files returns the manifests of config/samples, as paths below the root of the repository.
func Files(t testing.TB) []string {
	t.Helper()
	files, err := list()
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func list() ([]string, error) {
	const folder = "config/samples"
	entries, err := os.ReadDir(repofile.Path(folder))
	if err != nil {
		return nil, err
	}
	var files []string
	for _, e := range entries {
		if name := e.Name(); path.Ext(name) == ".yaml" && name != "kustomization.yaml" {
			files = append(files, path.Join(folder, name))
		}
	}
	return files, nil
}

// Blocks returns the spec of one sample for each driver block, by the block's name. It
// fails the test when a block has no sample.
func Blocks(t testing.TB) map[string]v1alpha1.ProviderSpec {
	t.Helper()
	out := ByBlock(Providers(t))
	for _, name := range v1alpha1.Blocks() {
		if _, ok := out[name]; !ok {
			t.Fatalf("no file in config/samples has a provider with a %s block", name)
		}
	}
	return out
}

// ByBlock returns the first spec with each driver block.
func ByBlock(all []Provider) map[string]v1alpha1.ProviderSpec {
	out := map[string]v1alpha1.ProviderSpec{}
	for _, p := range all {
		name, _, ok := p.Spec.Block()
		if _, seen := out[name]; ok && !seen {
			out[name] = p.Spec
		}
	}
	return out
}

// With returns a copy of a spec with another string in one field. The path begins
// with spec, such as spec.aws.iamEndpoint.
func With(t testing.TB, spec v1alpha1.ProviderSpec, path, value string) v1alpha1.ProviderSpec {
	t.Helper()
	fields, err := apiruntime.DefaultUnstructuredConverter.ToUnstructured(&v1alpha1.TokenProvider{Spec: spec})
	if err != nil {
		t.Fatal(err)
	}
	if err := unstructured.SetNestedField(fields, value, strings.Split(path, ".")...); err != nil {
		t.Fatal(err)
	}
	var out v1alpha1.TokenProvider
	if err := apiruntime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(fields, &out, true); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return out.Spec
}
