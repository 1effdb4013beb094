package main

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/provider/conformance"
)

// docs returns a document of the folder docs.
func docs(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("..", "..", "docs", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// rows returns the cells of every table row between a heading and the next one
// of its level or above, without the head of the table.
func rows(document, heading string) [][]string {
	_, part, _ := strings.Cut(document, "\n"+heading+"\n")
	part, _, _ = strings.Cut(part, "\n## ")
	var out [][]string
	for line := range strings.Lines(part) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "| ") {
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), " | ")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		out = append(out, cells)
	}
	return out[min(1, len(out)):]
}

// TestEveryReasonHasItsSection: docs/troubleshooting.md has a section for every
// reason, which begins with its sentence, and none for what is no reason.
func TestEveryReasonHasItsSection(t *testing.T) {
	section := regexp.MustCompile(`(?m)^### (\w+)\n\n(.*)\n`)
	got := map[string]string{}
	for _, match := range section.FindAllStringSubmatch(docs(t, "troubleshooting.md"), -1) {
		got[match[1]] = match[2]
	}
	if diff := cmp.Diff(v1alpha1.ReasonHelp, got); diff != "" {
		t.Errorf("docs/troubleshooting.md differs from v1alpha1.ReasonHelp (-code +document):\n%s", diff)
	}
}

// TestRulesAreListed: docs/architecture.md has the rules in the order they are asked.
func TestRulesAreListed(t *testing.T) {
	var got []string
	for _, row := range rows(docs(t, "architecture.md"), "## The rules") {
		got = append(got, strings.Trim(row[0], "`"))
	}
	if diff := cmp.Diff(plan.Rules(), got); diff != "" {
		t.Errorf("docs/architecture.md differs from plan.Rules (-code +document):\n%s", diff)
	}
}

// TestRequirementsAreListed: docs/provider-contract.md has the requirements of the
// conformance suite, in its order and its words.
func TestRequirementsAreListed(t *testing.T) {
	type requirement struct{ name, sentence string }
	var want, got []requirement
	for _, r := range conformance.Requirements {
		want = append(want, requirement{r.Name, r.Sentence})
	}
	for _, row := range rows(docs(t, "provider-contract.md"), "## Requirements that are tested") {
		got = append(got, requirement{strings.Trim(row[0], "`"), row[1]})
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(requirement{})); diff != "" {
		t.Errorf("docs/provider-contract.md differs from conformance.Requirements (-code +document):\n%s", diff)
	}
}

// TestMetricsAndEventsAreListed: docs/architecture.md names every metric and every
// event of the operator's own, and none besides.
func TestMetricsAndEventsAreListed(t *testing.T) {
	_, part, found := strings.Cut(docs(t, "architecture.md"), "\n## Metrics and events\n")
	if !found {
		t.Fatal("docs/architecture.md has no such section")
	}
	for what, in := range map[string]struct{ code, document *regexp.Regexp }{
		"metrics": {regexp.MustCompile(`Name: +"(apitoken_\w+)"`), regexp.MustCompile("\\| `(apitoken_\\w+)")},
		"events":  {regexp.MustCompile(`\b(?:event|reason)[A-Z]\w+ += "(\w+)"`), regexp.MustCompile("`([A-Z]\\w+)`")},
	} {
		code := map[string]bool{}
		files, err := filepath.Glob(filepath.Join("..", "..", "controllers", "*", "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			add(code, in.code, string(content))
		}
		document := map[string]bool{}
		add(document, in.document, part)
		if diff := cmp.Diff(slices.Sorted(maps.Keys(code)), slices.Sorted(maps.Keys(document))); diff != "" {
			t.Errorf("docs/architecture.md has other %s (-code +document):\n%s", what, diff)
		}
	}
}

func add(to map[string]bool, pattern *regexp.Regexp, text string) {
	for _, match := range pattern.FindAllStringSubmatch(text, -1) {
		to[match[1]] = true
	}
}
