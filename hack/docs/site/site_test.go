package main

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// repository creates a repository with these documents.
func repository(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		full := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(full), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func small() map[string]string {
	return map[string]string{
		"README.md":           "# Project\n\n[docs](docs/README.md)\n",
		"docs/README.md":      "# Docs\n\n[project](../README.md)\n\n## Tasks\n\n- [One](tasks/one.md)\n- [Sub](sub)\n",
		"docs/tasks/one.md":   "# One `thing`\n\n[up](../README.md#tasks) [self](#one-thing) [file](../../config/a.yaml) [folder](../../config)\n[away](https://x.test/y) ![picture](../pictures/x.svg) <script>\n",
		"docs/sub/README.md":  "# Sub\n\n## Same\n\n## Same\n\n[here](#same-1)\n",
		"config/a.yaml":       "a: <b>\n",
		"config/deep/b.yaml":  "b: 1\n",
		"docs/pictures/x.svg": "<svg/>",
	}
}

func TestRenderingAgainReplacesThePages(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	root := repository(t, small())
	for range 2 { // the second run replaces the files of the first
		if err := run(root, out); err != nil {
			t.Fatal(err)
		}
	}
	read := func(name string) string {
		content, err := os.ReadFile(filepath.Join(out, filepath.FromSlash(name)))
		if err != nil {
			t.Fatal(err)
		}
		return string(content)
	}
	one := read("tasks/one.html")
	for _, part := range []string{
		"<title>One thing · apitoken-operator</title>", `<link rel="stylesheet" href="../style.css">`, `<script src="../search.js"></script>`,
		`<a href="../index.html#tasks">up</a>`, `<a href="#one-thing">self</a>`, `<h1 id="one-thing">`,
		`<a href="../files/config/a.yaml.txt">file</a>`, `<a href="../files/config/index.html">folder</a>`, `<a href="https://x.test/y">away</a>`,
		`<img src="../files/docs/pictures/x.svg" alt="picture">`,
		"<h2>Tasks</h2>", `<a href="../tasks/one.html" aria-current="page">One</a>`, `<a href="../sub/index.html">Sub</a>`,
	} {
		if !strings.Contains(one, part) {
			t.Errorf("%s is missing in\n%s", part, one)
		}
	}
	if strings.Contains(one, "<script>") {
		t.Error("raw HTML of a document is passed on")
	}
	if got := read("files/config/a.yaml.txt"); got != "a: <b>\n" {
		t.Errorf("the file became %q", got)
	}
	if got := read("files/config/index.html"); !strings.Contains(got, `<a href="deep/b.yaml.txt">`) {
		t.Errorf("the folder is listed as\n%s", got)
	}
	if got := read("project/readme.html"); !strings.Contains(got, `<a href="../index.html">docs</a>`) {
		t.Errorf("the README became\n%s", got)
	}
}

func TestBrokenDocumentsAreRejected(t *testing.T) {
	for name, tc := range map[string]struct{ file, content, says string }{
		"a link that leads nowhere":          {"docs/tasks/one.md", "[x](gone.md)", "docs/tasks/one.md: the link to gone.md leads nowhere"},
		"a missing heading":                  {"docs/tasks/one.md", "[x](../README.md#gone)", "names a heading that is not there"},
		"a missing heading in the same page": {"docs/tasks/one.md", "[x](#gone)", "names a heading that is not there"},
		"a page without a link to it":        {"docs/lonely.md", "# Lonely", "docs/lonely.md cannot be reached"},
		"a missing picture":                  {"docs/tasks/one.md", "![x](gone.svg)", "there is no picture gone.svg"},
		"a path out of the repository":       {"docs/tasks/one.md", "[x](../../../secret)", "outside of the repository"},
	} {
		t.Run(name, func(t *testing.T) {
			files := small()
			files[tc.file] = tc.content
			out := filepath.Join(t.TempDir(), "out")
			err := run(repository(t, files), out)
			if err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("got %v, want %q", err, tc.says)
			}
			if _, err := os.Stat(out); err == nil {
				t.Error("something was written")
			}
		})
	}
	if err := run(t.TempDir(), t.TempDir()); err == nil {
		t.Error("no documents, and no error")
	}
}

func TestEveryDocumentHasAPageOfTheSite(t *testing.T) {
	got := map[string]string{}
	for _, source := range []string{"docs/README.md", "docs/faq.md", "docs/tasks/rotate-now.md", "docs/providers/README.md", "README.md", "SECURITY.md"} {
		got[source] = outputOf(source)
	}
	want := map[string]string{
		"docs/README.md": "index.html", "docs/faq.md": "faq.html", "docs/tasks/rotate-now.md": "tasks/rotate-now.html",
		"docs/providers/README.md": "providers/index.html", "README.md": "project/readme.html", "SECURITY.md": "project/security.html",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("outputs (-want +got):\n%s", diff)
	}
}

var href = regexp.MustCompile(`(?:href|src)="([^"]*)"`)

// The test renders the documents of the repository, and follows every link of the pages.
func TestEveryLinkOfTheSiteWorks(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	if err := run(filepath.Join("..", "..", ".."), out); err != nil {
		t.Fatal(err)
	}
	seen, pages := map[string]bool{}, map[string]string{}
	for next := []string{"index.html"}; len(next) > 0; next = next[1:] {
		name := next[0]
		if seen[name] {
			continue
		}
		seen[name] = true
		content, err := os.ReadFile(filepath.Join(out, filepath.FromSlash(name)))
		if err != nil {
			t.Errorf("a link leads to %s, which is not there", name)
			continue
		}
		if path.Ext(name) != ".html" {
			continue
		}
		pages[name] = string(content)
		for _, m := range href.FindAllStringSubmatch(string(content), -1) {
			to, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(to, ":") {
				continue
			}
			target := name
			if to != "" {
				target = path.Join(path.Dir(name), to)
				next = append(next, target)
			}
			if anchor == "" {
				continue
			}
			linked, err := os.ReadFile(filepath.Join(out, filepath.FromSlash(target)))
			if err != nil || !strings.Contains(string(linked), `id="`+anchor+`"`) {
				t.Errorf("%s: nothing in %s has the id %s", name, target, anchor)
			}
		}
	}
	if len(pages) < 25 {
		t.Errorf("only %d pages can be reached", len(pages))
	}
	for _, name := range []string{"index.html", "project/readme.html"} {
		before, _, _ := strings.Cut(pages[name], "<h2 id=\"s")
		if !strings.Contains(before, `files/docs/overview.svg" alt="A team declares an ApiToken;`) {
			t.Errorf("%s does not begin with the picture of the whole", name)
		}
	}
	for _, name := range []string{"getting-started.html", "kinds/apitoken.html", "tasks/compromised.html", "troubleshooting.html"} {
		if !strings.Contains(pages[name], "<h1") {
			t.Errorf("%s is not rendered", name)
		}
	}
}

// The pictures have a text alternative, and coloured ones are readable in both themes.
func TestPicturesFitBothThemes(t *testing.T) {
	for name, parts := range map[string][]string{
		"overview.svg":  {"<title ", "<desc ", "prefers-color-scheme: dark"},
		"dashboard.svg": {"<title>", "A drawing"},
	} {
		content, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", name))
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range parts {
			if !strings.Contains(string(content), part) {
				t.Errorf("%s is missing in %s", part, name)
			}
		}
	}
}
