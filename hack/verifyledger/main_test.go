package main

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// In the checked package, each line with a comment "want X" sets X.
func TestEachWayToChangeALedgerIsFound(t *testing.T) {
	want := wanted(t, "testdata/bad/bad.go")
	found, err := check("./testdata/bad")
	if err != nil {
		t.Fatal(err)
	}
	place := regexp.MustCompile(`^.*bad\.go:(\d+):\d+: sets ([^:]+)`)
	var got []string
	for _, f := range found {
		m := place.FindStringSubmatch(f)
		if m == nil {
			t.Fatalf("a line without a place: %q", f)
		}
		got = append(got, m[1]+": "+m[2])
	}
	slices.SortStableFunc(got, func(a, b string) int { return len(a[:strings.Index(a, ":")]) - len(b[:strings.Index(b, ":")]) })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("findings, -want +got:\n%s", diff)
	}
}

// wanted returns the findings that the comments "want X, Y" of a file name: the line, a colon
// and X, and the same for Y.
func wanted(t *testing.T, file string) []string {
	t.Helper()
	source, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for i, line := range strings.Split(string(source), "\n") {
		if _, all, ok := strings.Cut(line, "// want "); ok {
			for what := range strings.SplitSeq(all, ", ") {
				out = append(out, fmt.Sprintf("%d: %s", i+1, what))
			}
		}
	}
	return out
}
