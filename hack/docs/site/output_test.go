package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func put(t *testing.T, file, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// holds fails unless the file has this content. "" means that the file does not exist.
func holds(t *testing.T, file, content string) {
	t.Helper()
	got, err := os.ReadFile(file)
	if content == "" && !os.IsNotExist(err) || content != "" && string(got) != content {
		t.Errorf("%s holds %q (%v), want %q", file, got, err, content)
	}
}

// A directory of the user survives, even if it looks like a site.
func TestDirectoryOfTheUserSurvives(t *testing.T) {
	for _, name := range []string{"style.css", "index.html", "thesis.txt"} {
		out := t.TempDir()
		put(t, filepath.Join(out, name), "mine")
		put(t, filepath.Join(out, "photos", "1.jpg"), "mine")
		err := run(repository(t, small()), out)
		if err == nil || !strings.Contains(err.Error(), "did not write") {
			t.Errorf("with %s: %v", name, err)
		}
		holds(t, filepath.Join(out, name), "mine")
		holds(t, filepath.Join(out, "photos", "1.jpg"), "mine")
		holds(t, filepath.Join(out, manifest), "")
	}
}

// A run replaces the files of the previous run, and no others.
func TestOnlyWrittenFilesAreReplaced(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	if err := write(out, map[string][]byte{"a.html": []byte("1"), "old/b.html": []byte("1"), "c/d e.html": []byte("1")}); err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(out, "c", "mine"), "mine")
	if err := write(out, map[string][]byte{"a.html": []byte("2")}); err != nil {
		t.Fatal(err)
	}
	holds(t, filepath.Join(out, "a.html"), "2")
	holds(t, filepath.Join(out, "c", "d e.html"), "")
	holds(t, filepath.Join(out, "c", "mine"), "mine")
	if _, err := os.Stat(filepath.Join(out, "old")); !os.IsNotExist(err) {
		t.Errorf("the empty directory stays: %v", err)
	}
	err := write(out, map[string][]byte{"a.html": []byte("3"), "c/mine": []byte("3")})
	if err == nil || !strings.Contains(err.Error(), "not a file that this program wrote") {
		t.Errorf("a page in the place of the user's file: %v", err)
	}
	holds(t, filepath.Join(out, "a.html"), "2")
	holds(t, filepath.Join(out, "c", "mine"), "mine")
}

// A path in the manifest or a symbolic link that leads outside is an error.
func TestNothingOutsideIsTouched(t *testing.T) {
	parent := t.TempDir()
	out, outside := filepath.Join(parent, "out"), filepath.Join(parent, "mine")
	put(t, outside, "mine")
	put(t, filepath.Join(out, manifest), "../mine\n")
	if err := write(out, map[string][]byte{"a.html": nil}); err == nil {
		t.Error("a manifest that leads out of the directory is followed")
	}
	holds(t, outside, "mine")
	put(t, filepath.Join(out, manifest), "link/mine\n")
	if err := os.Symlink(parent, filepath.Join(out, "link")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a.html", "link/mine", "link/new"} {
		if err := write(out, map[string][]byte{name: []byte("theirs")}); err == nil {
			t.Errorf("%s: a link out of the directory is followed", name)
		}
	}
	holds(t, outside, "mine")
	holds(t, filepath.Join(parent, "new"), "")
}
