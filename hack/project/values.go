package main

import (
	"fmt"
	"regexp"
	"strings"
)

// value is one line of hack/project.env.
type value struct{ name, text string }

var (
	assignment = regexp.MustCompile(`^([A-Z][A-Z_]*)=([A-Za-z0-9._~:/@+-]+)$`)
	fence      = regexp.MustCompile("^ *(```+|~~~+)")
)

// parse reads NAME=value lines. Comments and empty lines are ignored. A value has no
// character that a shell, make or Markdown would change.
func parse(content string) ([]value, error) {
	var out []value
	seen := map[string]bool{}
	for i, line := range strings.Split(content, "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		m := assignment.FindStringSubmatch(line)
		if m == nil {
			return nil, fmt.Errorf("line %d: write NAME=value, without quotes or spaces", i+1)
		}
		if seen[m[1]] {
			return nil, fmt.Errorf("line %d: %s is set twice", i+1, m[1])
		}
		seen[m[1]] = true
		out = append(out, value{name: m[1], text: m[2]})
	}
	return out, nil
}

// fill returns the document with the values in their places.
func fill(document string, values []value) (string, error) {
	lines := strings.Split(document, "\n")
	closing := ""
	for i, line := range lines {
		switch m := fence.FindStringSubmatch(line); {
		case closing != "":
			if strings.TrimSpace(line) == closing {
				closing = ""
				continue
			}
			lines[i] = fillAssignment(line, values)
		case m != nil:
			closing = m[1]
		}
	}
	return fillProse(strings.Join(lines, "\n"), values)
}

// fillAssignment fills a line of a code block that sets the value and does nothing else.
func fillAssignment(line string, values []value) string {
	trimmed := strings.TrimLeft(line, " ")
	for _, v := range values {
		if shown, ok := strings.CutPrefix(trimmed, v.name+"="); ok && !strings.Contains(shown, " ") {
			return line[:len(line)-len(trimmed)] + v.name + "=" + v.text
		}
	}
	return line
}

// fillProse fills what is between the comments of a value. The value stays on their line.
func fillProse(document string, values []value) (string, error) {
	for _, v := range values {
		begin, end := "<!-- "+v.name+" -->", "<!-- /"+v.name+" -->"
		between := regexp.MustCompile(begin + ".*?" + end)
		if found := len(between.FindAllString(document, -1)); found != strings.Count(document, begin) || found != strings.Count(document, end) {
			return "", fmt.Errorf("each %s needs a %s on the same line", begin, end)
		}
		document = between.ReplaceAllLiteralString(document, begin+v.text+end)
	}
	return document, nil
}
