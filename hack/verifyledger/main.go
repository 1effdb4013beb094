// Command verifyledger fails when code outside internal/ledger changes the ledger of
// an ApiToken: an entry of status.credentials, or what counts with it in the status.
// It type-checks the packages it is given, without their tests, and reports each
// assignment to such a field, each way to a pointer to one, and each composite literal
// that sets one.
//
// In the controllers that carry out the decisions of internal/plan it also reports what
// would be a decision: a reason of a condition, by its name or as a text, and the state or
// reason of a plan.Decision.
// In the packages of order.go it reports each use of a file that comes before the user.
//
//	go run ./hack/verifyledger ./controllers/... ./internal/... ./cmd/...
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

const (
	module = "apitoken.dev/operator"
	kinds  = module + "/api/v1alpha1"
	rules  = module + "/internal/plan"
)

// guarded are the fields that only internal/ledger sets; nil: all of a type.
var guarded = map[string][]string{
	"LedgerEntry":    nil,
	"MintBudget":     nil,
	"Retry":          nil,
	"ApiTokenStatus": {"Credentials", "Revision", "MintBudget", "Retry", "GapSince", "GapReason", "LastGap"},
	"ApiToken":       {}, // only as a whole
}

// literals are the fields that a composite literal outside internal/ledger may not set.
// An entry with other fields only is how rules and messages name a credential.
var literals = map[string][]string{
	"LedgerEntry":    {"State", "RetireAt", "Updating", "Gone", "Drift"},
	"MintBudget":     {"Remaining", "RefilledAt"},
	"Retry":          {"Failures", "NotBefore"},
	"ApiTokenStatus": guarded["ApiTokenStatus"],
}

// exempt is the package that may.
var exempt = []string{"/internal/ledger"}

func main() {
	flag.Parse()
	found, err := check(flag.Args()...)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	for _, f := range found {
		fmt.Println(f)
	}
	if len(found) > 0 {
		fmt.Println("only internal/ledger changes the ledger, and only internal/plan chooses reasons: call a function there, or add one, with a row in its table test. " +
			"The files of a package in hack/verifyledger/order.go use only those after them")
		os.Exit(1)
	}
}

// listed is the output of `go list` for a package.
type listed struct {
	ImportPath, Dir, Export string
	GoFiles                 []string
	DepOnly                 bool
}

// list returns the packages of the patterns and everything they import, compiled.
func list(patterns ...string) ([]listed, error) {
	args := append([]string{"list", "-export", "-deps", "-json=ImportPath,Dir,Export,GoFiles,DepOnly", "--"}, patterns...)
	cmd := exec.Command("go", args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	var all []listed
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		all = append(all, p)
	}
}

// check returns what breaks the rule, one line each.
func check(patterns ...string) ([]string, error) {
	all, err := list(patterns...)
	if err != nil {
		return nil, err
	}
	exports := map[string]string{}
	for _, p := range all {
		exports[p.ImportPath] = p.Export
	}
	var found []string
	for _, p := range all {
		skip := slices.ContainsFunc(exempt, func(e string) bool { return p.ImportPath == module+e || strings.HasPrefix(p.ImportPath, module+e+"/") })
		if p.DepOnly || skip || p.ImportPath == kinds {
			continue
		}
		lines, err := checkPackage(p, exports)
		if err != nil {
			return nil, err
		}
		found = append(found, lines...)
	}
	return found, nil
}

func checkPackage(p listed, exports map[string]string) ([]string, error) {
	fset := token.NewFileSet()
	files := make([]*ast.File, 0, len(p.GoFiles))
	for _, name := range p.GoFiles {
		f, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	info := &types.Info{
		Types: map[ast.Expr]types.TypeAndValue{}, Selections: map[*ast.SelectorExpr]*types.Selection{}, Uses: map[*ast.Ident]types.Object{},
	}
	conf := types.Config{Importer: importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) {
		return os.Open(exports[path])
	})}
	checked, err := conf.Check(p.ImportPath, fset, files, info)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.ImportPath, err)
	}
	c := &checker{info: info, fset: fset, carriesOut: carriesOut(p.ImportPath), reasons: reasonsOf(checked)}
	for _, f := range files {
		ast.Inspect(f, c.visit)
	}
	return append(c.found, checkOrder(p.ImportPath, fset, files, info.Uses)...), nil
}

