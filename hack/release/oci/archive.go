package oci

import (
	"archive/tar"
	"io/fs"
	"os"

	"apitoken.dev/operator/hack/release/image"
)

// Archive writes the layout as a tar archive, as `ctr images import` reads it. Times and owners in it are always the same.
func (r Release) Archive(file string) (err error) {
	dir, err := os.MkdirTemp("", "oci-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := r.Write(dir); err != nil {
		return err
	}
	out, err := os.OpenFile(file, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644) //nolint:gosec // G302: a release is public
	if err != nil {
		return err
	}
	defer func() {
		if closed := out.Close(); err == nil {
			err = closed
		}
	}()
	t := tar.NewWriter(out)
	if err := addAll(t, os.DirFS(dir)); err != nil {
		return err
	}
	return t.Close()
}

// addAll adds files in order of their names.
func addAll(t *tar.Writer, files fs.FS) error {
	return fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || name == "." {
			return err
		}
		header := &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Format: tar.FormatUSTAR,
			ModTime: image.Epoch(), Uname: "root", Gname: "root"}
		if entry.IsDir() {
			header.Typeflag, header.Name, header.Mode = tar.TypeDir, name+"/", 0o755
			return t.WriteHeader(header)
		}
		content, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		header.Size = int64(len(content))
		if err := t.WriteHeader(header); err != nil {
			return err
		}
		_, err = t.Write(content)
		return err
	})
}
