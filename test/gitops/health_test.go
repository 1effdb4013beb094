package gitops

import (
	"os"
	"strings"
	"testing"

	"github.com/argoproj/argo-cd/gitops-engine/pkg/health"
	"github.com/argoproj/argo-cd/v3/common"
	argov1alpha1 "github.com/argoproj/argo-cd/v3/pkg/apis/application/v1alpha1"
	"github.com/argoproj/argo-cd/v3/util/lua"
	"github.com/argoproj/argo-cd/v3/util/settings"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

const (
	scripts = "../../config/argocd/resource_customizations/apitoken.dev/"
	cmPatch = "../../config/argocd/argocd-cm-patch.yaml"
)

var kinds = []string{"ApiToken", "TokenProvider", "ClusterTokenProvider"}

func script(t *testing.T, kind string) string {
	t.Helper()
	raw, err := os.ReadFile(scripts + kind + "/health.lua")
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// overrides applies the shipped patch to argocd-cm, and reads the result as Argo CD does.
func overrides(t *testing.T) map[string]argov1alpha1.ResourceOverride {
	t.Helper()
	c := env.Client(nil)
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "argocd-"}}
	if err := c.Create(t.Context(), namespace); err != nil {
		t.Fatal(err)
	}
	cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
		Namespace: namespace.Name, Name: common.ArgoCDConfigMapName, Labels: map[string]string{"app.kubernetes.io/part-of": "argocd"},
	}}
	if err := c.Create(t.Context(), cm); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(cmPatch)
	if err != nil {
		t.Fatal(err)
	}
	patch, err := yaml.YAMLToJSON(raw)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Patch(t.Context(), cm, client.RawPatch("application/strategic-merge-patch+json", patch)); err != nil {
		t.Fatal(err)
	}
	got, err := settings.NewSettingsManager(t.Context(), kubernetes.NewForConfigOrDie(env.Config), namespace.Name).GetResourceOverrides()
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// TestArgoShowsHealthOfRecordedObjects runs Argo CD's own engine over every recorded object,
// with the scripts of the ConfigMap.
func TestArgoShowsHealthOfRecordedObjects(t *testing.T) {
	override := lua.ResourceHealthOverrides(overrides(t))
	for _, s := range situations() {
		t.Run(s.kind+"/"+s.name, func(t *testing.T) {
			u := recorded(t, s)
			got, err := override.GetResourceHealth(u)
			if err != nil {
				t.Fatal(err)
			}
			if got == nil || got.Status != s.argo || !strings.Contains(got.Message, s.says) {
				t.Errorf("the script says %+v, want %s with %q", got, s.argo, s.says)
			}
			// The application controller calls this function. It does not run the script
			// for an object that is being deleted.
			got, err = health.GetResourceHealth(u, override)
			if err != nil {
				t.Fatal(err)
			}
			if got.Status != s.argo {
				t.Errorf("Argo CD shows %s (%s), want %s", got.Status, got.Message, s.argo)
			}
		})
	}
}

// TestArgoScriptIsTheSameEverywhere: the ConfigMap patch and the folder of each kind have the
// same script.
func TestArgoScriptIsTheSameEverywhere(t *testing.T) {
	fromConfigMap := overrides(t)
	for _, kind := range kinds {
		got := fromConfigMap["apitoken.dev/"+kind]
		if got.HealthLua == "" || got.HealthLua != script(t, kind) {
			t.Errorf("%s has another script for %s than %s%s/health.lua", cmPatch, kind, scripts, kind)
		}
		if got.UseOpenLibs || got.HealthLua != script(t, "ApiToken") {
			t.Errorf("%s does not use the common script alone", kind)
		}
	}
}

// TestArgoNeedsTheScript: without the script, Argo CD shows no health for the kinds.
func TestArgoNeedsTheScript(t *testing.T) {
	got, err := health.GetResourceHealth(recorded(t, situations()[2]), lua.ResourceHealthOverrides{})
	if err != nil || got != nil {
		t.Errorf("without a script Argo CD shows %+v, %v", got, err)
	}
}
