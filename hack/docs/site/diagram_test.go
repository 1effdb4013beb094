package main

import (
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

const states = "stateDiagram-v2\n    [*] --> Minting: reserve\n    Minting --> Active: \"adopt\" <now>\n    Active --> [*]\n"

func TestDiagramIsDrawn(t *testing.T) {
	svg, err := draw(states)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{
		`role="img" aria-label="State diagram: from the start to Minting: reserve; from Minting to Active: &#34;adopt&#34; &lt;now&gt;;`,
		">Minting</text>", ">Active</text>", "reserve", `stroke="currentColor"`,
	} {
		if !strings.Contains(string(svg), part) {
			t.Errorf("%s is missing in\n%s", part, svg)
		}
	}
	// The start and the end are small dots.
	radii := regexp.MustCompile(` rx="([0-9.]+)"`).FindAllStringSubmatch(string(svg), -1)
	for _, m := range radii {
		if r, err := strconv.ParseFloat(m[1], 64); err != nil || r > 10 {
			t.Errorf("a dot has the radius %s", m[1])
		}
	}
	if len(radii) < 2 {
		t.Errorf("%d dots in\n%s", len(radii), svg)
	}
	// Ids would clash with other diagrams of the page, and black is invisible in the dark theme.
	for _, part := range []string{` id="`, `"black"`, "<title>", "<!--"} {
		if strings.Contains(string(svg), part) {
			t.Errorf("%s is in\n%s", part, svg)
		}
	}
	for decoder := xml.NewDecoder(strings.NewReader(string(svg))); ; {
		if _, err := decoder.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("it is not XML: %v\n%s", err, svg)
		}
	}
}

func TestDiagramIsInItsPage(t *testing.T) {
	files := small()
	files["docs/tasks/one.md"] = "# One\n\n```mermaid\n" + states + "```\n\n```sh\ntrue\n```\n"
	one := string(rendered(t, files)["tasks/one.html"])
	if !strings.Contains(one, `<figure class="diagram"><svg role="img"`) || strings.Contains(one, "stateDiagram") {
		t.Errorf("the diagram is not drawn in\n%s", one)
	}
	if !strings.Contains(one, `<code class="language-sh">true`) {
		t.Errorf("the code block is missing in\n%s", one)
	}
}

// A diagram that cannot be drawn is not rendered as a code block.
func TestUnknownDiagramIsRefused(t *testing.T) {
	for text, says := range map[string]string{
		"flowchart LR\nA --> B\n":                 "only stateDiagram-v2 can be drawn",
		"stateDiagram-v2\n  state A {\n":          "STATE --> STATE",
		"stateDiagram-v2\n  A --> B\n  note X\n":  "STATE --> STATE",
		"stateDiagram-v2\n  \"x\" --> B: label\n": "STATE --> STATE",
	} {
		files := small()
		files["docs/tasks/one.md"] = "# One\n\n```mermaid\n" + text + "```\n"
		err := run(repository(t, files), t.TempDir())
		if err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "docs/tasks/one.md") {
			t.Errorf("%q: %v", text, err)
		}
	}
}
