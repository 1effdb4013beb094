package v1alpha1_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// testSamples creates every object of config/samples, strictly: a field that
// the API server does not know is an error. Namespaces are really created.
func testSamples(t *testing.T, c client.Client) {
	files, err := filepath.Glob(filepath.Join("..", "..", "config", "samples", "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	objects := 0
	for _, file := range files {
		if filepath.Base(file) == "kustomization.yaml" {
			continue
		}
		t.Run(filepath.Base(file), func(t *testing.T) {
			for _, object := range readObjects(t, file) {
				opts := []client.CreateOption{client.FieldValidation(metav1.FieldValidationStrict)}
				if object.GetKind() != "Namespace" {
					opts = append(opts, client.DryRunAll)
				}
				if err := c.Create(t.Context(), object, opts...); err != nil {
					t.Error(err)
				}
				objects++
			}
		})
	}
	if objects < 5 {
		t.Errorf("found %d objects in %d files", objects, len(files))
	}
}

func readObjects(t *testing.T, file string) []*unstructured.Unstructured {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	var objects []*unstructured.Unstructured
	for decoder := yaml.NewYAMLOrJSONDecoder(f, 4096); ; {
		object := &unstructured.Unstructured{}
		switch err := decoder.Decode(object); {
		case errors.Is(err, io.EOF):
			return objects
		case err != nil:
			t.Fatal(err)
		case object.Object != nil:
			objects = append(objects, object)
		}
	}
}
