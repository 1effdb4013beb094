package cli_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// sources parses every file of internal/cli except tests, by path.
func sources(t *testing.T) (*token.FileSet, map[string]*ast.File) {
	t.Helper()
	set, files := token.NewFileSet(), map[string]*ast.File{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		files[filepath.ToSlash(path)], err = parser.ParseFile(set, path, nil, 0)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"cmd.go", "plan/plan.go", "session/session.go"} {
		if files[want] == nil {
			t.Fatalf("%s is not among the %d files", want, len(files))
		}
	}
	return set, files
}

// answers are the functions that can inspect errors of the API server for another purpose than
// existence: to choose an exit code, or to tell whether a write was rejected.
var answers = []string{"CodeOf", "Explain", "refusal", "withoutValues"}

// Package reading distinguishes "does not exist" from "could not be read".
func TestOnlyReadingDecidesWhatExists(t *testing.T) {
	banned := []string{"IsNotFound", "IgnoreNotFound", "IsForbidden", "ReasonForError", "HasStatusCause", "IsNoMatchError"}
	found := map[string]bool{}
	set, files := sources(t)
	for path, parsed := range files {
		if strings.HasPrefix(path, "reading/") {
			continue
		}
		for _, decl := range parsed.Decls {
			name := ""
			if f, ok := decl.(*ast.FuncDecl); ok {
				name = f.Name.Name
			}
			ast.Inspect(decl, func(n ast.Node) bool {
				s, ok := n.(*ast.SelectorExpr)
				if !ok || !slices.Contains(banned, s.Sel.Name) {
					return true
				}
				found[name] = true
				if pass := (name == "read" || name == "otherKind") && s.Sel.Name == "IsNoMatchError"; !pass && !slices.Contains(answers, name) {
					t.Errorf("%s: %s uses %s: read with package reading", set.Position(s.Pos()), name, s.Sel.Name)
				}
				return true
			})
		}
	}
	for _, name := range answers {
		if !found[name] {
			t.Errorf("%s is an exception and needs none", name)
		}
	}
}

// A command that another package formats lacks the namespace and the cluster.
func TestOnlyPackageHintWritesCommands(t *testing.T) {
	set, files := sources(t)
	for path, parsed := range files {
		if strings.HasPrefix(path, "hint/") || path == "importer/manifest.go" {
			continue
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			if kv, ok := n.(*ast.KeyValueExpr); ok { // the help of a command
				if key, ok := kv.Key.(*ast.Ident); ok && (key.Name == "Example" || key.Name == "Long" || key.Name == "Short") {
					return false
				}
			}
			lit, ok := n.(*ast.BasicLit)
			if !ok || lit.Kind != token.STRING {
				return true
			}
			text, err := strconv.Unquote(lit.Value)
			if err != nil {
				t.Fatal(err)
			}
			for _, program := range []string{"kubectl apitoken ", "kubectl get ", "kubectl describe ", "kubectl logs ", "kubectl patch ", "kubectl apply --server-side -k"} {
				if strings.Contains(text, program) {
					t.Errorf("%s spells out a command: %q", set.Position(lit.Pos()), text)
				}
			}
			return true
		})
	}
}
