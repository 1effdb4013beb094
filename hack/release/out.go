package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// prepare creates an empty directory for a release. It empties a directory below bin of the
// checkout, which only builds write to. Any other directory must not contain files.
func prepare(root, out string) error {
	ours, err := belowBin(root, out)
	if err != nil {
		return err
	}
	if ours {
		err = os.RemoveAll(out)
	} else if entries, failed := os.ReadDir(out); len(entries) > 0 {
		err = fmt.Errorf("%s holds files: empty it, or name another directory with -out", out)
	} else if failed != nil && !os.IsNotExist(failed) {
		err = failed
	}
	if err != nil {
		return err
	}
	return os.MkdirAll(out, 0o755) //nolint:gosec // G301: a release is public
}

// belowBin reports whether a directory is below bin of the checkout.
func belowBin(root, out string) (bool, error) {
	bin, err := filepath.Abs(filepath.Join(root, "bin"))
	if err != nil {
		return false, err
	}
	full, err := filepath.Abs(out)
	return strings.HasPrefix(full, bin+string(filepath.Separator)), err
}
