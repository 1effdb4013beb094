package main

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"strings"

	"github.com/yuin/goldmark/ast"
)

//go:embed style.css
var style []byte

//go:embed search.js
var search []byte

//go:embed frame.html
var frameText string

var frameTemplate = template.Must(template.New("frame").Parse(frameText))

// section is a part of the navigation.
type section struct {
	Title string
	Items []item
}

type item struct {
	Title, To string
	Here      bool
}

// render returns the files of the site by name.
func (s *site) render() (map[string][]byte, error) {
	index, err := s.searchIndex() // of the documents as they are
	if err != nil {
		return nil, err
	}
	leads := map[string][]string{}
	var failed []error
	// The navigation needs the links as they are in the document.
	sections := s.navigation()
	for _, source := range s.order {
		targets, err := s.rewrite(s.pages[source])
		if err != nil {
			failed = append(failed, err)
		}
		if err := s.pages[source].drawDiagrams(); err != nil {
			failed = append(failed, err)
		}
		leads[source] = targets
	}
	if len(failed) == 0 { // a broken link is the better explanation
		failed = s.unreachable(leads)
	}
	if len(failed) > 0 {
		return nil, errors.Join(failed...)
	}
	out := map[string][]byte{"style.css": style, "search.js": search, "search-index.js": index}
	for _, source := range s.order {
		p := s.pages[source]
		var body bytes.Buffer
		if err := markdown.Renderer().Render(&body, p.content, p.tree); err != nil {
			return nil, fmt.Errorf("%s: %w", source, err)
		}
		html, err := s.framed(p.output, p.title, body.String(), sections, p.outline())
		if err != nil {
			return nil, fmt.Errorf("%s: %w", source, err)
		}
		out[p.output] = html
	}
	for name, content := range s.files {
		out[name] = content
	}
	return out, nil
}

// heading is a line of a page's outline.
type heading struct {
	Level        int
	Text, Anchor string
}

// outline lists the headings of the second and third level. A page with less than two has
// no outline.
func (p *page) outline() []heading {
	var out []heading
	for n := p.tree.FirstChild(); n != nil; n = n.NextSibling() {
		if h, ok := n.(*ast.Heading); ok && (h.Level == 2 || h.Level == 3) {
			out = append(out, heading{Level: h.Level, Text: plain(h, p.content), Anchor: anchorOf(h)})
		}
	}
	if len(out) < 2 {
		return nil
	}
	return out
}

// anchorOf is the id of a heading.
func anchorOf(h *ast.Heading) string {
	id, _ := h.AttributeString("id")
	text, _ := id.([]byte)
	return string(text)
}

// unreachable lists the pages that cannot be reached from the index.
func (s *site) unreachable(leads map[string][]string) []error {
	seen := map[string]bool{index: true}
	for next := []string{index}; len(next) > 0; {
		var after []string
		for _, source := range next {
			for _, target := range leads[source] {
				if !seen[target] {
					seen[target] = true
					after = append(after, target)
				}
			}
		}
		next = after
	}
	var out []error
	for _, source := range s.order {
		if !seen[source] {
			out = append(out, fmt.Errorf("%s cannot be reached from %s: link to it", source, index))
		}
	}
	return out
}

// navigation is taken from the index: its headings of the second level, and the pages
// that are linked below each.
func (s *site) navigation() []section {
	var out []section
	p := s.pages[index]
	for n := p.tree.FirstChild(); n != nil; n = n.NextSibling() {
		if h, ok := n.(*ast.Heading); ok && h.Level == 2 {
			out = append(out, section{Title: plain(h, p.content)})
			continue
		}
		if len(out) == 0 {
			continue
		}
		last := &out[len(out)-1]
		_ = ast.Walk(n, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
			if l, ok := n.(*ast.Link); ok && entering {
				if _, target, err := s.link(p, string(l.Destination)); err == nil && target != "" {
					last.Items = append(last.Items, item{Title: plain(l, p.content), To: s.pages[target].output})
				}
			}
			return ast.WalkContinue, nil
		})
	}
	return out
}

// frame puts the page around a body.
func (s *site) frame(output, title, body string) ([]byte, error) {
	return s.framed(output, title, body, s.navigation(), nil)
}

func (s *site) framed(output, title, body string, sections []section, outline []heading) ([]byte, error) {
	up := strings.Repeat("../", strings.Count(output, "/"))
	var here []section
	for _, part := range sections {
		copied := section{Title: part.Title}
		for _, i := range part.Items {
			copied.Items = append(copied.Items, item{Title: i.Title, To: up + i.To, Here: i.To == output})
		}
		here = append(here, copied)
	}
	var out bytes.Buffer
	err := frameTemplate.Execute(&out, map[string]any{
		"Title": title, "Up": up, "Sections": here, "Outline": outline,
		"Body": template.HTML(body), //nolint:gosec // G203: made by goldmark, which leaves out raw HTML
	})
	return out.Bytes(), err
}
