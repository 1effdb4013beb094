package proxyscrape

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/test/support/repofile"
)

// The files that this driver's documentation consists of.
const (
	docsFile   = "docs/providers/proxyscrape.md"
	sampleFile = "config/samples/proxyscrape.yaml"
)

// TestScopesAreDocumented compares the table in the documentation with the
// permissions that TestEveryPermissionIsSentUnchanged mints with.
func TestScopesAreDocumented(t *testing.T) {
	row := regexp.MustCompile("^\\| `([a-z_]+(?::[a-z_]+)+)` \\|")
	var got []string
	for line := range strings.Lines(repofile.Read(t, docsFile)) {
		if m := row.FindStringSubmatch(line); m != nil {
			got = append(got, m[1])
		}
	}
	if diff := cmp.Diff(documented, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", docsFile, diff)
	}
}

func TestDocumentationNamesWhatTheCodeUses(t *testing.T) {
	repofile.CheckContains(t, docsFile,
		DefaultEndpoint, "`"+AccountKeyName+"`", "`"+KeyToken+"`", "`"+KeyEndpoint+"`",
		"## What is not proven", "documented", "inferred", "not found")
}

// The documented permissions are those that the driver's requests need.
func TestMinterPermissionsAreExact(t *testing.T) {
	_, rights, _ := strings.Cut(repofile.Read(t, docsFile), "## The minting key")
	rights, _, _ = strings.Cut(rights, "\n## ")
	got := regexp.MustCompile("account:apikeys:[a-z]+").FindAllString(rights, -1)
	slices.Sort(got)
	want := []string{"account:apikeys:create", "account:apikeys:delete", "account:apikeys:read", "account:apikeys:update"}
	if diff := cmp.Diff(want, slices.Compact(got)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	s := newStub(t)
	for asked, needs := range map[string]string{
		"GET ": want[2], "POST ": want[0], "PUT /{id}": want[3], "DELETE /{id}": want[1], "GET /{id}": want[2],
	} {
		minted := mint(t, s.client).Credential
		ref := provider.Ref{Name: minted.Name, ID: minted.ID}
		s.answers[asked] = reaction{status: 403, body: jsonError}
		var err error
		switch asked {
		case "POST ":
			_, err = s.client.Mint(t.Context(), request(t))
		case "PUT /{id}", "GET /{id}":
			_, err = s.client.(provider.Updater).Update(t.Context(), ref, request(t))
		default:
			err = s.client.Revoke(t.Context(), ref)
		}
		checkError(t, err, provider.CodePermissionDenied, true, needs)
		delete(s.answers, asked)
	}
}

// The scopes of the sample are documented.
func TestSampleIsGrantable(t *testing.T) {
	scopes := regexp.MustCompile(`(?m)^  scopes:.*\n((?:  - .+\n)+)`).FindStringSubmatch(repofile.Read(t, sampleFile))
	if scopes == nil {
		t.Fatalf("%s has no scopes", sampleFile)
	}
	for line := range strings.Lines(scopes[1]) {
		if scope := strings.TrimSpace(strings.TrimPrefix(line, "  - ")); !slices.Contains(documented, scope) {
			t.Errorf("%s asks for %s", sampleFile, scope)
		}
	}
}
