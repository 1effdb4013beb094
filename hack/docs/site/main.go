// Command site renders the documents as HTML. It fails when a link leads nowhere, names
// a heading that is not there, or when a page cannot be reached from docs/README.md.
//
//	cd hack/docs/site && go run . [-root DIRECTORY] [-out DIRECTORY]
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	root := flag.String("root", filepath.Join("..", "..", ".."), "directory of the repository")
	out := flag.String("out", filepath.Join("..", "..", "..", "bin", "docs"), "directory to write to; what is in it is removed")
	flag.Parse()
	if err := run(*root, *out); err != nil {
		fmt.Fprintf(os.Stderr, "site: %v\n", err)
		os.Exit(1)
	}
	fmt.Println(filepath.Join(*out, "index.html"))
}

// run renders the site. Nothing is written when something is wrong with a document.
func run(root, out string) error {
	s, err := read(root)
	if err != nil {
		return err
	}
	files, err := s.render()
	if err != nil {
		return err
	}
	if err := clean(out); err != nil {
		return err
	}
	for name, content := range files {
		full := filepath.Join(out, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil { //nolint:gosec // a site is for everybody
			return err
		}
		if err := os.WriteFile(full, content, 0o644); err != nil { //nolint:gosec // a site is for everybody
			return err
		}
	}
	return nil
}

// clean removes what an earlier run wrote. A directory that holds something else is not touched.
func clean(out string) error {
	entries, err := os.ReadDir(out)
	if os.IsNotExist(err) || err == nil && len(entries) == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(out, marker)); err != nil {
		return fmt.Errorf("%s holds something that this program did not write; name an empty directory with -out", out)
	}
	return os.RemoveAll(out)
}
