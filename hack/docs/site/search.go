package main

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/yuin/goldmark/ast"
)

// entry is a section of a page in the index that search.js reads.
type entry struct {
	Page    string `json:"p"`
	Title   string `json:"t"`
	Anchor  string `json:"a,omitempty"`
	Heading string `json:"h,omitempty"`
	Text    string `json:"x"`
}

// searchIndex is a script, because a page that is opened from a disk can load a script and
// no other file.
func (s *site) searchIndex() ([]byte, error) {
	var all []entry
	for _, source := range s.order {
		all = append(all, s.pages[source].entries()...)
	}
	list, err := json.Marshal(all)
	return []byte("searchIndex(" + string(list) + ");\n"), err
}

// entries returns the sections of a page: the text before its first heading of the second
// level, and each section of the second and third level.
func (p *page) entries() []entry {
	out := []entry{{Page: p.output, Title: p.title}}
	var section bytes.Buffer
	end := func() { out[len(out)-1].Text = strings.Join(strings.Fields(section.String()), " ") }
	for n := p.tree.FirstChild(); n != nil; n = n.NextSibling() {
		if h, ok := n.(*ast.Heading); ok {
			if h.Level == 2 || h.Level == 3 {
				end()
				section.Reset()
				out = append(out, entry{Page: p.output, Title: p.title, Anchor: anchorOf(h), Heading: plain(h, p.content)})
			}
			continue
		}
		words(n, p.content, &section)
	}
	end()
	return out
}

// words writes the words of a node, those of code blocks too.
func words(n ast.Node, content []byte, out *bytes.Buffer) {
	switch t := n.(type) {
	case *ast.Text:
		out.Write(t.Segment.Value(content))
		if t.SoftLineBreak() || t.HardLineBreak() {
			out.WriteByte(' ')
		}
		return
	case *ast.AutoLink:
		out.Write(t.Label(content))
	case *ast.FencedCodeBlock, *ast.CodeBlock:
		out.Write(t.Lines().Value(content))
	}
	for c := n.FirstChild(); c != nil; c = c.NextSibling() {
		words(c, content, out)
	}
	if n.Type() == ast.TypeBlock {
		out.WriteByte('\n')
	}
}
