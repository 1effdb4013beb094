// Command monitoring writes the alerts and the dashboard of the operator, and a
// picture of the dashboard for the documents.
//
//	cd hack/monitoring && go run .
//	cd hack/monitoring && go run . -check
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"apitoken.dev/operator/hack/monitoring/dashboard"
	"apitoken.dev/operator/hack/monitoring/rules"
)

func main() {
	root := flag.String("root", filepath.Join("..", ".."), "the folder of the operator's module")
	runbooks := flag.String("runbooks", "docs/runbooks", "where the runbooks are: a folder or an address, for the annotation runbook_url")
	check := flag.Bool("check", false, "only check that the files are current")
	flag.Parse()
	if err := run(*root, *runbooks, *check); err != nil {
		fmt.Fprintln(os.Stderr, "monitoring:", err)
		os.Exit(1)
	}
}

// run writes or checks every file.
func run(root, runbooks string, check bool) error {
	files, err := generate(runbooks)
	if err != nil {
		return err
	}
	var failed []error
	for name, want := range files {
		path := filepath.Join(root, filepath.FromSlash(name))
		if !check {
			failed = append(failed, os.WriteFile(path, want, 0o644)) //nolint:gosec // G306: these files are published
			continue
		}
		got, err := os.ReadFile(path)
		if err == nil && !bytes.Equal(got, want) {
			err = fmt.Errorf("%s is not current; write it with: (cd hack/monitoring && go run .)", name)
		}
		failed = append(failed, err)
	}
	return errors.Join(failed...)
}

// generate returns every file by its name.
func generate(runbooks string) (map[string][]byte, error) {
	alerts, err := rules.Render(runbooks)
	if err != nil {
		return nil, err
	}
	board, err := dashboard.Render()
	if err != nil {
		return nil, err
	}
	return map[string][]byte{
		"charts/apitoken-operator/files/alerts.yaml":    alerts,
		"charts/apitoken-operator/files/dashboard.json": board,
		"docs/dashboard.svg":                            dashboard.SVG(),
	}, nil
}
