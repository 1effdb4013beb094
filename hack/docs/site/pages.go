package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"unicode"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/renderer"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
)

// index is the document that the site begins with.
const index = "docs/README.md"

// outside are the documents outside of docs that are pages too.
var outside = []string{"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"}

// page is one document.
type page struct {
	// source is its path in the repository, output that in the site; both with slashes.
	source, output string
	title          string
	content        []byte
	tree           ast.Node
	// anchors are the ids of its headings.
	anchors map[string]bool
}

// site is all pages, by source.
type site struct {
	root  string
	pages map[string]*page
	// order is that of the sources.
	order []string
	// files are the other files that pages link to.
	files map[string][]byte
}

var markdown = goldmark.New(
	goldmark.WithExtensions(extension.GFM),
	goldmark.WithParserOptions(parser.WithAutoHeadingID()),
	goldmark.WithRendererOptions(renderer.WithNodeRenderers(util.Prioritized(diagramRenderer{}, 500))),
)

// read reads and parses all documents.
func read(root string) (*site, error) {
	s := &site{root: root, pages: map[string]*page{}, files: map[string][]byte{}}
	sources, err := sources(root)
	if err != nil {
		return nil, err
	}
	for _, source := range sources {
		content, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(source)))
		if err != nil {
			return nil, err
		}
		s.order = append(s.order, source)
		s.pages[source] = parsePage(source, content)
	}
	if s.pages[index] == nil {
		return nil, fmt.Errorf("there is no %s in %s", index, root)
	}
	return s, nil
}

func sources(root string) ([]string, error) {
	var out []string
	for _, name := range outside {
		if _, err := os.Stat(filepath.Join(root, name)); err == nil {
			out = append(out, name)
		}
	}
	err := filepath.WalkDir(filepath.Join(root, "docs"), func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(file) != ".md" {
			return err
		}
		name, err := filepath.Rel(root, file)
		out = append(out, filepath.ToSlash(name))
		return err
	})
	return out, err
}

func parsePage(source string, content []byte) *page {
	p := &page{source: source, output: outputOf(source), title: source, content: content, anchors: map[string]bool{}}
	ids := &forgeIDs{taken: p.anchors, seen: map[string]int{}}
	p.tree = markdown.Parser().Parse(text.NewReader(content), parser.WithContext(parser.NewContext(parser.WithIDs(ids))))
	for n := p.tree.FirstChild(); n != nil; n = n.NextSibling() {
		if h, ok := n.(*ast.Heading); ok && h.Level == 1 {
			p.title = plain(h, content)
			break
		}
	}
	return p
}

// outputOf is the path of a document in the site: docs/README.md is the index, other READMEs are the
// index of their folder, and documents outside of docs go into a separate folder.
func outputOf(source string) string {
	name, inside := strings.CutPrefix(source, "docs/")
	if !inside {
		name = "project/" + source
	}
	name = strings.TrimSuffix(name, ".md")
	if dir, file := path.Split(name); file == "README" && inside {
		return dir + "index.html"
	}
	return strings.ToLower(name) + ".html"
}

// plain is the text of a node without its marks.
func plain(n ast.Node, content []byte) string {
	var out bytes.Buffer
	for c := n.FirstChild(); c != nil; c = c.NextSibling() {
		switch t := c.(type) {
		case *ast.Text:
			out.Write(t.Segment.Value(content))
		default:
			out.WriteString(plain(c, content))
		}
	}
	return out.String()
}

// forgeIDs names headings as forges do, so that a link works here and there.
type forgeIDs struct {
	taken map[string]bool
	seen  map[string]int
}

// Generate implements parser.IDs.
func (f *forgeIDs) Generate(value []byte, _ ast.NodeKind) []byte {
	slug := strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsNumber(r):
			return unicode.ToLower(r)
		}
		return -1
	}, strings.TrimSpace(linkText(string(value))))
	id := slug
	if n := f.seen[slug]; n > 0 {
		id = fmt.Sprintf("%s-%d", slug, n)
	}
	f.seen[slug]++
	f.taken[id] = true
	return []byte(id)
}

// linkText replaces a link in a heading by its text.
func linkText(title string) string {
	for {
		before, rest, ok := strings.Cut(title, "](")
		if !ok {
			return title
		}
		_, after, _ := strings.Cut(rest, ")")
		title = strings.Replace(before, "[", "", 1) + after
	}
}

// Put implements parser.IDs.
func (f *forgeIDs) Put(value []byte) { f.taken[string(value)] = true }
