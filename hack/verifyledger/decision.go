package main

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strings"
)

// decided are the fields of a plan.Decision that only internal/plan sets.
var decided = []string{"State", "Reason"}

// carriesOut reports whether a package carries out what internal/plan decides, and so
// chooses no reason itself. The controller of providers decides without it.
func carriesOut(path string) bool {
	return strings.HasPrefix(path, module+"/controllers/") && path != module+"/controllers/tokenprovider" ||
		strings.HasPrefix(path, module+"/hack/verifyledger/testdata/")
}

// decides looks at a node of a package that decides nothing. It reports whether to look at
// the nodes in it.
func (c *checker) decides(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.CompositeLit:
		c.decision(n)
	case *ast.Ident:
		c.reason(n)
	case *ast.BasicLit:
		c.text(n)
	case *ast.GenDecl:
		return n.Tok != token.CONST // an event can have the name of a reason
	}
	return true
}

// decision looks at a literal of a plan.Decision.
func (c *checker) decision(n *ast.CompositeLit) {
	if !isDecision(c.info.TypeOf(n)) {
		return
	}
	for _, e := range n.Elts {
		kv, ok := e.(*ast.KeyValueExpr)
		if !ok {
			c.report(e, "Decision{}")
			return
		}
		if key, ok := kv.Key.(*ast.Ident); ok && slices.Contains(decided, key.Name) {
			c.report(kv, "Decision{"+key.Name+": }")
		}
	}
}

// reason looks at a name: it may be a reason of a condition.
func (c *checker) reason(n *ast.Ident) {
	used, ok := c.info.Uses[n].(*types.Const)
	if ok && used.Pkg() != nil && used.Pkg().Path() == kinds && strings.HasPrefix(used.Name(), "Reason") {
		c.report(n, "v1alpha1."+used.Name())
	}
}

// text looks at a string: it may be a reason of a condition.
func (c *checker) text(n *ast.BasicLit) {
	if n.Kind == token.STRING && c.reasons[n.Value] {
		c.report(n, "the reason "+n.Value)
	}
}

// reasonsOf returns the reasons of conditions, quoted, that a package can import.
func reasonsOf(p *types.Package) map[string]bool {
	out := map[string]bool{}
	for _, imported := range p.Imports() {
		if imported.Path() != kinds {
			continue
		}
		for _, name := range imported.Scope().Names() {
			if reason, ok := imported.Scope().Lookup(name).(*types.Const); ok && strings.HasPrefix(name, "Reason") {
				out[reason.Val().ExactString()] = true
			}
		}
	}
	return out
}

func isDecision(t types.Type) bool {
	named, ok := types.Unalias(pointee(t)).(*types.Named)
	return ok && named.Obj().Pkg() != nil && named.Obj().Pkg().Path() == rules && named.Obj().Name() == "Decision"
}
