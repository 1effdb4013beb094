package dashboard

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/promql/parser"

	"apitoken.dev/operator/hack/monitoring/rules"
)

// documented returns the metrics in docs/metrics.md.
func documented(t *testing.T) map[string]bool {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "metrics.md"))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]bool{}
	for _, match := range regexp.MustCompile("(?m)^\\| `([a-z_]+)").FindAllStringSubmatch(string(content), -1) {
		out[match[1]] = true
	}
	return out
}

// selected returns the metrics that an expression reads.
func selected(t *testing.T, expr string) []string {
	t.Helper()
	expr = strings.ReplaceAll(expr, "$__rate_interval", "5m")
	parsed, err := parser.NewParser(parser.Options{}).ParseExpr(expr)
	if err != nil {
		t.Fatalf("%s: %v", expr, err)
	}
	var out []string
	parser.Inspect(parsed, func(node parser.Node, _ []parser.Node) error {
		if selector, ok := node.(*parser.VectorSelector); ok {
			out = append(out, strings.TrimSuffix(selector.Name, "_bucket"))
		}
		return nil
	})
	return out
}

// docs/metrics.md lists every metric that the dashboard and the alerts read. With two exceptions, the
// dashboard shows every metric of the operator.
func TestEveryMetricExists(t *testing.T) {
	known := documented(t)
	shown := map[string]bool{}
	_, panels, _ := place()
	for _, p := range panels {
		if len(p.queries) == 0 || p.title == "" || p.about == "" {
			t.Errorf("panel %q lacks a query or a sentence", p.title)
		}
		for _, q := range p.queries {
			for _, metric := range selected(t, q.expr) {
				shown[metric] = true
				if !known[metric] {
					t.Errorf("panel %q reads %q, which docs/metrics.md does not list", p.title, metric)
				}
			}
		}
	}
	for _, a := range rules.Alerts {
		for _, metric := range selected(t, a.Expr) {
			if !known[metric] {
				t.Errorf("alert %s reads %q, which docs/metrics.md does not list", a.Name, metric)
			}
		}
	}
	for metric := range known {
		if strings.HasPrefix(metric, "apitoken_") && !shown[metric] && metric != "apitoken_retained_total" && metric != "apitoken_overlap_seconds" {
			t.Errorf("the dashboard does not show %s", metric)
		}
	}
}

// Panels also stay within the width of the dashboard.
func TestPanelsDoNotOverlap(t *testing.T) {
	headings, panels, height := place()
	taken := map[[2]uint32]string{}
	take := func(title string, x, y, w, h uint32) {
		for i := x; i < x+w; i++ {
			for j := y; j < y+h; j++ {
				if other, ok := taken[[2]uint32{i, j}]; ok || i >= columns || j >= height {
					t.Fatalf("%q does not fit at %d, %d: there is %q", title, i, j, other)
				}
				taken[[2]uint32{i, j}] = title
			}
		}
	}
	for _, h := range headings {
		take(h.title, 0, h.y, columns, 1)
	}
	for _, p := range panels {
		take(p.title, p.x, p.y, p.width, p.height)
	}
}

// Panels are in the order of their position, have unique ids, and have a query.
func TestDashboardIsValidForGrafana(t *testing.T) {
	content, err := Render()
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		UID    string `json:"uid"`
		Panels []struct {
			ID      int    `json:"id"`
			Type    string `json:"type"`
			Title   string `json:"title"`
			GridPos struct{ H, W, X, Y uint32 }
			Targets []struct {
				Expr string `json:"expr"`
			} `json:"targets"`
		} `json:"panels"`
	}
	if err := json.Unmarshal(content, &board); err != nil {
		t.Fatal(err)
	}
	headings, panels, _ := place()
	if board.UID != uid || len(board.Panels) != len(panels)+len(headings) {
		t.Fatalf("%s has %d panels, want %d", board.UID, len(board.Panels), len(panels)+len(headings))
	}
	ids := map[int]bool{}
	var last uint32
	for _, p := range board.Panels {
		if ids[p.ID] {
			t.Errorf("two panels have the id %d", p.ID)
		}
		ids[p.ID] = true
		if p.GridPos.Y < last {
			t.Errorf("%q is at %d, above what comes before it", p.Title, p.GridPos.Y)
		}
		last = p.GridPos.Y
		if p.Type != "row" && (len(p.Targets) == 0 || p.Targets[0].Expr == "") {
			t.Errorf("%q has no query", p.Title)
		}
	}
}

// The picture has no data, and a visible note says so.
func TestSVGSaysThatItIsADrawing(t *testing.T) {
	if !strings.Contains(string(SVG()), ">A drawing: the panels are those of the dashboard, the lines and numbers are not data.</text>") {
		t.Error("a reader takes the drawing for data")
	}
}

func TestSVGIsValidXML(t *testing.T) {
	d := xml.NewDecoder(strings.NewReader(string(SVG())))
	elements := 0
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := token.(xml.StartElement); ok {
			elements++
		}
	}
	if _, panels, _ := place(); elements < 2*len(panels) {
		t.Errorf("%d elements for %d panels", elements, len(panels))
	}
}
