// Package repofile reads files of this repository, and compares documents with what the
// code does.
package repofile

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Path returns the path of a file or a folder, given its path below the root of the
// repository.
func Path(name string) string {
	_, here, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(here), "..", "..", "..", filepath.FromSlash(name))
}

// Read returns the text of a file. A file that cannot be read ends the test.
func Read(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile(Path(name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// CheckRows fails the test unless the lines of a file that begin with one of the prefixes
// are the wanted ones, in that order.
func CheckRows(t testing.TB, name string, want []string, prefixes ...string) {
	t.Helper()
	var got []string
	for line := range strings.Lines(Read(t, name)) {
		for _, prefix := range prefixes {
			if strings.HasPrefix(line, prefix) {
				got = append(got, strings.TrimSpace(line))
				break
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

// CheckContains fails the test for each text that a file does not contain.
func CheckContains(t testing.TB, name string, texts ...string) {
	t.Helper()
	content := Read(t, name)
	for _, text := range texts {
		if !strings.Contains(content, text) {
			t.Errorf("%s does not contain %q", name, text)
		}
	}
}
