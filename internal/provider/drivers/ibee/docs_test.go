package ibee

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// docsFile is this driver's documentation.
const docsFile = "../../../../docs/providers/ibee.md"

// TestScopesAreDocumented compares the table in the documentation with permissions.
func TestScopesAreDocumented(t *testing.T) {
	text, err := os.ReadFile(docsFile)
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, scope := range grantable() {
		p, made := permissions[scope]
		name, buckets, covers := "`"+p.name+"`", "by name, or `[\"*\"]`", "none"
		switch {
		case !made:
			name, buckets = "Billing, Read only", "none"
		case p.admin:
			buckets = "only `[\"*\"]`"
		}
		if len(p.includes) > 0 {
			covers = "`" + strings.Join(p.includes, "`, `") + "`"
		}
		want = append(want, fmt.Sprintf("| `%s` | %s | %s | %s |", scope, name, buckets, covers))
	}
	var got []string
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "| `objectstorage:") || strings.HasPrefix(line, "| `billing:") {
			got = append(got, strings.TrimSpace(line))
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", docsFile, diff)
	}
}
