package main

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"maps"
	"path/filepath"
	"slices"
	"strings"
)

// ordered are the files of packages that are read from the top down. A file uses only what
// the files after it declare, and each file of the package is listed.
var ordered = map[string][]string{
	module + "/controllers/apitoken": {
		"controller.go", "setup.go", // a reconcile, and what causes one
		"apply.go",                                         // one action
		"attempt.go", "update.go", "purge.go", "lookup.go", // the actions that call a provider
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
	var found []string
	present := map[string]bool{}
	for _, f := range files {
		present[name(f.Pos())] = true
	}
	for _, file := range slices.Sorted(maps.Keys(present)) {
		if !slices.Contains(order, file) {
			found = append(found, fmt.Sprintf("%s: %s has no place in the order of its package: add it to ordered in hack/verifyledger/order.go", path, file))
		}
	}
	for _, file := range order {
		if !present[file] {
			found = append(found, fmt.Sprintf("%s: %s does not exist: remove it from ordered in hack/verifyledger/order.go", path, file))
		}
	}
	var up []string
	for id, used := range uses {
		if used.Pkg() == nil || used.Pkg().Path() != path || !used.Pos().IsValid() {
			continue
		}
		from, to := name(id.Pos()), name(used.Pos())
		if i, j := slices.Index(order, from), slices.Index(order, to); i >= 0 && j >= 0 && j < i {
			up = append(up, fmt.Sprintf("%s: uses %s of %s, which comes before %s: move one of them, so that a file uses only the files after it",
				fset.Position(id.Pos()), used.Name(), to, from))
		}
	}
	slices.SortFunc(up, strings.Compare)
	return append(found, up...)
}
