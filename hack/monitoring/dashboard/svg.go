package dashboard

// The picture in docs/metrics.md is a drawing of the layout, not a screenshot. Only Grafana
// renders its dashboards, and Grafana is a server with a web application, which no go.mod can
// pin. A screenshot would also grow old: the drawing is generated with the dashboard.

import (
	"bytes"
	"encoding/xml"
	"fmt"
)

// The size of a cell of the grid and of the picture's margin.
const (
	cellWidth, cellHeight = 42, 22
	margin, top           = 16, 44
)

// escape makes text safe in XML.
func escape(s string) string {
	var out bytes.Buffer
	if err := xml.EscapeText(&out, []byte(s)); err != nil {
		panic(err) // a buffer takes everything
	}
	return out.String()
}

// SVG returns a drawing of the layout: which panels there are, and where. It says that it is
// one, because its lines look like data.
func SVG() []byte {
	headings, panels, height := place()
	w, h := 2*margin+columns*cellWidth, top+int(height)*cellHeight+margin
	var out bytes.Buffer
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" width="%[1]d" height="%[2]d" viewBox="0 0 %[1]d %[2]d" `, w, h)
	out.WriteString(`font-family="Helvetica, Arial, sans-serif">` + "\n")
	out.WriteString("<title>A drawing of the Grafana dashboard of the apitoken-operator: its panels, not data</title>\n")
	fmt.Fprintf(&out, `<rect width="%d" height="%d" fill="#f4f5f7"/>`+"\n", w, h)
	fmt.Fprintf(&out, `<text x="%d" y="30" font-size="18" font-weight="bold" fill="#24292e">API tokens</text>`+"\n", margin)
	fmt.Fprintf(&out, `<text x="%d" y="30" font-size="12" text-anchor="end" fill="#464c54">%s</text>`+"\n", w-margin,
		"A drawing: the panels are those of the dashboard, the lines and numbers are not data.")
	for _, row := range headings {
		fmt.Fprintf(&out, `<text x="%d" y="%d" font-size="13" font-weight="bold" fill="#464c54">%s</text>`+"\n",
			margin, top+int(row.y)*cellHeight+16, escape(row.title))
	}
	for _, p := range panels {
		p.draw(&out)
	}
	out.WriteString("</svg>\n")
	return out.Bytes()
}

// draw draws the frame of a panel, its title, its description, and a sketch of its kind.
func (p placed) draw(out *bytes.Buffer) {
	x, y := margin+int(p.x)*cellWidth, top+int(p.y)*cellHeight
	w, h := int(p.width)*cellWidth-6, int(p.height)*cellHeight-6
	fmt.Fprintf(out, `<rect x="%d" y="%d" width="%d" height="%d" rx="3" fill="#ffffff" stroke="#d0d5da"/>`+"\n", x, y, w, h)
	fmt.Fprintf(out, `<text x="%d" y="%d" font-size="12" font-weight="bold" fill="#24292e">%s</text>`+"\n", x+8, y+18, escape(p.title))
	if p.kind == number {
		fmt.Fprintf(out, `<text x="%d" y="%d" font-size="26" text-anchor="middle" fill="#73808c">n</text>`+"\n", x+w/2, y+h-20)
		return
	}
	line := y + 34
	for _, part := range wrapped(p.about, w/6) {
		fmt.Fprintf(out, `<text x="%d" y="%d" font-size="10.5" fill="#6a737d">%s</text>`+"\n", x+8, line, escape(part))
		line += 13
	}
	switch p.kind {
	case overview:
		for at := line + 6; at < y+h-10; at += 16 {
			fmt.Fprintf(out, `<path d="M%d %dh%d" stroke="#e1e4e8"/>`+"\n", x+8, at, w-16)
		}
	case timelines:
		for i, at := 0, line+6; at < y+h-18; i, at = i+1, at+22 {
			fmt.Fprintf(out, `<rect x="%d" y="%d" width="%d" height="14" fill="#73bf69"/>`+"\n", x+8, at, w-16)
			fmt.Fprintf(out, `<rect x="%d" y="%d" width="%d" height="14" fill="#e02f44"/>`+"\n", x+8+w/3+i*w/6, at, w/20)
		}
	case lines, stacked, number:
		low, tall := y+h-12, y+h-12-line
		fill := "none"
		if p.kind == stacked {
			fill = "#c8defc"
		}
		fmt.Fprintf(out, `<path d="M%d %dl%d %dl%d %dl%d %dl%d %d" fill="%s" stroke="#5794f2" stroke-width="1.5"/>`+"\n",
			x+8, low, (w-16)/4, -tall/2, (w-16)/4, tall/4, (w-16)/4, -tall/2, (w-16)/4, 3*tall/4, fill)
	}
}

// wrapped breaks a text into at most two lines of about that many letters.
func wrapped(s string, letters int) []string {
	if len(s) <= letters {
		return []string{s}
	}
	for at := letters; at > 0; at-- {
		if s[at] == ' ' {
			return append([]string{s[:at]}, s[at+1:])
		}
	}
	return []string{s}
}
