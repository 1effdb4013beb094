package commands

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Script has the commands of a reader who follows a part of a page.
type Script struct {
	// Sections are headings, in the order to follow them. A section ends at the next
	// heading of any level.
	Sections []string
	// Skip has beginnings of blocks that this reader leaves out.
	Skip []string
	// Set has the values of lines NAME=value, which a reader edits.
	Set map[string]string
}

// Of returns the script's text for a page. Every section, every block to skip and every
// value to set must be on the page, so a changed page is an error.
func (s Script) Of(page, document string) (string, error) {
	bodies := sections(document)
	skipped, set := map[string]bool{}, map[string]bool{}
	var out strings.Builder
	for _, heading := range s.Sections {
		body, ok := bodies[heading]
		if !ok {
			return "", fmt.Errorf("%s has no heading %q", page, heading)
		}
		blocks := 0
		for _, b := range Blocks(page, body) {
			if b.Language != "sh" {
				continue
			}
			blocks++
			if i := slices.IndexFunc(s.Skip, func(begin string) bool { return strings.HasPrefix(b.Text, begin) }); i >= 0 {
				skipped[s.Skip[i]] = true
				continue
			}
			out.WriteString(s.values(b.Text, set))
		}
		if blocks == 0 {
			return "", fmt.Errorf("%s: %q has no block of commands", page, heading)
		}
	}
	for _, begin := range s.Skip {
		if !skipped[begin] {
			return "", fmt.Errorf("%s has no block to skip that begins with %q", page, begin)
		}
	}
	for name := range s.Set {
		if !set[name] {
			return "", fmt.Errorf("%s has no line %s=", page, name)
		}
	}
	return out.String(), nil
}

// values puts the values into the lines that set them.
func (s Script) values(text string, used map[string]bool) string {
	lines := strings.SplitAfter(text, "\n")
	for i, line := range lines {
		name, _, ok := strings.Cut(line, "=")
		if value, known := s.Set[name]; ok && known {
			lines[i] = name + "=" + quote(value) + "\n"
			used[name] = true
		}
	}
	return strings.Join(lines, "")
}

// quote returns a value as one word of a shell.
func quote(value string) string { return "'" + strings.ReplaceAll(value, "'", `'\''`) + "'" }

var heading = regexp.MustCompile(`^#+ +(.*?) *$`)

// sections returns the text between the headings. Text in code blocks is not a heading.
func sections(document string) map[string]string {
	out := map[string]string{}
	current, closing := "", ""
	for _, line := range strings.SplitAfter(document, "\n") {
		text := strings.TrimRight(line, "\n")
		if closing != "" {
			if strings.TrimSpace(text) == closing {
				closing = ""
			}
		} else if m := fence.FindStringSubmatch(text); m != nil {
			closing = m[2]
		} else if m := heading.FindStringSubmatch(text); m != nil {
			current = m[1]
			continue
		}
		out[current] += line
	}
	return out
}
