// Command site renders the documents as HTML: with search, an outline of each page, and
// diagrams as pictures. The site needs no server and no network. It fails when a link leads
// nowhere or names a heading that is not there, when a page cannot be reached from
// docs/README.md, and when a diagram cannot be drawn.
//
// It is not Hugo, because these documents are read at a forge first: their links, anchors,
// pictures and Mermaid diagrams follow the forge's rules, and each of them is checked here.
// Hugo would need a template for each, a JavaScript library for the diagrams, and minutes to
// compile.
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
	out := flag.String("out", filepath.Join("..", "..", "..", "bin", "docs"), "directory to write to: a new one, or one that this program wrote")
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
	return write(out, files)
}
