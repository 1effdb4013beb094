package ibee

import (
	"fmt"
	"strings"
	"testing"

	"apitoken.dev/operator/test/support/repofile"
)

// docsFile is this driver's documentation.
const docsFile = "docs/providers/ibee.md"

// TestScopesAreDocumented compares the table in the documentation with permissions.
func TestScopesAreDocumented(t *testing.T) {
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
	repofile.CheckRows(t, docsFile, want, "| `objectstorage:", "| `billing:")
}
