package plan_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// TestMethodsAndRulesHaveDifferentNames: a rule, a need and an obstacle are named for the
// state that they find, a method for what it does. No method has the name of one of them.
func TestMethodsAndRulesHaveDifferentNames(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	fset, methods, listed := token.NewFileSet(), map[string]token.Pos{}, map[string][]string{}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(fset, name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				if n.Recv != nil {
					methods[n.Name.Name] = n.Pos()
				}
			case *ast.ValueSpec:
				for i, value := range n.Values {
					listed[n.Names[i].Name] = append(listed[n.Names[i].Name], secondFields(value)...)
				}
			}
			return true
		})
	}
	for _, list := range []string{"rules", "needs", "obstacles"} {
		if len(listed[list]) == 0 {
			t.Errorf("found no function in the list %q", list)
		}
		for _, name := range listed[list] {
			if at, found := methods[name]; found {
				t.Errorf("%s: a method is called %s, like a function of the list %q", fset.Position(at), name, list)
			}
		}
	}
}

// secondFields returns the identifiers that are the second field of each element of a
// list: the function of a rule, need or obstacle.
func secondFields(value ast.Expr) []string {
	list, ok := value.(*ast.CompositeLit)
	if !ok {
		return nil
	}
	var names []string
	for _, element := range list.Elts {
		one, ok := element.(*ast.CompositeLit)
		if !ok || len(one.Elts) < 2 {
			continue
		}
		if name, ok := one.Elts[1].(*ast.Ident); ok {
			names = append(names, name.Name)
		}
	}
	return names
}
