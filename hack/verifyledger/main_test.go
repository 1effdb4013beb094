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
	source, err := os.ReadFile("testdata/bad/bad.go")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for i, line := range strings.Split(string(source), "\n") {
		if _, what, ok := strings.Cut(line, "// want "); ok {
			want = append(want, fmt.Sprintf("%d: %s", i+1, what))
		}
	}
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
