package kloudbean

import (
	"fmt"
	"testing"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/s3probe"
	"apitoken.dev/operator/test/support/repofile"
)

const docsFile = "docs/providers/kloudbean.md"

// TestScopesAreDocumented compares the table in the documentation with permissions.
func TestScopesAreDocumented(t *testing.T) {
	cell := func(access bool) string {
		return map[bool]string{true: "works", false: "denied"}[access]
	}
	var want []string
	for _, scope := range grantable() {
		p := permissions[scope]
		// The driver also probes access that must be denied, except where a denial is not distinguishable.
		get, remove := cell(p.want.Read), cell(p.want.Delete)
		if !p.want.Write {
			get = "not tried"
		}
		if !p.want.Delete {
			remove = "not tried"
		}
		want = append(want, fmt.Sprintf("| `%s` | %s | %s | %s | %s | %s |", scope, p.label, cell(p.want.Read), cell(p.want.Write), get, remove))
	}
	repofile.CheckRows(t, docsFile, want, "| `objectstorage:")
}

// TestFormIsDocumented finds every label, key and place of the form in the documentation.
func TestFormIsDocumented(t *testing.T) {
	form, _ := New().Form(provider.Config{}, provider.MintRequest{Grant: grant(scopeReadOnly)})
	named := append([]string{apiAccess, DefaultRegion, keyEndpoint, keyBucket, s3probe.Prefix, s3probe.WriteOnlyKey}, form.Keys...)
	for _, f := range form.Fields {
		named = append(named, f.Label)
	}
	for _, want := range named {
		repofile.CheckContains(t, docsFile, "`"+want)
	}
}
