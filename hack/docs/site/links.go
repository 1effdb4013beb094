package main

import (
	"fmt"
	"html/template"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/yuin/goldmark/ast"
)

// link turns a link of a document into a link of the site. If it leads to a page, link also
// returns the source of that page.
func (s *site) link(from *page, destination string) (to, target string, err error) {
	if strings.Contains(destination, ":") || strings.HasPrefix(destination, "//") {
		return destination, "", nil // elsewhere
	}
	name, anchor, _ := strings.Cut(destination, "#")
	source := from.source
	if name != "" {
		source = path.Join(path.Dir(from.source), name)
	}
	var output string
	if p := s.pageAt(source); p != nil {
		if anchor != "" && !p.anchors[anchor] {
			return "", "", fmt.Errorf("%s: the link to %s names a heading that is not there", from.source, destination)
		}
		output, target = p.output, p.source
	} else if output, err = s.file(source); err != nil {
		return "", "", fmt.Errorf("%s: the link to %s leads nowhere: %w", from.source, destination, err)
	}
	if name == "" {
		return "#" + anchor, target, nil
	}
	to = relative(from.output, output)
	if anchor != "" {
		to += "#" + anchor
	}
	return to, target, nil
}

// pageAt is the page of a document, or of the README of a folder.
func (s *site) pageAt(source string) *page {
	if p := s.pages[source]; p != nil {
		return p
	}
	return s.pages[path.Join(source, "README.md")]
}

// file adds a file or a folder of the repository to the site, and returns its place there.
func (s *site) file(source string) (string, error) {
	if strings.HasPrefix(source, "..") {
		return "", fmt.Errorf("%s is outside of the repository", source)
	}
	full := filepath.Join(s.root, filepath.FromSlash(source))
	info, err := os.Stat(full)
	if err != nil {
		return "", fmt.Errorf("there is no %s", source)
	}
	output := path.Join("files", source)
	if !info.IsDir() {
		content, err := os.ReadFile(full)
		s.files[output+".txt"] = content
		return output + ".txt", err
	}
	return s.folder(source, full)
}

// image adds a picture to the site, unchanged.
func (s *site) image(from *page, destination string) (string, error) {
	if strings.Contains(destination, ":") {
		return destination, nil // elsewhere
	}
	source := path.Join(path.Dir(from.source), destination)
	content, err := os.ReadFile(filepath.Join(s.root, filepath.FromSlash(source)))
	if err != nil {
		return "", fmt.Errorf("%s: there is no picture %s", from.source, destination)
	}
	output := path.Join("files", source)
	s.files[output] = content
	return relative(from.output, output), nil
}

// folder adds the files of a folder to the site, with a page that lists them.
func (s *site) folder(source, full string) (string, error) {
	var names []string
	files := os.DirFS(full)
	err := fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(files, name)
		s.files[path.Join("files", source, name)+".txt"] = content
		names = append(names, name)
		return err
	})
	if err != nil {
		return "", err
	}
	output := path.Join("files", source, "index.html")
	var list strings.Builder
	for _, name := range names {
		fmt.Fprintf(&list, "<li><a href=\"%[1]s.txt\">%[1]s</a></li>\n", template.HTMLEscapeString(name))
	}
	s.files[output], err = s.frame(output, source, "<h1>"+template.HTMLEscapeString(source)+"</h1>\n<ul>\n"+list.String()+"</ul>\n")
	return output, err
}

// relative is the relative link from one file of the site to another.
func relative(from, to string) string {
	up := strings.Repeat("../", strings.Count(from, "/"))
	return up + to
}

// shortName is the number of letters that fit on one line of a phone. A name of that length stays on one line.
const shortName = 34

// rewrite marks names that stay on one line, changes the links of a page to those of the site, and returns the pages that
// they lead to.
func (s *site) rewrite(p *page) ([]string, error) {
	var targets []string
	err := ast.Walk(p.tree, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		switch l := n.(type) {
		case *ast.Link:
			to, target, err := s.link(p, string(l.Destination))
			if err != nil {
				return ast.WalkStop, err
			}
			l.Destination = []byte(to)
			if target != "" {
				targets = append(targets, target)
			}
		case *ast.Image:
			to, err := s.image(p, string(l.Destination))
			if err != nil {
				return ast.WalkStop, err
			}
			l.Destination = []byte(to)
		case *ast.CodeSpan:
			if name := plain(l, p.content); len(name) <= shortName && !strings.Contains(name, " ") {
				l.SetAttributeString("class", []byte("name"))
			}
		}
		return ast.WalkContinue, nil
	})
	return targets, err
}
