package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const crd = begin + `    controller-gen.kubebuilder.io/version: v0.0.0
  name: things.example.com
spec:
  description: 'a template: {{ .name }}'
`

// Missing, changed and superfluous templates are reported by -check, and corrected without it.
func TestCheckFindsOldTemplates(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	write := func(dir, name, content string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(from, "example.com_things.yaml", crd)
	for _, c := range []struct { // in this order: the first case starts with an empty directory
		name  string
		spoil func()
	}{
		{"missing", func() {}},
		{"changed", func() { write(to, "crd-things.yaml", "other") }},
		{"too much", func() { write(to, "crd-gone.yaml", "") }},
	} {
		c.spoil()
		var stale *notCurrentError
		if err := run(from, to, true); !errors.As(err, &stale) || len(stale.files) != 1 {
			t.Errorf("%s: -check says %v", c.name, err)
		}
		if err := run(from, to, false); err != nil {
			t.Fatal(err)
		}
		if err := run(from, to, true); err != nil {
			t.Errorf("%s: after it was written again: %v", c.name, err)
		}
	}
	if err := run(t.TempDir(), to, true); err == nil {
		t.Error("no CRD at all, and no error")
	}
}

func TestTemplateEscapesAndKeepsCRDs(t *testing.T) {
	got, err := template(crd)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"'a template: {{ `{{` }} .name {{ `}}` }}'", "helm.sh/resource-policy: keep", "{{- if .Values.crds.enabled }}", "  labels:\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("there is no %q in\n%s", want, got)
		}
	}
	for _, bad := range []string{"", "kind: Other\n", begin + "spec: {}\n"} {
		if _, err := template(bad); !errors.Is(err, errForm) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
