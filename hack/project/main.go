// Command project writes the values of hack/project.env into the Markdown files of this
// repository. A document shows a value in one of two ways:
//
//	REPOSITORY=https://...                       a line of a code block
//	<!-- REPOSITORY -->https://...<!-- /REPOSITORY -->   in prose
//
// With -check it writes nothing and fails when a document shows another value.
//
//	go run ./hack/project [-check] [ROOT]
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"apitoken.dev/operator/hack/internal/markdown"
)

// valuesFile is the only place where the values are written down.
const valuesFile = "hack/project.env"

func main() {
	checkOnly := flag.Bool("check", false, "write nothing, and fail when a document shows another value")
	flag.Parse()
	root := "."
	if flag.NArg() > 0 {
		root = flag.Arg(0)
	}
	changed, err := run(root, *checkOnly)
	if err != nil {
		fmt.Fprintln(os.Stderr, "project:", err)
		os.Exit(2)
	}
	for _, name := range changed {
		fmt.Println(name)
	}
	if *checkOnly && len(changed) > 0 {
		fmt.Fprintf(os.Stderr, "project: these documents do not show the values of %s; run make project\n", valuesFile)
		os.Exit(1)
	}
}

// run returns the documents that show other values, and updates them unless checkOnly is set.
func run(root string, checkOnly bool) ([]string, error) {
	content, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(valuesFile)))
	if err != nil {
		return nil, err
	}
	values, err := parse(string(content))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", valuesFile, err)
	}
	var changed []string
	err = markdown.Each(root, func(path string) error {
		differs, err := update(path, values, checkOnly)
		if err != nil || !differs {
			return err
		}
		name, err := filepath.Rel(root, path)
		changed = append(changed, filepath.ToSlash(name))
		return err
	})
	return changed, err
}

func update(path string, values []value, checkOnly bool) (bool, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return false, err
	}
	text, err := fill(string(content), values)
	if err != nil {
		return false, fmt.Errorf("%s: %w", path, err)
	}
	if text == string(content) || checkOnly {
		return text != string(content), nil
	}
	return true, os.WriteFile(path, []byte(text), 0o644) //nolint:gosec // G306: a document is public
}
