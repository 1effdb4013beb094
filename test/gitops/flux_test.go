package gitops

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/runtime/cel"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/yaml"

	"apitoken.dev/operator/test/support/repofile"
)

// fluxFile is the example for Flux.
const fluxFile = "docs/gitops-example/flux/apitoken.yaml"

// fluxExample reads the example strictly, with Flux's own types.
func fluxExample(t *testing.T) (sourcev1.GitRepository, map[string]kustomizev1.Kustomization) {
	t.Helper()
	var source sourcev1.GitRepository
	kustomizations := map[string]kustomizev1.Kustomization{}
	for _, u := range repofile.Objects(t, fluxFile) {
		raw, err := yaml.Marshal(u.Object)
		if err != nil {
			t.Fatal(err)
		}
		switch u.GetKind() {
		case sourcev1.GitRepositoryKind:
			err = yaml.UnmarshalStrict(raw, &source)
		case kustomizev1.KustomizationKind:
			var k kustomizev1.Kustomization
			err = yaml.UnmarshalStrict(raw, &k)
			kustomizations[k.Name] = k
		default:
			t.Errorf("%s: unexpected kind %s", fluxFile, u.GetKind())
		}
		if err != nil {
			t.Fatalf("%s, %s %s: %v", fluxFile, u.GetKind(), u.GetName(), err)
		}
	}
	return source, kustomizations
}

// Flux uses kstatus for a Kustomization with wait: true.
func TestKstatusIsRightForRecordedObjects(t *testing.T) {
	for _, s := range situations() {
		t.Run(s.kind+"/"+s.name, func(t *testing.T) {
			got, err := status.Compute(recorded(t, s))
			if err != nil {
				t.Fatal(err)
			}
			if got.Status != s.kstatus {
				t.Errorf("kstatus says %s (%s), want %s", got.Status, got.Message, s.kstatus)
			}
		})
	}
}

// TestFluxShowsHealthOfRecordedObjects judges every recorded object with the expressions
// of the example, as Flux's own reader does.
func TestFluxShowsHealthOfRecordedObjects(t *testing.T) {
	_, kustomizations := fluxExample(t)
	for _, s := range situations() {
		t.Run(s.kind+"/"+s.name, func(t *testing.T) {
			k := kustomizations["tokens"]
			if s.kind != "ApiToken" {
				k = kustomizations["token-providers"]
			}
			newReader, err := cel.NewStatusReader(k.Spec.HealthCheckExprs)
			if err != nil {
				t.Fatal(err)
			}
			got, err := newReader(meta.NewDefaultRESTMapper(nil)).ReadStatusForObject(t.Context(), nil, recorded(t, s))
			if err != nil {
				t.Fatal(err)
			}
			if got.Status != s.flux {
				t.Errorf("Flux says %s (%s, %v), want %s", got.Status, got.Message, got.Error, s.flux)
			}
		})
	}
}

// TestFluxExampleOrdersItsKustomizations: the manifests of the example do what its text says.
func TestFluxExampleOrdersItsKustomizations(t *testing.T) {
	source, kustomizations := fluxExample(t)
	if source.Name == "" {
		t.Errorf("%s has no GitRepository", fluxFile)
	}
	if k := kustomizations["apitoken-setup"]; k.Spec.Prune || k.Spec.Path != "./config/setup" {
		t.Errorf("the Kustomization of the CRDs prunes %t, from %s: without the CRDs every ApiToken is deleted", k.Spec.Prune, k.Spec.Path)
	}
	after := map[string]string{"apitoken-setup": "", "apitoken-operator": "apitoken-setup", "token-providers": "apitoken-operator", "tokens": "token-providers"}
	for name, before := range after {
		k, ok := kustomizations[name]
		if !ok {
			t.Errorf("%s has no Kustomization %s", fluxFile, name)
			continue
		}
		if before != "" && (len(k.Spec.DependsOn) != 1 || k.Spec.DependsOn[0].Name != before) {
			t.Errorf("Kustomization %s depends on %v, want %s", name, k.Spec.DependsOn, before)
		}
		if !k.Spec.Wait && len(k.Spec.HealthChecks) == 0 {
			t.Errorf("Kustomization %s waits for nothing", name)
		}
		if k.Spec.SourceRef.Name != source.Name {
			t.Errorf("Kustomization %s has the source %s", name, k.Spec.SourceRef.Name)
		}
		if _, err := os.Stat(filepath.Join("../..", k.Spec.Path, "kustomization.yaml")); err != nil {
			t.Error(err)
		}
	}
	named := map[string]bool{}
	for _, o := range example(t) {
		named[o.GetKind()+"/"+o.GetNamespace()+"/"+o.GetName()] = true
	}
	for _, check := range kustomizations["tokens"].Spec.HealthChecks {
		if !named[check.Kind+"/"+check.Namespace+"/"+check.Name] {
			t.Errorf("a health check names %s %s/%s, which the example does not deploy", check.Kind, check.Namespace, check.Name)
		}
	}
}
