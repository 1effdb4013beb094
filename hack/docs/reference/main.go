// Command reference writes the tables of fields in docs/kinds from the schemas of
// the CRDs.
//
//	go run ./hack/docs/reference [-check] [-root DIRECTORY]
//
// With -check it writes nothing, and fails when a table is not current.
//
// It is not crd-ref-docs (v0.3.0), which reads the Go types instead of the schema:
//   - It leaves out the CEL rules, which hold most of what the API server rejects here. A
//     template could print their messages, but half of the rules have a messageExpression,
//     and a template cannot take the text out of an expression. The column "allowed" has both.
//   - It writes a table for each Go type, in one file for the API group. The tables here are
//     in the page of their kind, and name fields by the paths that a manifest has, such as
//     spec.secret.name, and types as YAML has them.
//   - It has no check that the pages are current.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// The lines around the tables.
const (
	begin = "<!-- reference: written by go run ./hack/docs/reference -->"
	end   = "<!-- reference: end -->"
)

var errNotCurrent = errors.New("the tables are not current; run: go run ./hack/docs/reference")

func main() {
	check := flag.Bool("check", false, "write nothing, and fail when a table is not current")
	root := flag.String("root", ".", "directory of the repository")
	flag.Parse()
	if err := run(*root, *check); err != nil {
		fmt.Fprintf(os.Stderr, "reference: %v\n", err)
		os.Exit(1)
	}
}

// run brings the document of every CRD up to date. A CRD without a document is an error.
func run(root string, check bool) error {
	files, err := filepath.Glob(filepath.Join(root, "config", "crd", "bases", "*.yaml"))
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return fmt.Errorf("there is no CRD in %s", filepath.Join(root, "config", "crd", "bases"))
	}
	var failed []error
	for _, file := range files {
		kind, err := readKind(file)
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", file, err))
			continue
		}
		document := filepath.Join(root, "docs", "kinds", strings.ToLower(kind.Name)+".md")
		if err := update(document, reference(kind), check); err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", document, err))
		}
	}
	return errors.Join(failed...)
}

// update puts the tables into a document.
func update(document, tables string, check bool) error {
	old, err := os.ReadFile(document)
	if err != nil {
		return err
	}
	current, err := replace(string(old), tables)
	if err != nil || current == string(old) {
		return err
	}
	if check {
		return errNotCurrent
	}
	return os.WriteFile(document, []byte(current), 0o644) //nolint:gosec // a document is public
}

// replace puts the tables between the two markers.
func replace(document, tables string) (string, error) {
	before, rest, ok := strings.Cut(document, begin+"\n")
	_, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		return "", fmt.Errorf("there are no lines %q and, after it, %q", begin, end)
	}
	return before + begin + "\n" + tables + end + after, nil
}