type checker struct {
	info *types.Info
	fset *token.FileSet
	// carriesOut: the package may decide nothing.
	carriesOut bool
	// reasons are the reasons of conditions, quoted.
	reasons map[string]bool
	found   []string
}

func (c *checker) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.AssignStmt:
		if n.Tok != token.DEFINE {
			for _, left := range n.Lhs {
				c.assigned(left)
			}
		}
	case *ast.IncDecStmt:
		c.assigned(n.X)
	case *ast.RangeStmt:
		if n.Tok == token.ASSIGN {
			c.assigned(n.Key)
			c.assigned(n.Value)
		}
	case *ast.UnaryExpr:
		c.pointer(n)
	case *ast.CallExpr:
		c.builtin(n)
	case *ast.CompositeLit:
		c.literal(n)
	}
	return !c.carriesOut || c.decides(n)
}

// pointer looks at a pointer to a field.
func (c *checker) pointer(n *ast.UnaryExpr) {
	if field, ok := n.X.(*ast.SelectorExpr); ok && n.Op == token.AND {
		c.field(field)
	}
}

// assigned checks the left side of an assignment: a guarded field, or all of a guarded type
// behind a pointer or in a slice.
func (c *checker) assigned(left ast.Expr) {
	switch left := ast.Unparen(left).(type) {
	case *ast.SelectorExpr:
		c.field(left)
		if kindOf(c.info.TypeOf(left)) == "ApiTokenStatus" && kindOf(pointee(c.info.TypeOf(left.X))) == "ApiToken" {
			c.report(left, "ApiToken.Status")
		}
	case *ast.StarExpr, *ast.IndexExpr:
		if name := kindOf(c.info.TypeOf(left)); name != "" {
			c.report(left, name)
		}
	}
}

// builtin looks at a call that changes a slice in place.
func (c *checker) builtin(n *ast.CallExpr) {
	name, ok := ast.Unparen(n.Fun).(*ast.Ident)
	if !ok || len(n.Args) == 0 || name.Name != "copy" && name.Name != "clear" {
		return
	}
	if field, ok := ast.Unparen(n.Args[0]).(*ast.SelectorExpr); ok {
		c.field(field)
	}
}

func (c *checker) field(x *ast.SelectorExpr) {
	selection := c.info.Selections[x]
	if selection == nil || selection.Kind() != types.FieldVal {
		return
	}
	field, ok := selection.Obj().(*types.Var)
	if !ok {
		return
	}
	if c.carriesOut && slices.Contains(decided, field.Name()) && isDecision(selection.Recv()) {
		c.report(x, "Decision."+field.Name())
		return
	}
	for name, fields := range guarded {
		if owns(name, fields, field) {
			c.report(x, name+"."+field.Name())
			return
		}
	}
}

// owns reports whether a field, which may have been promoted, is a guarded one.
func owns(name string, fields []string, field *types.Var) bool {
	if field.Pkg() == nil || field.Pkg().Path() != kinds || fields != nil && !slices.Contains(fields, field.Name()) {
		return false
	}
	declared, ok := field.Pkg().Scope().Lookup(name).Type().Underlying().(*types.Struct)
	if !ok {
		return false
	}
	for f := range declared.Fields() {
		if f == field {
			return true
		}
	}
	return false
}

func (c *checker) literal(n *ast.CompositeLit) {
	name := kindOf(c.info.TypeOf(n))
	fields := literals[name]
	for _, e := range n.Elts {
		if kv, ok := e.(*ast.KeyValueExpr); ok {
			if key, ok := kv.Key.(*ast.Ident); ok && slices.Contains(fields, key.Name) {
				c.report(kv, name+"{"+key.Name+": }")
			}
		}
	}
}

func pointee(t types.Type) types.Type {
	if pointer, ok := types.Unalias(t).(*types.Pointer); ok {
		return pointer.Elem()
	}
	return t
}

// kindOf is the name of a guarded type, or empty.
func kindOf(t types.Type) string {
	named, ok := types.Unalias(t).(*types.Named)
	if !ok || named.Obj().Pkg() == nil || named.Obj().Pkg().Path() != kinds {
		return ""
	}
	if _, ok := guarded[named.Obj().Name()]; !ok {
		return ""
	}
	return named.Obj().Name()
}

func (c *checker) report(at ast.Node, what string) {
	c.found = append(c.found, fmt.Sprintf("%s: sets %s", c.fset.Position(at.Pos()), what))
}
