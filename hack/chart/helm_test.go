package chart

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

const (
	chartDir  = "../../charts/apitoken-operator"
	release   = "apitoken-operator"
	namespace = "apitoken-system"
)

// combination is a set of values for the chart.
type combination struct{ name, values string }

// combinations are the values that the tests render.
func combinations() []combination {
	return []combination{
		{name: "default"},
		{name: "minimal", values: "testdata/values/minimal.yaml"},
		{name: "ha", values: chartDir + "/examples/values-ha.yaml"},
		{name: "monitoring", values: chartDir + "/examples/values-monitoring.yaml"},
		{name: "namespaced", values: chartDir + "/examples/values-namespaced.yaml"},
		{name: "everything", values: "testdata/values/everything.yaml"},
	}
}

func (c combination) args() []string {
	if c.values == "" {
		return nil
	}
	return []string{"--values", c.values}
}

// tool runs a program that is pinned in tools/ and returns its output.
func tool(t *testing.T, name string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	modfile, err := filepath.Abs(filepath.Join("tools", name, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"tool", "-modfile=" + modfile, name}, args...)...)
	// The environment hides the settings and the cluster of the user who runs the test.
	home := t.TempDir()
	cmd.Env = append(os.Environ(), "GOWORK=off", "KUBECONFIG="+filepath.Join(home, "none"),
		"HELM_CONFIG_HOME="+home, "HELM_CACHE_HOME="+home, "HELM_DATA_HOME="+home)
	var out, failed bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &failed
	err = cmd.Run()
	return out.String(), failed.String(), err
}

// render returns the chart's manifests in the order of helm template.
func render(t *testing.T, args ...string) string {
	t.Helper()
	out, stderr, err := tool(t, "helm", append([]string{"template", release, chartDir, "--namespace", namespace}, args...)...)
	if err != nil {
		t.Fatalf("helm template %v: %v\n%s", args, err, stderr)
	}
	return out
}

// documents splits manifests.
func documents(manifests string) []string {
	var out []string
	for doc := range strings.SplitSeq("\n"+manifests, "\n---\n") {
		if strings.TrimSpace(doc) != "" {
			out = append(out, strings.TrimPrefix(doc, "\n"))
		}
	}
	return out
}

// objects parses manifests.
func objects(t *testing.T, manifests string) []*unstructured.Unstructured {
	t.Helper()
	var out []*unstructured.Unstructured
	for _, doc := range documents(manifests) {
		o := &unstructured.Unstructured{}
		if err := yaml.UnmarshalStrict([]byte(doc), &o.Object); err != nil {
			t.Fatalf("%v in\n%s", err, doc)
		}
		if len(o.Object) > 0 {
			out = append(out, o)
		}
	}
	return out
}

// find returns the object of a kind and name.
func find(t *testing.T, all []*unstructured.Unstructured, kind, name string) *unstructured.Unstructured {
	t.Helper()
	i := slices.IndexFunc(all, func(o *unstructured.Unstructured) bool { return o.GetKind() == kind && o.GetName() == name })
	if i < 0 {
		t.Fatalf("there is no %s %s", kind, name)
	}
	return all[i]
}

// read parses a file of manifests.
func read(t *testing.T, file string) []*unstructured.Unstructured {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return objects(t, string(content))
}
