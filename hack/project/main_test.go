package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"apitoken.dev/operator/test/support/repofile"
)

const document = "Report to <!-- CONTACT -->unset<!-- /CONTACT -->, or CONTACT=you.\n" +
	"\n```sh\nREPOSITORY=old\ngit clone \"$REPOSITORY\"\nREPOSITORY=mine make x\n```\n" +
	"\n1. In a list:\n\n   ```sh\n   REPOSITORY=older\n   ```\n\nREPOSITORY=prose\n"

func TestDocumentsShowTheValues(t *testing.T) {
	root := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	read := func(name string) string {
		t.Helper()
		content, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(content)
	}
	write(valuesFile, "# The values.\nREPOSITORY=https://new.example.com/x.git\n\nCONTACT=security@new.example.com\n")
	write("docs/page.md", document)
	write("docs/other.md", "Nothing here.\n")
	write("bin/docs/page.md", document)

	changed, err := run(root, true)
	if diff := cmp.Diff([]string{"docs/page.md"}, changed); diff != "" || err != nil {
		t.Fatalf("error %v, documents that differ (-want +got):\n%s", err, diff)
	}
	if read("docs/page.md") != document {
		t.Error("-check changed a document")
	}
	if _, err := run(root, false); err != nil {
		t.Fatal(err)
	}
	want := strings.NewReplacer("unset", "security@new.example.com", "REPOSITORY=older", "REPOSITORY=https://new.example.com/x.git",
		"REPOSITORY=old\n", "REPOSITORY=https://new.example.com/x.git\n").Replace(document)
	if diff := cmp.Diff(want, read("docs/page.md")); diff != "" {
		t.Errorf("the document (-want +got):\n%s", diff)
	}
	if changed, err := run(root, true); len(changed) > 0 || err != nil {
		t.Errorf("after a run, %v differ: %v", changed, err)
	}
	if read("bin/docs/page.md") != document {
		t.Error("a file of bin was changed")
	}
}

func TestBrokenValuesAreRefused(t *testing.T) {
	for _, text := range []string{"REPOSITORY=", "REPOSITORY=\"x\"", "REPOSITORY=a b", "REPOSITORY=$HOME", "repository=x", "A=x\nA=y"} {
		if _, err := parse(text); err == nil {
			t.Errorf("%q is accepted", text)
		}
	}
	for _, text := range []string{"<!-- A -->x", "x<!-- /A -->", "<!-- A -->x\n<!-- /A -->"} {
		if _, err := fill(text, []value{{"A", "v"}}); err == nil {
			t.Errorf("%q is accepted", text)
		}
	}
}

// The documents, the Makefile and the release use the same values.
func TestRepositoryShowsItsValues(t *testing.T) {
	root := filepath.Join("..", "..")
	if changed, err := run(root, true); len(changed) > 0 || err != nil {
		t.Errorf("error %v; run make project: %v", err, changed)
	}
	content, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(valuesFile)))
	if err != nil {
		t.Fatal(err)
	}
	values, err := parse(string(content))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, v := range values {
		names = append(names, v.name)
	}
	if diff := cmp.Diff([]string{"REPOSITORY", "IMAGE", "SECURITY_CONTACT", "RUNBOOKS"}, names); diff != "" {
		t.Errorf("names of %s (-want +got):\n%s", valuesFile, diff)
	}
}

func TestSecurityContactIsShown(t *testing.T) {
	reporting, _, _ := strings.Cut(repofile.Read(t, "SECURITY.md"), "## Supported versions")
	if !strings.Contains(reporting, "<!-- SECURITY_CONTACT -->") {
		t.Error("SECURITY.md does not show SECURITY_CONTACT under Reporting")
	}
}
