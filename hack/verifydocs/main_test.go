package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// write creates a repository with one document and returns its root.
func write(t *testing.T, document string) string {
	t.Helper()
	root := t.TempDir()
	files := map[string]string{
		"Makefile":              "GO ?= go\nA := b\n.PHONY: test\ntest: build ## Run it.\n\tgo test\nbuild demo:\n\tgo build\n",
		"internal/plan/next.go": "package plan\n",
		"test/e2e/cmd/demo/x":   "",
		"cmd/manager/main.go":   "package main\n",
		"bin/manager":           "",
		"docs/other.md":         "# Other things\n\n## Rotation, in `one` picture\n\n## Twice\n\n## Twice\n",
		"docs/guide.md":         document,
	}
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

func TestMissingPathsTargetsAndHeadingsAreFound(t *testing.T) {
	fenced := func(lines ...string) string { return "```sh\n" + strings.Join(lines, "\n") + "\n```\n" }
	cases := map[string]struct {
		reason   string
		document string
		want     []string
	}{
		"existing path":        {"what exists is fine", "See `internal/plan/next.go` and `internal/plan/`.", nil},
		"missing path":         {"the file is not there", "text\nSee `internal/plan/gone.go`.", []string{"docs/guide.md:2: there is no internal/plan/gone.go"}},
		"symbol and line":      {"a symbol or a line number is no part of the path", "`internal/plan.Next` `internal/plan/next.go:12` `internal/plan/next.go:1-3`", nil},
		"foreign path":         {"only paths of this repository are checked", "`k8s.io/client-go/rest` `apitoken.dev/v1alpha1` `a/b`", nil},
		"placeholder":          {"patterns and placeholders name no file", "`internal/<driver>/x.go` `internal/*/x.go` `./internal/...` `internal/…`", nil},
		"what is built":        {"it may not be built yet", "`bin/release`", nil},
		"next to the document": {"a path may be relative to the document", "`docs/other.md` `internal/plan`", nil},
		"other directory":      {"cd says where a path starts", fenced("cd test/e2e && go run ./cmd/demo"), nil},
		"path in a command":    {"commands name paths too", fenced("kubectl apply -f internal/x.yaml"), []string{"docs/guide.md:2: there is no internal/x.yaml"}},
		"make target":          {"flags and variables are no targets", "`make test`, `make -j2 build demo KEEP=1`\n" + fenced("KEEP=1 make demo # gone", "$ make test; ls"), nil},
		"missing target": {
			"a target must be in the Makefile", "`make gone`\n" + fenced("make test && A=b make lost"),
			[]string{`docs/guide.md:1: the Makefile has no target "gone"`, `docs/guide.md:3: the Makefile has no target "lost"`},
		},
		"prose":        {"make in a sentence is no command", "They make nothing. `we make things`", nil},
		"links":        {"links to files, directories, headings and elsewhere", "[a](other.md) [b](../internal) [c](other.md#rotation-in-one-picture) [d](https://x.test/y) [e](mailto:a@x.test)", nil},
		"same heading": {"GitHub numbers headings of the same name", "[a](other.md#twice) [b](other.md#twice-1)", nil},
		"own heading":  {"a document may link to itself", "# Its Title\n[up](#its-title)", nil},
		"broken links": {
			"neither file nor heading", "[a](gone.md)\n[b](other.md#gone)\n[c](#gone)",
			[]string{
				"docs/guide.md:1: the link to gone.md leads nowhere",
				"docs/guide.md:2: the link to other.md#gone names a heading that is not there",
				"docs/guide.md:3: the link to #gone names a heading that is not there",
			},
		},
		"link in code": {"code is not a link", "`[a](gone.md)`", nil},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := check(write(t, tc.document))
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("%s:\ngot  %q\nwant %q", tc.reason, got, tc.want)
			}
		})
	}
}

func TestChangelogIsHistory(t *testing.T) {
	root := write(t, "")
	content := []byte("`internal/gone.go` was removed, see [here](docs/gone.md)\n")
	if err := os.WriteFile(filepath.Join(root, "CHANGELOG.md"), content, 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := check(root)
	want := []string{"CHANGELOG.md:1: the link to docs/gone.md leads nowhere"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
}
