package main

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"path/filepath"
	"slices"
)

// ordered are the files of packages that are read from the top down. A file uses only what
// the files after it declare, and each file of the package is listed.
var ordered = map[string][]string{
	module + "/controllers/apitoken": {
		"controller.go", "setup.go", // a reconcile, and what causes one
		"apply.go",                                          // one action
		"attempt.go", "update.go", "revoke.go", "lookup.go", // the actions that call a provider
		"strategy.go", "manual.go", // minted and manual credentials
		"ledger.go", "status.go", // what is recorded
		"connect.go", "events.go", // what all of them use
		"reconciler.go", // the types
	},
	module + "/hack/verifyledger/testdata/order": {"top.go", "middle.go", "bottom.go"},
}

// checkOrder returns the uses that point from a file to one that comes before it in
// ordered, and the files that are missing on either side. It ignores packages without an
// order.
func checkOrder(path string, fset *token.FileSet, files []*ast.File, uses map[*ast.Ident]types.Object) []string {
	order, ok := ordered[path]
	if !ok {
		return nil
	}
	name := func(at token.Pos) string { return filepath.Base(fset.Position(at).Filename) }
	present := make([]string, 0, len(files))
	for _, f := range files {
		present = append(present, name(f.Pos()))
	}
	var found []string
	for id, used := range uses {
		if used.Pkg() == nil || used.Pkg().Path() != path || !used.Pos().IsValid() {
			continue
		}
		from, to := name(id.Pos()), name(used.Pos())
		if i, j := slices.Index(order, from), slices.Index(order, to); 0 <= j && j < i {
			found = append(found, fmt.Sprintf("%s: uses %s of %s, which comes before %s: move one of them, so that a file uses only the files after it",
				fset.Position(id.Pos()), used.Name(), to, from))
		}
	}
	slices.Sort(found)
	return append(misplaced(path, order, present), found...)
}

// misplaced returns the files of a package that have no place in its order, and the files of
// the order that do not exist.
func misplaced(path string, order, present []string) []string {
	var found []string
	for _, file := range present {
		if !slices.Contains(order, file) {
			found = append(found, fmt.Sprintf("%s: %s has no place in the order of its package: add it to ordered in hack/verifyledger/order.go", path, file))
		}
	}
	for _, file := range order {
		if !slices.Contains(present, file) {
			found = append(found, fmt.Sprintf("%s: %s does not exist: remove it from ordered in hack/verifyledger/order.go", path, file))
		}
	}
	return found
}
