package main

import (
	"encoding/json"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/dop251/goja"
	"github.com/google/go-cmp/cmp"
)

// rendered returns the files of a site.
func rendered(t *testing.T, files map[string]string) map[string][]byte {
	t.Helper()
	s, err := read(repository(t, files))
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.render()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// find runs search.js as a browser does, and returns the addresses of the results.
func find(t *testing.T, index []byte, query string) []string {
	t.Helper()
	vm := goja.New()
	if _, err := vm.RunString(string(search) + "\nlet entries; searchIndex = (e) => { entries = e; };\n" + string(index)); err != nil {
		t.Fatal(err)
	}
	if err := vm.Set("query", query); err != nil {
		t.Fatal(err)
	}
	got, err := vm.RunString("JSON.stringify(find(entries, query).map((e) => e.p + '#' + (e.a || '')))")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	if err := json.Unmarshal([]byte(got.String()), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestSearchFindsSections(t *testing.T) {
	files := small()
	files["docs/tasks/one.md"] = "# Rotate now\n\nBefore.\n\n## The overlap\n\nA key `lives` on.\n\n```sh\nkubectl rotate --force\n```\n\n| a | b |\n|---|---|\n| cell | x |\n"
	files["docs/sub/README.md"] = "# Sub\n\n## Other\n\nThe overlapping </script> rotate text.\n"
	index := rendered(t, files)["search-index.js"]
	if strings.Contains(string(index), "</script>") {
		t.Error("the index can end its script")
	}
	for query, want := range map[string][]string{
		"overlap":        {"tasks/one.html#the-overlap", "sub/index.html#other"}, // a heading before a text
		"ROTATE":         {"tasks/one.html#", "tasks/one.html#the-overlap", "sub/index.html#other"},
		"rotate text":    {"sub/index.html#other"}, // every word
		"--force":        {"tasks/one.html#the-overlap"},
		"lives":          {"tasks/one.html#the-overlap"},
		"cell":           {"tasks/one.html#the-overlap"},
		"nothing at all": {},
		"  ":             {},
	} {
		if diff := cmp.Diff(want, find(t, index, query)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", query, diff)
		}
	}
}

// The expected page is among the first three results in the real documents.
func TestSearchFindsWhatReadersLookFor(t *testing.T) {
	s, err := read(filepath.Join("..", "..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	index, err := s.searchIndex()
	if err != nil {
		t.Fatal(err)
	}
	for query, want := range map[string]string{
		"ScopeNotGrantable": "troubleshooting.html",
		"uninstall":         "tasks/uninstall.html",
		"spec.buckets":      "kinds/apitoken.html",
		"argo cd":           "gitops.html",
	} {
		found := find(t, index, query)
		if len(found) > 3 {
			found = found[:3]
		}
		ok := false
		for _, address := range found {
			page, _, _ := strings.Cut(address, "#")
			ok = ok || page == want
		}
		if !ok {
			t.Errorf("%q finds %v, want %s", query, found, want)
		}
	}
}

func TestOutlineListsTheHeadingsOfAPage(t *testing.T) {
	files := small()
	files["docs/tasks/one.md"] = "# One\n\n## First `a` *b*\n\n### Below\n\n#### Too deep\n\n## Last\n"
	out := rendered(t, files)
	one := string(out["tasks/one.html"])
	_, outline, _ := strings.Cut(one, `<nav id="outline" aria-label="On this page"`)
	for _, part := range []string{
		`<li class="level2"><a href="#first-a-b">First a b</a></li>`, `<li class="level3"><a href="#below">Below</a></li>`,
		`<li class="level2"><a href="#last">Last</a></li>`,
	} {
		if !strings.Contains(outline, part) {
			t.Errorf("%s is missing in\n%s", part, one)
		}
	}
	if strings.Contains(outline, "Too deep") {
		t.Error("the outline has headings of the fourth level")
	}
	if strings.Contains(string(out["project/readme.html"]), `id="outline"`) {
		t.Error("a page without sections has an outline")
	}
}

// A name breaks only if it is wider than its column.
func TestNamesAreNotBroken(t *testing.T) {
	files := small()
	files["docs/tasks/one.md"] = "# One\n\n| `spec.buckets` | `--metrics-auth=false` |\n|---|---|\n| `kubectl get pods` | `" + strings.Repeat("long", 9) + "` |\n"
	one := string(rendered(t, files)["tasks/one.html"])
	for _, part := range []string{
		`<code class="name">spec.buckets</code>`, `<code class="name">--metrics-auth=false</code>`, `<code>kubectl get pods</code>`, `<code>longlong`,
	} {
		if !strings.Contains(one, part) {
			t.Errorf("%s is missing in\n%s", part, one)
		}
	}
	if !strings.Contains(string(style), "code.name { white-space: nowrap; }") {
		t.Error("the style breaks names")
	}
	rule := regexp.MustCompile(`([^{}]*)\{([^{}]*)\}`)
	for _, m := range rule.FindAllStringSubmatch(string(style), -1) {
		if strings.Contains(m[1], "code") && regexp.MustCompile(`anywhere|break-all`).MatchString(m[2]) {
			t.Errorf("%s breaks names in the middle of a word: %s", strings.TrimSpace(m[1]), m[2])
		}
	}
}

// The site works without a network.
func TestSiteLoadsNothingFromElsewhere(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	if err := run(filepath.Join("..", "..", ".."), out); err != nil {
		t.Fatal(err)
	}
	loads := regexp.MustCompile(`<(?:link|script|img|iframe|source)[^>]*(?:href|src)="((?:https?:)?//[^"]*)"|@import|url\(`)
	pages := 0
	err := filepath.WalkDir(out, func(file string, entry os.DirEntry, err error) error {
		if ext := path.Ext(file); err != nil || entry.IsDir() || ext != ".html" && ext != ".css" && filepath.Base(file) != "search.js" {
			return err
		}
		pages++
		content, err := os.ReadFile(file)
		if m := loads.FindString(string(content)); m != "" {
			t.Errorf("%s: %s", file, m)
		}
		if strings.Contains(string(content), "language-mermaid") {
			t.Errorf("%s: a diagram is not drawn", file)
		}
		return err
	})
	if err != nil || pages < 25 {
		t.Errorf("%d pages: %v", pages, err)
	}
}
