// Package markdown finds the documents of this repository.
package markdown

import (
	"io/fs"
	"path/filepath"
	"strings"
)

// Each calls a function with the path of each Markdown file below root, in lexical order,
// and stops at the first error. Hidden directories, bin and testdata are left out: they
// are not part of the sources.
func Each(root string, do func(path string) error) error {
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && path != root && (strings.HasPrefix(entry.Name(), ".") || entry.Name() == "bin" || entry.Name() == "testdata"):
			return filepath.SkipDir
		case entry.IsDir() || filepath.Ext(path) != ".md":
			return nil
		}
		return do(path)
	})
}
