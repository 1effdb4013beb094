package crusoe

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"apitoken.dev/operator/internal/provider"
)

// The files that this driver's documentation consists of.
const (
	docsFile   = "../../../../docs/providers/crusoe.md"
	sampleFile = "../../../../config/samples/crusoe.yaml"
)

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

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
	var got []string
	for line := range strings.Lines(read(t, docsFile)) {
		if strings.HasPrefix(line, "| `objectstorage:") || strings.HasPrefix(line, "| `billing:") {
			got = append(got, strings.TrimSpace(line))
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", docsFile, diff)
	}
}

// TestDocumentationNamesWhatIsUsed: the paths, keys and numbers in the documentation
// are those of the code, and every vendor fact has its mark.
func TestDocumentationNamesWhatIsUsed(t *testing.T) {
	docs := read(t, docsFile)
	for _, word := range []string{
		"`/users/identities`", "`/organizations/{org_id}/storage/s3/keys`", "`" + MinterKeyID + "`", "`" + MinterSecret + "`",
		defaultEndpoint, "**" + fmt.Sprint(maxLive) + " keys per user**", headerTimestamp, string(provider.CodeQuota),
	} {
		if !strings.Contains(docs, word) {
			t.Errorf("%s does not say %s", docsFile, word)
		}
	}
	_, table, _ := strings.Cut(docs, "| fact | mark | source |\n")
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

// TestSampleIsGrantable: the sample declares what Validate admits.
func TestSampleIsGrantable(t *testing.T) {
	sample := read(t, sampleFile)
	for _, line := range []string{
		"  crusoe:\n", "    organizationID: " + organization, "    location: us-east1-a", "  - " + scopeAll + "\n", "  - \"*\"\n",
		"--from-literal=" + MinterKeyID + "=", "--from-literal=" + MinterSecret + "=",
	} {
		if !strings.Contains(sample, line) {
			t.Errorf("%s has no %q", sampleFile, line)
		}
	}
}
