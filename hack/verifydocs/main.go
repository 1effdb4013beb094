// Command verifydocs fails when a Markdown file of this repository names a path
// or a make target that does not exist, or links to a heading that is not there.
//
// Link checkers such as lychee check the links alone. They know neither the make targets and
// paths in code and in shell blocks, nor the names of tests in SECURITY.md, and lychee is not
// a Go program that a go.mod could pin.
//
//	go run ./hack/verifydocs [ROOT]
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"apitoken.dev/operator/hack/internal/markdown"
)

func main() {
	root := "."
	if len(os.Args) > 1 {
		root = os.Args[1]
	}
	problems, err := check(root)
	if err != nil {
		fmt.Fprintln(os.Stderr, "verifydocs:", err)
		os.Exit(2)
	}
	for _, problem := range problems {
		fmt.Println(problem)
	}
	if len(problems) > 0 {
		os.Exit(1)
	}
}

// check returns one line per broken reference in the Markdown files below root.
func check(root string) ([]string, error) {
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		return nil, err
	}
	repo := repository{root: root, targets: makeTargets(string(makefile))}
	var problems []string
	err = markdown.Each(root, func(path string) error {
		found, err := repo.checkFile(path)
		problems = append(problems, found...)
		return err
	})
	return problems, err
}

// repository has the facts that references are checked against.
type repository struct {
	root    string
	targets map[string]bool
}

func (r repository) checkFile(path string) ([]string, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	name, err := filepath.Rel(r.root, path)
	if err != nil {
		return nil, err
	}
	// A changelog names files that no longer exist.
	history := filepath.Base(path) == "CHANGELOG.md"
	var problems []string
	for _, ref := range references(string(content)) {
		if history && ref.kind != link {
			continue
		}
		if why := r.problem(path, ref); why != "" {
			problems = append(problems, fmt.Sprintf("%s:%d: %s", name, ref.line, why))
		}
	}
	return problems, nil
}

// problem says in a sentence what is wrong with a reference, or nothing.
func (r repository) problem(document string, ref reference) string {
	switch ref.kind {
	case link:
		return r.linkProblem(document, ref.text)
	case target:
		if !r.targets[ref.text] {
			return fmt.Sprintf("the Makefile has no target %q", ref.text)
		}
	case path:
		if !r.pathExists(document, ref) {
			return fmt.Sprintf("there is no %s", ref.text)
		}
	}
	return ""
}

// linkProblem checks a relative link and the heading that it points to.
func (r repository) linkProblem(document, text string) string {
	file, anchor, _ := strings.Cut(text, "#")
	full := document
	if file != "" {
		full = filepath.Join(filepath.Dir(document), filepath.FromSlash(file))
	}
	content, err := os.ReadFile(full)
	if err != nil && !isDirectory(full) {
		return fmt.Sprintf("the link to %s leads nowhere", text)
	}
	if anchor != "" && filepath.Ext(full) == ".md" && !headings(string(content))[anchor] {
		return fmt.Sprintf("the link to %s names a heading that is not there", text)
	}
	return ""
}

// pathExists also accepts what only looks like a path of this repository: its
// first element must be one of the directories at the root. What is built goes into
// bin, and can be missing.
func (r repository) pathExists(document string, ref reference) bool {
	first, _, _ := strings.Cut(ref.text, "/")
	if first == "bin" || !isDirectory(filepath.Join(r.root, first)) {
		return true
	}
	for _, base := range []string{r.root, filepath.Dir(document), filepath.Join(r.root, ref.directory)} {
		if _, err := os.Stat(filepath.Join(base, filepath.FromSlash(ref.text))); err == nil {
			return true
		}
	}
	return false
}

func isDirectory(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
