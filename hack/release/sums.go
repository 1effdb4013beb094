package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// sumsFile has the format of sha256sum --check.
const sumsFile = "SHA256SUMS"

// writeSums writes the checksum of every file in and below a directory, in order of
// the names.
func writeSums(dir string) error {
	var out bytes.Buffer
	files := os.DirFS(dir)
	err := fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || name == sumsFile {
			return err
		}
		content, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		fmt.Fprintf(&out, "%x  %s\n", sha256.Sum256(content), name)
		return nil
	})
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(dir, sumsFile), out.Bytes())
}
