package chart

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/client-go/discovery"
)

func TestHelmLintFindsNothing(t *testing.T) {
	for _, c := range combinations() {
		if out, stderr, err := tool(t, "helm", append([]string{"lint", "--strict", "--quiet", chartDir}, c.args()...)...); err != nil {
			t.Errorf("%s: %v\n%s%s", c.name, err, out, stderr)
		}
	}
}

// kubeconform finds nothing, by the schemas that a real API server publishes for
// its own kinds, the operator's and those of the Prometheus operator.
func TestKubeconformAcceptsWhatIsRendered(t *testing.T) {
	schemas := t.TempDir()
	writeSchemas(t, schemas)
	check := func(manifests string) (string, error) {
		file := filepath.Join(t.TempDir(), "manifests.yaml")
		if err := os.WriteFile(file, []byte(manifests), 0o600); err != nil {
			t.Fatal(err)
		}
		// CRDs are recursive, which this format of schemas cannot say: TestServerTakesWhatIsRendered checks them.
		out, stderr, err := tool(t, "kubeconform", "-strict", "-summary", "-skip", "CustomResourceDefinition",
			"-schema-location", schemas+"/{{ .ResourceKind }}{{ .KindSuffix }}.json", file)
		return out + stderr, err
	}
	for _, c := range combinations() {
		out, err := check(render(t, c.args()...))
		if err != nil {
			t.Errorf("%s: %v\n%s", c.name, err, out)
		}
		if strings.Contains(out, "Valid: 0,") {
			t.Errorf("%s: nothing was checked: %s", c.name, out)
		}
	}
	wrong := strings.Replace(render(t), "revisionHistoryLimit:", "revisionHistory:", 1)
	if out, err := check(wrong); err == nil {
		t.Errorf("a field that does not exist passed: %s", out)
	}
}

// groupVersionKind as OpenAPI notes it.
type groupVersionKind struct{ Group, Version, Kind string }

// writeSchemas writes one schema for each kind of the API server, with all that it
// refers to, named as kubeconform looks for it.
func writeSchemas(t *testing.T, dir string) {
	t.Helper()
	d, err := discovery.NewDiscoveryClientForConfig(env.Config)
	if err != nil {
		t.Fatal(err)
	}
	body, err := d.RESTClient().Get().AbsPath("/openapi/v2").SetHeader("Accept", "application/json").Do(t.Context()).Raw()
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Definitions map[string]map[string]any `json:"definitions"`
	}
	if err := json.Unmarshal(body, &doc); err != nil {
		t.Fatal(err)
	}
	for _, definition := range doc.Definitions {
		strict(definition)
	}
	written := 0
	for name, definition := range doc.Definitions {
		for _, kind := range kindsOf(t, definition) {
			needed := map[string]any{}
			collect(doc.Definitions, name, needed)
			schema := map[string]any{"$schema": "http://json-schema.org/draft-07/schema#", "$ref": "#/definitions/" + name, "definitions": needed}
			content, err := json.Marshal(schema)
			if err != nil {
				t.Fatal(err)
			}
			group, _, _ := strings.Cut(kind.Group, ".")
			parts := []string{kind.Kind, group, kind.Version}
			if group == "" {
				parts = []string{kind.Kind, kind.Version}
			}
			file := strings.ToLower(strings.Join(parts, "-")) + ".json"
			if err := os.WriteFile(filepath.Join(dir, file), content, 0o600); err != nil {
				t.Fatal(err)
			}
			written++
		}
	}
	if written < 50 {
		t.Fatalf("the API server has schemas of %d kinds", written)
	}
}

func kindsOf(t *testing.T, definition map[string]any) []groupVersionKind {
	t.Helper()
	content, err := json.Marshal(definition["x-kubernetes-group-version-kind"])
	if err != nil {
		t.Fatal(err)
	}
	var out []groupVersionKind
	if err := json.Unmarshal(content, &out); err != nil {
		t.Fatal(err)
	}
	// Options and the like belong to every group; no manifest has them.
	if len(out) > 1 {
		return nil
	}
	return out
}

// strict forbids what is not named, and takes a number where either may be, as
// the API server does.
func strict(schema any) {
	switch s := schema.(type) {
	case map[string]any:
		if _, named := s["properties"].(map[string]any); named && s["additionalProperties"] == nil && s["x-kubernetes-preserve-unknown-fields"] != true {
			s["additionalProperties"] = false
		}
		if s["format"] == "int-or-string" || s["x-kubernetes-int-or-string"] == true {
			s["type"] = []any{"integer", "string"}
		}
		delete(s, "format")
		for _, below := range s {
			strict(below)
		}
	case []any:
		for _, below := range s {
			strict(below)
		}
	}
}

const reference = "#/definitions/"

// collect adds a definition and all that it refers to.
func collect(all map[string]map[string]any, name string, into map[string]any) {
	if into[name] != nil {
		return
	}
	into[name] = all[name]
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if ref, ok := v["$ref"].(string); ok {
				collect(all, strings.TrimPrefix(ref, reference), into)
			}
			for _, below := range v {
				walk(below)
			}
		case []any:
			for _, below := range v {
				walk(below)
			}
		}
	}
	walk(all[name])
}

// kube-score has nothing critical to say, but for three opinions that are not ours:
// a limit of CPU only slows rotations down; IfNotPresent is right for images whose
// tag never moves; and a container that cannot write to its disk needs no share of
// it, with which it would not run on nodes that do not count theirs.
func TestKubeScoreFindsNothingCritical(t *testing.T) {
	for _, c := range combinations() {
		if c.name == "minimal" {
			continue // leaves out on purpose what is scored: the NetworkPolicy
		}
		file := filepath.Join(t.TempDir(), c.name+".yaml")
		if err := os.WriteFile(file, []byte(render(t, c.args()...)), 0o600); err != nil {
			t.Fatal(err)
		}
		out, stderr, err := tool(t, "kube-score", "score", "--kubernetes-version=v1.31", "--ignore-container-cpu-limit",
			"--ignore-test=container-image-pull-policy", "--ignore-test=container-ephemeral-storage-request-and-limit", "--output-format=ci", file)
		if err != nil || strings.Contains(out, "[CRITICAL]") {
			t.Errorf("%s: %v\n%s%s", c.name, err, out, stderr)
		}
		if !strings.Contains(out, "[OK]") {
			t.Errorf("%s: nothing was scored:\n%s", c.name, out)
		}
	}
}
