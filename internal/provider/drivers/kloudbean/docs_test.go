package kloudbean

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/s3probe"
)

const docsFile = "../../../../docs/providers/kloudbean.md"

func docs(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(docsFile)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestScopesAreDocumented compares the table in the documentation with permissions.
func TestScopesAreDocumented(t *testing.T) {
	cell := func(access bool) string {
		return map[bool]string{true: "works", false: "refused"}[access]
	}
	var want []string
	for _, scope := range grantable() {
		p := permissions[scope]
		// What is not wanted is tried as well, except what has no answer of its own.
		get, remove := cell(p.want.Read), cell(p.want.Delete)
		if !p.want.Write {
			get = "not tried"
		}
		if !p.want.Delete {
			remove = "not looked at"
		}
		want = append(want, fmt.Sprintf("| `%s` | %s | %s | %s | %s | %s |", scope, p.label, cell(p.want.Read), cell(p.want.Write), get, remove))
	}
	var got []string
	for line := range strings.Lines(docs(t)) {
		if strings.HasPrefix(line, "| `objectstorage:") {
			got = append(got, strings.TrimSpace(line))
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", docsFile, diff)
	}
}

// TestFormIsDocumented finds every label, key and place of the form in the documentation.
func TestFormIsDocumented(t *testing.T) {
	text := docs(t)
	form, _ := New().Form(provider.Config{}, provider.MintRequest{Grant: grant(scopeReadOnly)})
	named := append([]string{apiAccess, DefaultRegion, keyEndpoint, keyBucket, s3probe.Prefix, s3probe.WriteOnlyKey}, form.Keys...)
	for _, f := range form.Fields {
		named = append(named, f.Label)
	}
	for _, want := range named {
		if !strings.Contains(text, "`"+want) {
			t.Errorf("%s does not mention `%s`", docsFile, want)
		}
	}
}
