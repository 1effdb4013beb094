package main

import (
	"bytes"
	"context"
	"fmt"
	"html"
	"regexp"
	"strings"

	"github.com/goccy/go-graphviz"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/renderer"
	"github.com/yuin/goldmark/util"
)

// kindDiagram is the node of a drawn diagram.
var kindDiagram = ast.NewNodeKind("Diagram")

// diagram is a Mermaid diagram as SVG.
type diagram struct {
	ast.BaseBlock
	svg []byte
}

// Kind implements ast.Node.
func (d *diagram) Kind() ast.NodeKind { return kindDiagram }

// Dump implements ast.Node.
func (d *diagram) Dump(source []byte, level int) { ast.DumpHelper(d, source, level, nil, nil) }

// diagramRenderer writes diagrams into a page.
type diagramRenderer struct{}

// RegisterFuncs implements renderer.NodeRenderer.
func (diagramRenderer) RegisterFuncs(r renderer.NodeRendererFuncRegisterer) {
	r.Register(kindDiagram, func(w util.BufWriter, _ []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
		if d, ok := n.(*diagram); ok && entering {
			_, err := fmt.Fprintf(w, "<figure class=\"diagram\">%s</figure>\n", d.svg)
			return ast.WalkSkipChildren, err
		}
		return ast.WalkContinue, nil
	})
}

// drawDiagrams replaces the Mermaid blocks of a page by pictures.
func (p *page) drawDiagrams() error {
	for n := p.tree.FirstChild(); n != nil; {
		next := n.NextSibling()
		if block, ok := n.(*ast.FencedCodeBlock); ok && string(block.Language(p.content)) == "mermaid" {
			svg, err := draw(string(block.Lines().Value(p.content)))
			if err != nil {
				return fmt.Errorf("%s: a diagram cannot be drawn: %w", p.source, err)
			}
			p.tree.ReplaceChild(p.tree, n, &diagram{svg: svg})
		}
		n = next
	}
	return nil
}

// transition is a line of a state diagram.
type transition struct{ from, to, label string }

var transitionLine = regexp.MustCompile(`^(\[\*\]|\w+) --> (\[\*\]|\w+)(?:: (.+))?$`)

// transitions reads a state diagram. Graphviz draws no other kind of Mermaid diagram, so any
// other line is an error.
func transitions(text string) ([]transition, error) {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if lines[0] != "stateDiagram-v2" {
		return nil, fmt.Errorf("it begins with %q: only stateDiagram-v2 can be drawn; use a picture", lines[0])
	}
	var out []transition
	for _, line := range lines[1:] {
		m := transitionLine.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil {
			return nil, fmt.Errorf("the line %q is not STATE --> STATE: LABEL", line)
		}
		out = append(out, transition{from: m[1], to: m[2], label: m[3]})
	}
	return out, nil
}

// dot writes the transitions in Graphviz's language.
func dot(all []transition) string {
	var out strings.Builder
	out.WriteString("digraph {\nbgcolor=transparent; ranksep=0.45;\n" +
		"node [shape=box, style=rounded, fontname=Helvetica, fontsize=13, height=0.4];\n" +
		"edge [fontname=Helvetica, fontsize=11, arrowsize=0.8];\n" +
		"begin [shape=circle, style=filled, label=\"\", width=0.15, height=0.15, fixedsize=true, fillcolor=black];\n" +
		"end [shape=doublecircle, style=filled, label=\"\", width=0.12, height=0.12, fixedsize=true, fillcolor=black];\n")
	name := func(state, special string) string {
		if state == "[*]" {
			return special
		}
		return fmt.Sprintf("%q", state)
	}
	for _, t := range all {
		fmt.Fprintf(&out, "%s -> %s [label=%q];\n", name(t.from, "begin"), name(t.to, "end"), " "+t.label+" ")
	}
	out.WriteString("}\n")
	return out.String()
}

// description is the text alternative of a diagram.
func description(all []transition) string {
	var steps []string
	for _, t := range all {
		from, to := t.from, t.to
		if from == "[*]" {
			from = "the start"
		}
		if to == "[*]" {
			to = "the end"
		}
		steps = append(steps, strings.TrimSpace(fmt.Sprintf("from %s to %s: %s", from, to, t.label)))
	}
	return "State diagram: " + strings.Join(steps, "; ")
}

var (
	svgTitle = regexp.MustCompile(`<title>[^<]*</title>\n?`)
	svgID    = regexp.MustCompile(` id="[^"]*"`)
	svgNote  = regexp.MustCompile(`(?s)<!--.*?-->\n?`)
)

// draw returns a Mermaid diagram as SVG in the colours of the page that it is in.
func draw(text string) ([]byte, error) {
	all, err := transitions(text)
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	g, err := graphviz.New(ctx)
	if err != nil {
		return nil, err
	}
	defer g.Close()
	graph, err := graphviz.ParseBytes([]byte(dot(all)))
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := g.Render(ctx, graph, graphviz.SVG, &out); err != nil {
		return nil, err
	}
	_, svg, ok := strings.Cut(out.String(), "<svg ")
	if !ok {
		return nil, fmt.Errorf("graphviz returned no SVG")
	}
	svg = svgNote.ReplaceAllString(svgID.ReplaceAllString(svgTitle.ReplaceAllString(svg, ""), ""), "")
	svg = strings.NewReplacer(`"black"`, `"currentColor"`, `<text `, `<text fill="currentColor" `).Replace(svg)
	return []byte(`<svg role="img" aria-label="` + html.EscapeString(description(all)) + `" ` + svg), nil
}
