package v1alpha1_test

import (
	"path"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/test/support/repofile"
	"apitoken.dev/operator/test/support/samples"
)

// testSamples creates every object of config/samples, strictly: a field that
// the API server does not know is an error. Namespaces are really created.
func testSamples(t *testing.T, c client.Client) {
	files := samples.Files(t)
	objects := 0
	for _, file := range files {
		t.Run(path.Base(file), func(t *testing.T) {
			for _, object := range repofile.Objects(t, file) {
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
