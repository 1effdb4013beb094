package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// manifest is the file of an output directory that lists the files that this program wrote.
const manifest = ".written-by-hack-docs-site"

// write replaces the files of an earlier run with these. Every other file stays: a
// directory that holds files and no manifest is refused, and so is a site with a page that
// would replace a file that this program did not write. Nothing outside of the directory
// changes, even when the manifest or a symbolic link names it.
func write(out string, files map[string][]byte) error {
	if err := os.MkdirAll(out, 0o755); err != nil { //nolint:gosec // G301: a site is public
		return err
	}
	root, err := os.OpenRoot(out)
	if err != nil {
		return err
	}
	defer root.Close()
	before, err := written(root, out)
	if err != nil {
		return err
	}
	names := slices.Collect(maps.Keys(files))
	for _, name := range names {
		if _, err := root.Lstat(filepath.FromSlash(name)); err == nil && !slices.Contains(before, name) {
			return fmt.Errorf("%s is not a file that this program wrote: move it away, or name another directory with -out",
				filepath.Join(out, filepath.FromSlash(name)))
		}
	}
	// The manifest names every file before it exists, so an interrupted run can be repeated.
	if err := list(root, append(slices.Clone(before), names...)); err != nil {
		return err
	}
	for _, name := range before {
		if err := remove(root, name); err != nil {
			return err
		}
	}
	if err := add(root, files); err != nil {
		return err
	}
	return list(root, names)
}

// add writes files into the directory.
func add(root *os.Root, files map[string][]byte) error {
	for name, content := range files {
		local := filepath.FromSlash(name)
		if err := root.MkdirAll(filepath.Dir(local), 0o755); err != nil {
			return err
		}
		if err := root.WriteFile(local, content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// written returns the files that an earlier run wrote. A directory that holds files and no
// manifest was not written by this program.
func written(root *os.Root, out string) ([]string, error) {
	content, err := root.ReadFile(manifest)
	if err == nil {
		return strings.FieldsFunc(string(content), func(r rune) bool { return r == '\n' }), nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	entries, err := fs.ReadDir(root.FS(), ".")
	if err == nil && len(entries) > 0 {
		err = fmt.Errorf("%s holds files that this program did not write: remove the directory if you do not need it, "+
			"or name another one with -out", out)
	}
	return nil, err
}

// list writes the manifest.
func list(root *os.Root, names []string) error {
	slices.Sort(names)
	return root.WriteFile(manifest, []byte(strings.Join(slices.Compact(names), "\n")+"\n"), 0o644)
}

// remove removes a file, and the directories above it that are empty then.
func remove(root *os.Root, name string) error {
	if err := root.Remove(filepath.FromSlash(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for dir := path.Dir(name); dir != "." && empty(root, dir); dir = path.Dir(dir) {
		if err := root.Remove(filepath.FromSlash(dir)); err != nil {
			return err
		}
	}
	return nil
}

// empty reports whether the directory exists and holds nothing.
func empty(root *os.Root, dir string) bool {
	entries, err := fs.ReadDir(root.FS(), dir)
	return err == nil && len(entries) == 0
}
