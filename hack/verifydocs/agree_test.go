package main

import (
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/test/support/conformance"
	"apitoken.dev/operator/test/support/repofile"
)

// docs reads a document in docs/.
func docs(t *testing.T, name string) string {
	t.Helper()
	return repofile.Read(t, "docs/"+name)
}

// rows returns the cells of the tables in a section, without the header rows.
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

// docs/troubleshooting.md has one section for each reason, and no others. It starts with the sentence
// of ReasonHelp.
func TestEveryReasonHasItsSection(t *testing.T) {
	section := regexp.MustCompile(`(?ms)^### (\w+)\n\n(.*?)\n(?:\n|\z)`)
	got := map[string]string{}
	for _, match := range section.FindAllStringSubmatch(docs(t, "troubleshooting.md"), -1) {
		got[match[1]] = strings.Join(strings.Fields(match[2]), " ")
	}
	if diff := cmp.Diff(v1alpha1.ReasonHelp, got); diff != "" {
		t.Errorf("docs/troubleshooting.md differs from v1alpha1.ReasonHelp (-code +document):\n%s", diff)
	}
}

// docs/architecture.md has the rules in their order.
func TestRulesAreListed(t *testing.T) {
	var got []string
	for _, row := range rows(docs(t, "architecture.md"), "## The rules") {
		got = append(got, strings.Trim(row[0], "`"))
	}
	if diff := cmp.Diff(plan.Rules(), got); diff != "" {
		t.Errorf("docs/architecture.md differs from plan.Rules (-code +document):\n%s", diff)
	}
}

// docs/architecture.md has the needs in their order, with their reasons.
func TestNeedsAreListed(t *testing.T) {
	type need struct{ name, reason string }
	var want, got []need
	for _, n := range plan.Needs() {
		want = append(want, need{n.Name, string(n.Reason)})
	}
	for _, row := range rows(docs(t, "architecture.md"), "## The needs") {
		// For a recorded reason, the table has a description.
		got = append(got, need{strings.Trim(row[0], "`"), strings.Join(quoted(row[2]), ", ")})
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(need{})); diff != "" {
		t.Errorf("docs/architecture.md differs from plan.Needs (-code +document):\n%s", diff)
	}
}

// docs/architecture.md has the obstacles in their order, with their reasons and whether
// they last.
func TestObstaclesAreListed(t *testing.T) {
	lasts := map[bool]string{true: "yes", false: "no"}
	type obstacle struct{ name, reasons, lasts string }
	var want, got []obstacle
	for _, o := range plan.Obstacles() {
		want = append(want, obstacle{o.Name, strings.Join(o.Reasons, ", "), lasts[o.Lasts]})
	}
	for _, row := range rows(docs(t, "architecture.md"), "## The obstacles") {
		got = append(got, obstacle{strings.Trim(row[0], "`"), strings.Join(quoted(row[2]), ", "), row[3]})
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(obstacle{})); diff != "" {
		t.Errorf("docs/architecture.md differs from plan.Obstacles (-code +document):\n%s", diff)
	}
}

// quoted returns the words in backquotes.
func quoted(cell string) []string {
	var out []string
	for _, match := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cell, -1) {
		out = append(out, match[1])
	}
	return out
}

// docs/provider-contract.md has the requirements of the conformance suite, with its order and text.
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

// docs/architecture.md names every metric and event of the operator, and no others.
func TestMetricsAndEventsAreListed(t *testing.T) {
	_, part, found := strings.Cut(docs(t, "architecture.md"), "\n## Metrics and events\n")
	if !found {
		t.Fatal("docs/architecture.md has no such section")
	}
	for what, in := range map[string]struct{ code, document *regexp.Regexp }{
		"metrics": {metricInCode, metricInTable},
		"events":  {regexp.MustCompile(`\b(?:event|reason)[A-Z]\w+ += "(\w+)"`), regexp.MustCompile("`([A-Z]\\w+)`")},
	} {
		code := map[string]bool{}
		for _, content := range sources(t) {
			add(code, in.code, content)
		}
		document := map[string]bool{}
		add(document, in.document, part)
		if diff := cmp.Diff(slices.Sorted(maps.Keys(code)), slices.Sorted(maps.Keys(document))); diff != "" {
			t.Errorf("docs/architecture.md has other %s (-code +document):\n%s", what, diff)
		}
	}
}

// The patterns match a metric's name in the code and in a table.
var (
	metricInCode  = regexp.MustCompile(`(?:Name: +|(?:describe|NewDesc)\()"(apitoken_\w+)"`)
	metricInTable = regexp.MustCompile("(?m)^\\| `(apitoken_\\w+)")
)

// sources returns the files that declare metrics and events.
func sources(t *testing.T) []string {
	t.Helper()
	var out []string
	for _, pattern := range []string{"controllers/*/*.go", "internal/metrics/*.go"} {
		for _, file := range repofile.Glob(t, pattern) {
			if !strings.HasSuffix(file, "_test.go") {
				out = append(out, repofile.Read(t, file))
			}
		}
	}
	return out
}

// docs/metrics.md has a row for every metric of the operator, and no others.
func TestMetricsAreExplained(t *testing.T) {
	code, document := map[string]bool{}, map[string]bool{}
	for _, content := range sources(t) {
		add(code, metricInCode, content)
	}
	add(document, metricInTable, docs(t, "metrics.md"))
	if diff := cmp.Diff(slices.Sorted(maps.Keys(code)), slices.Sorted(maps.Keys(document))); diff != "" {
		t.Errorf("docs/metrics.md has other metrics (-code +document):\n%s", diff)
	}
}

// Every alert links to its page and is in the tables of docs. Every page has its alert.
func TestEveryAlertHasItsRunbook(t *testing.T) {
	content := repofile.Read(t, "charts/apitoken-operator/files/alerts.yaml")
	alerts := map[string]bool{}
	add(alerts, regexp.MustCompile(`- alert: (\w+)`), content)
	found := map[string]bool{}
	for _, page := range repofile.Glob(t, "docs/runbooks/*.md") {
		if name := strings.TrimSuffix(filepath.Base(page), ".md"); name != "README" {
			found[name] = true
		}
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(alerts)), slices.Sorted(maps.Keys(found))); diff != "" {
		t.Errorf("docs/runbooks has other pages (-alerts +pages):\n%s", diff)
	}
	for alert := range alerts {
		if !strings.Contains(content, "/"+alert+".md\n") {
			t.Errorf("%s does not link to its page", alert)
		}
		for _, document := range []string{"metrics.md", "runbooks/README.md"} {
			if !strings.Contains(docs(t, document), "| ["+alert+"](") {
				t.Errorf("docs/%s does not list %s", document, alert)
			}
		}
	}
}

func add(to map[string]bool, pattern *regexp.Regexp, text string) {
	for _, match := range pattern.FindAllStringSubmatch(text, -1) {
		to[match[1]] = true
	}
}
