package explore

import (
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"

	"apitoken.dev/operator/test/support/repofile"
)

// docs/architecture.md lists the broken variants, each with the invariant that it
// breaks.
func TestBrokenVariantsAreDocumented(t *testing.T) {
	var want, got [][]string
	for _, v := range broken() {
		want = append(want, []string{v.name, v.breaks})
	}
	row := regexp.MustCompile(`(?m)^\| ([^|]+) \| (S[1-7]|convergence) \|`)
	for _, match := range row.FindAllStringSubmatch(repofile.Read(t, "docs/architecture.md"), -1) {
		got = append(got, match[1:])
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("docs/architecture.md differs from broken() (-code +document):\n%s", diff)
	}
}
