package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A release deletes only files in a directory below bin of the checkout, and none of the user.
func TestReleaseRemovesOnlyItsOwnFiles(t *testing.T) {
	root, elsewhere := t.TempDir(), t.TempDir()
	for dir, kept := range map[string]bool{
		filepath.Join(root, "bin", "release"):             false,
		filepath.Join(root, "bin"):                        true,
		filepath.Join(root, "binary"):                     true,
		filepath.Join(root, "bin", "..", "charts"):        true,
		filepath.Join(elsewhere, "documents"):             true,
		filepath.Join(root, "bin", "release", "..", ".."): true,
	} {
		file := filepath.Join(dir, "SHA256SUMS")
		if err := os.MkdirAll(dir, 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte("mine"), 0o600); err != nil {
			t.Fatal(err)
		}
		err := prepare(root, dir)
		if kept && (err == nil || !strings.Contains(err.Error(), "holds files")) || !kept && err != nil {
			t.Errorf("%s: %v", dir, err)
		}
		if _, err := os.Stat(file); (err == nil) != kept {
			t.Errorf("%s: kept %v, want %v", file, err == nil, kept)
		}
	}
	fresh := filepath.Join(elsewhere, "new", "release")
	if err := prepare(root, fresh); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(fresh); err != nil {
		t.Error(err)
	}
}
