package main

import (
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// In the checked package, bottom.go is the last file. Its comments "want X of F" mark uses of X of an
// earlier file F. extra.go is not in the order.
func TestUseOfAnEarlierFileIsFound(t *testing.T) {
	want := append(wanted(t, "testdata/order/bottom.go"), "extra.go has no place")
	found, err := check("./testdata/order")
	if err != nil {
		t.Fatal(err)
	}
	use := regexp.MustCompile(`^.*bottom\.go:(\d+):\d+: uses (\w+ of top\.go), `)
	unplaced := regexp.MustCompile(`(\w+\.go has no place) `)
	var got []string
	for _, f := range found {
		if m := use.FindStringSubmatch(f); m != nil {
			got = append(got, m[1]+": "+m[2])
		} else if m := unplaced.FindStringSubmatch(f); m != nil {
			got = append(got, m[1])
		} else {
			t.Errorf("unexpected line: %q", f)
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("findings, -want +got:\n%s", diff)
	}
}
