package rest_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"apitoken.dev/operator/internal/provider/drivers/rest"
	"apitoken.dev/operator/test/support/repofile"
)

const docsFile = "docs/providers/rest.md"

// TestScopesAreDocumented compares the table in the documentation with the samples.
func TestScopesAreDocumented(t *testing.T) {
	var want []string
	for _, file := range []string{"rest-digitalocean-spaces.yaml", "rest-gitea.yaml", "rest-gitlab.yaml"} {
		for _, s := range sample(t, file, "https://api.example.com").Scopes {
			permission := s.Permission
			if permission == "" {
				permission = s.Scope
			}
			want = append(want, fmt.Sprintf("| `%s` | `%s` | `%s` |", file, s.Scope, permission))
		}
	}
	repofile.CheckRows(t, docsFile, want, "| `rest-")
}

// The documented functions are those in the error about an unknown function.
func TestFunctionsAreDocumented(t *testing.T) {
	s := sample(t, "rest-gitea.yaml", "https://api.example.com")
	s.Mint.Body = `{"name": {{ html .name }}}`
	_, err := rest.Render(s, rest.Sample(s))
	if err == nil {
		t.Fatal("html is a function")
	}
	_, list, found := strings.Cut(err.Error(), "there are ")
	if !found {
		t.Fatalf("got %v", err)
	}
	names := strings.Split(list, ", ")
	if !slices.Contains(names, "base64") || !strings.Contains(strings.Join(strings.Fields(repofile.Read(t, docsFile)), " "), "`"+strings.Join(names, "`, `")+"`.") {
		t.Errorf("%s does not list the functions %s", docsFile, list)
	}
}

// The example is the first YAML of the page.
func TestDocumentedExampleRenders(t *testing.T) {
	_, after, _ := strings.Cut(repofile.Read(t, docsFile), "```yaml\n")
	block, _, _ := strings.Cut(after, "```")
	s := decode(t, []byte(block))
	requests, err := rest.Render(s, rest.Sample(s))
	if err != nil || len(requests) != 3 {
		t.Errorf("got %v, %v", requests, err)
	}
}
