package crusoe

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/test/support/repofile"
)

// The files that this driver's documentation consists of.
const (
	docsFile   = "docs/providers/crusoe.md"
	sampleFile = "config/samples/crusoe.yaml"
)

// TestScopesAreDocumented compares the table in the documentation with Validate.
func TestScopesAreDocumented(t *testing.T) {
	a := newAccount(t)
	granted := func(scopes ...string) string {
		g := grant()
		g.Scopes = scopes
		if a.driver.Validate(a.config, provider.MintRequest{Grant: g}) == nil {
			return "granted"
		}
		return "refused"
	}
	var want []string
	for _, scope := range append(slices.Clone(covered), "billing:read-only") {
		want = append(want, fmt.Sprintf("| `%s` | %s | %s |", scope, granted(scope), granted(scope, scopeAll)))
	}
	repofile.CheckRows(t, docsFile, want, "| `objectstorage:", "| `billing:")
}

// The documentation has the paths, keys and numbers of the code, and marks every vendor fact.
func TestDocumentationNamesWhatIsUsed(t *testing.T) {
	repofile.CheckContains(t, docsFile,
		"`/users/identities`", "`/organizations/{org_id}/storage/s3/keys`", "`"+MinterKeyID+"`", "`"+MinterSecret+"`",
		defaultEndpoint, "**"+fmt.Sprint(maxLive)+" keys per user**", headerTimestamp, string(provider.CodeQuota))
	_, table, _ := strings.Cut(repofile.Read(t, docsFile), "| fact | mark | source |\n")
	table, _, _ = strings.Cut(table, "\n\n")
	rows := 0
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.TrimSpace(line), " | ")
		if strings.HasPrefix(line, "|---") {
			continue
		}
		rows++
		if len(cells) != 3 || !slices.Contains([]string{"documented", "inferred", "not found"}, cells[1]) {
			t.Errorf("%s: a fact without its mark: %s", docsFile, line)
		}
	}
	if rows < 10 {
		t.Errorf("%s: the table of facts has %d rows", docsFile, rows)
	}
}

func TestSampleIsGrantable(t *testing.T) {
	repofile.CheckContains(t, sampleFile,
		"  crusoe:\n", "    organizationID: "+organization, "    location: us-east1-a", "  - "+scopeAll+"\n", "  - \"*\"\n",
		"--from-literal="+MinterKeyID+"=", "--from-literal="+MinterSecret+"=")
}
