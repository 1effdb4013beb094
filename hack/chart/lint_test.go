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

// The schemas are those that a real API server publishes, including the kinds of the operator and
// of the Prometheus operator.
func TestKubeconformAcceptsTheRenderedManifests(t *testing.T) {
	schemas := t.TempDir()
	writeSchemas(t, schemas)
	check := func(manifests string) (string, error) {
		file := filepath.Join(t.TempDir(), "manifests.yaml")
		if err := os.WriteFile(file, []byte(manifests), 0o600); err != nil {
			t.Fatal(err)
		}
		// This schema format cannot express the recursion in CRDs. TestServerAcceptsTheRenderedManifests checks them.
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

// groupVersionKind is the OpenAPI extension with the kind of a schema.
type groupVersionKind struct{ Group, Version, Kind string }

// writeSchemas writes one self-contained schema for each kind of the API server, under the name that
// kubeconform reads.
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
	// Kinds such as DeleteOptions belong to every group, and occur in no manifest.
	if len(out) > 1 {
		return nil
	}
	return out
}

// strict rejects unknown fields. Like the API server, it accepts a number for an int-or-string.
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

// collect adds a definition and its references.
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

// Three checks of kube-score are ignored. A CPU limit only slows down rotations. IfNotPresent is
// right for images whose tag never moves. A container with a read-only file system needs no
// ephemeral storage request, which some nodes do not support.
func TestKubeScoreFindsNothingCritical(t *testing.T) {
	for _, c := range combinations() {
		if c.name == "minimal" {
			continue // this combination omits the NetworkPolicy, which kube-score requires
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
