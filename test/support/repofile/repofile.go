// Package repofile reads files of this repository, and compares documents with what the
// code does.
package repofile

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// Path returns the path of a file or a folder. All functions take paths below the root of
// the repository, such as docs/metrics.md.
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

// Glob returns the files that match a pattern, as paths below the root, sorted. A pattern
// that matches no file ends the test, so a moved folder does not empty a test.
func Glob(t testing.TB, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(Path(pattern))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Fatalf("no file matches %s", pattern)
	}
	root := Path(".") + string(filepath.Separator)
	for i, file := range files {
		files[i] = filepath.ToSlash(strings.TrimPrefix(file, root))
	}
	return files
}

// Objects returns the Kubernetes objects of a YAML file, with whole numbers as int64. A file
// that cannot be read or decoded ends the test.
func Objects(t testing.TB, name string) []*unstructured.Unstructured {
	t.Helper()
	var objects []*unstructured.Unstructured
	for decoder := yaml.NewYAMLOrJSONDecoder(strings.NewReader(Read(t, name)), 4096); ; {
		object := &unstructured.Unstructured{}
		switch err := decoder.Decode(object); {
		case errors.Is(err, io.EOF):
			return objects
		case err != nil:
			t.Fatalf("%s: %v", name, err)
		case object.Object != nil:
			objects = append(objects, object)
		}
	}
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
