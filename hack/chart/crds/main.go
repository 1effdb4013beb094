// Command crds writes the CRD templates of the chart from config/crd/bases.
//
//	go run ./crds [-check]
//
// With -check it writes nothing, and fails when a template is not current. Run it in
// hack/chart.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const (
	source = "../../config/crd/bases"
	target = "../../charts/apitoken-operator/templates"
	// prefix begins the name of every file that this command writes.
	prefix = "crd-"
)

// notCurrentError names the templates that are not current.
type notCurrentError struct{ files []string }

func (e *notCurrentError) Error() string {
	return "not current: " + strings.Join(e.files, ", ") + "; run in hack/chart: go run ./crds"
}

func main() {
	check := flag.Bool("check", false, "write nothing, and fail when a template is not current")
	flag.Parse()
	if err := run(source, target, *check); err != nil {
		fmt.Fprintln(os.Stderr, "crds:", err)
		os.Exit(1)
	}
}

// run updates the templates in the directory to from the CRDs in the directory from.
func run(from, to string, check bool) error {
	wanted, err := templates(from)
	if err != nil {
		return err
	}
	differ, err := differing(to, wanted)
	if err != nil {
		return err
	}
	if check && len(differ) > 0 {
		return &notCurrentError{files: differ}
	}
	for _, name := range differ {
		file := filepath.Join(to, name)
		content, ok := wanted[name]
		if !ok {
			err = os.Remove(file)
		} else {
			err = os.WriteFile(file, []byte(content), 0o644) //nolint:gosec // G306: a template is public
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// differing returns the names of templates that are missing, superfluous or not current.
func differing(dir string, wanted map[string]string) ([]string, error) {
	present, err := filepath.Glob(filepath.Join(dir, prefix+"*.yaml"))
	if err != nil {
		return nil, err
	}
	var out []string
	for _, file := range present {
		if _, ok := wanted[filepath.Base(file)]; !ok {
			out = append(out, filepath.Base(file))
		}
	}
	for name, content := range wanted {
		old, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
		if err != nil || string(old) != content {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out, nil
}

// templates returns the templates of the CRDs, by the name of the file.
func templates(from string) (map[string]string, error) {
	files, err := filepath.Glob(filepath.Join(from, "*.yaml"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("there is no CRD in %s", from)
	}
	out := map[string]string{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		converted, err := template(string(content))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		_, plural, _ := strings.Cut(filepath.Base(file), "_")
		out[prefix+plural] = converted
	}
	return out, nil
}

var errForm = errors.New("it does not begin like a CRD of controller-gen: ---, apiVersion, kind, metadata, annotations")

// begin is the start of every CRD that controller-gen writes.
const begin = `---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  annotations:
`

// template turns a CRD into a template. Values decide whether it is installed and kept, it has
// the chart's labels, and braces in its descriptions are escaped.
func template(crd string) (string, error) {
	rest, ok := strings.CutPrefix(crd, begin)
	if !ok {
		return "", errForm
	}
	rest = escape(rest)
	name := strings.Index(rest, "  name: ")
	if name < 0 {
		return "", errForm
	}
	return `{{- /* Written by go run ./crds in hack/chart; change the kinds instead. */ -}}
{{- if .Values.crds.enabled }}
` + strings.TrimPrefix(begin, "---\n") + `    {{- if .Values.crds.keep }}
    helm.sh/resource-policy: keep
    {{- end }}
` + rest[:name] + `  labels:
    {{- include "apitoken-operator.labels" . | nindent 4 }}
` + rest[name:] + `{{- end }}
`, nil
}

// escape escapes braces, so that Helm prints them.
func escape(s string) string {
	return strings.NewReplacer("{{", "{{ `{{` }}", "}}", "{{ `}}` }}").Replace(s)
}
