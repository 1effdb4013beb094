package chart

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// The rendered manifests equal the reviewed golden files. The CRDs, the alerts and the
// dashboard have their own sources and tests.
func TestRenderedManifestsAreAsReviewed(t *testing.T) {
	for _, c := range combinations() {
		t.Run(c.name, func(t *testing.T) {
			var kept []string
			for _, doc := range documents(render(t, c.args()...)) {
				if !fromElsewhere(doc) {
					kept = append(kept, doc)
				}
			}
			got := "---\n" + strings.Join(kept, "\n---\n")
			file := filepath.Join("testdata", "golden", c.name+".yaml")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("%s differs; if it should: go test . -run TestRenderedManifestsAreAsReviewed -update\n%s", file, diff)
			}
		})
	}
}

func fromElsewhere(doc string) bool {
	for _, source := range []string{"crd-", "prometheusrule", "dashboard"} {
		if strings.HasPrefix(doc, "# Source: apitoken-operator/templates/"+source) {
			return true
		}
	}
	return false
}

// notes returns the notes that helm install prints.
func notes(t *testing.T, args ...string) string {
	t.Helper()
	out, stderr, err := tool(t, "helm", append([]string{"install", release, chartDir, "--namespace", namespace, "--dry-run=client"}, args...)...)
	if err != nil {
		t.Fatalf("helm install %v: %v\n%s", args, err, stderr)
	}
	_, text, ok := strings.Cut(out, "\nNOTES:\n")
	if !ok {
		t.Fatalf("helm install %v shows no notes:\n%s", args, out)
	}
	return text
}

// A ServiceMonitor without a reader of the metrics installs, and the notes warn that
// its scrapes will be refused.
func TestNotesWarnOfMetricsWithoutReaders(t *testing.T) {
	const monitor = "metrics.serviceMonitor.enabled=true"
	role := release + "-metrics-reader"
	for name, c := range map[string]struct {
		set  string
		says []string
	}{
		"no reader":          {monitor, []string{"WARNING", "metrics.readers is empty", "403", "ApiTokenOperatorDown", "ClusterRole " + role + " to it"}},
		"in some namespaces": {monitor + ",namespaces={ml}", []string{"WARNING", "ClusterRole " + release + "-" + namespace + "-metrics-reader to it"}},
		"without the roles":  {monitor + ",rbac.userRoles=false", []string{"WARNING", "403", "/metrics", "rbac.userRoles"}},
		"a reader":           {monitor + ",metrics.readers[0].namespace=monitoring,metrics.readers[0].name=prometheus", nil},
		"for everyone":       {monitor + ",metrics.auth=false", nil},
		"no ServiceMonitor":  {"metrics.serviceMonitor.enabled=false", nil},
	} {
		got := notes(t, "--set", c.set)
		if warns := strings.Contains(got, "WARNING"); warns != (c.says != nil) {
			t.Errorf("%s: it warns: %t\n%s", name, warns, got)
		}
		for _, says := range c.says {
			if !strings.Contains(got, says) {
				t.Errorf("%s: %q is missing in\n%s", name, says, got)
			}
		}
	}
}

// The rendered CRDs equal config/crd/bases, apart from the chart's labels.
func TestChartInstallsTheCRDsOfConfig(t *testing.T) {
	rendered := objects(t, render(t))
	files, err := filepath.Glob("../../config/crd/bases/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d CRDs: %v", len(files), err)
	}
	for _, file := range files {
		want := read(t, file)[0]
		got := find(t, rendered, "CustomResourceDefinition", want.GetName())
		if diff := cmp.Diff(want.Object["spec"], got.Object["spec"]); diff != "" {
			t.Errorf("%s: %s", want.GetName(), diff)
		}
		if got.GetAnnotations()["helm.sh/resource-policy"] != "keep" {
			t.Errorf("%s would go with the release, and every object of its kind with it", got.GetName())
		}
	}
	for args, want := range map[string]int{"crds.enabled=false": 0, "crds.keep=false": len(files)} {
		crds := 0
		for _, o := range objects(t, render(t, "--set", args)) {
			if o.GetKind() == "CustomResourceDefinition" {
				crds++
				if o.GetAnnotations()["helm.sh/resource-policy"] != "" {
					t.Errorf("with %s %s is kept", args, o.GetName())
				}
			}
		}
		if crds != want {
			t.Errorf("with %s there are %d CRDs, not %d", args, crds, want)
		}
	}
}

// The address can end with a slash. Links in the user's own rules do not change.
func TestRunbookLinksAreAbsoluteByAValue(t *testing.T) {
	const address = "https://docs.example.com/runbooks"
	own := "metrics.prometheusRule.additionalGroups[0]."
	for _, given := range []string{address, address + "/"} {
		rendered := objects(t, render(t, "--set", "metrics.prometheusRule.enabled=true,metrics.prometheusRule.runbookURL="+given,
			"--set", own+"name=own,"+own+"rules[0].alert=Own,"+own+"rules[0].annotations.runbook_url=own.md"))
		groups, _, err := unstructured.NestedSlice(find(t, rendered, "PrometheusRule", release).Object, "spec", "groups")
		if err != nil || len(groups) != 2 {
			t.Fatalf("%d groups: %v", len(groups), err)
		}
		for _, group := range groups {
			rules, _, _ := unstructured.NestedSlice(group.(map[string]any), "rules")
			if len(rules) == 0 {
				t.Error("a group without rules")
			}
			for _, rule := range rules {
				alert, _, _ := unstructured.NestedString(rule.(map[string]any), "alert")
				got, _, _ := unstructured.NestedString(rule.(map[string]any), "annotations", "runbook_url")
				want := address + "/" + alert + ".md"
				if alert == "Own" {
					want = "own.md"
				}
				if got != want {
					t.Errorf("%s: runbook_url is %q, want %q", alert, got, want)
				}
			}
		}
	}
}

// The chart's files contain the alerts and the dashboard.
func TestMonitoringFilesAreRenderedUnchanged(t *testing.T) {
	rendered := objects(t, render(t, "--values", chartDir+"/examples/values-monitoring.yaml"))
	rule := find(t, rendered, "PrometheusRule", release)
	groups, _, err := unstructured.NestedSlice(rule.Object, "spec", "groups")
	if err != nil || len(groups) == 0 {
		t.Fatalf("%d groups: %v", len(groups), err)
	}
	if diff := cmp.Diff(read(t, chartDir+"/files/alerts.yaml")[0].Object["groups"], any(groups)); diff != "" {
		t.Error(diff)
	}
	dashboard := find(t, rendered, "ConfigMap", release+"-dashboard")
	got, _, err := unstructured.NestedString(dashboard.Object, "data", "apitoken-operator.json")
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(chartDir + "/files/dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.TrimSpace(string(want)), strings.TrimSpace(got)); diff != "" {
		t.Error(diff)
	}
}
