package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files of render")

const sampleDir = "../../config/samples/"

func render(t *testing.T, stdin string, args ...string) (string, error) {
	t.Helper()
	cmd := newRenderCommand(func() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) })
	var out bytes.Buffer
	cmd.SetArgs(args)
	cmd.SetIn(strings.NewReader(stdin))
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SilenceUsage, cmd.SilenceErrors = true, true
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

// To update the golden files: go test ./cmd/manager -run TestRenderSamplesMatchGoldenFiles -update
func TestRenderSamplesMatchGoldenFiles(t *testing.T) {
	files, err := filepath.Glob(sampleDir + "rest-*.yaml")
	if err != nil || len(files) < 3 {
		t.Fatalf("found the samples %v, %v", files, err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		t.Run(name, func(t *testing.T) {
			got, err := render(t, "", "-f", file)
			if err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("testdata", "render-"+name+".txt")
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// small is a provider without an ApiToken; each test replaces the body.
const small = `
apiVersion: apitoken.dev/v1alpha1
kind: ClusterTokenProvider
metadata: {name: small}
spec:
  credentialsSecretRef: {name: minter}
  rest:
    baseURL: https://api.example.com
    headers: [{name: Authorization, value: "Bearer {{ .credentials.token }}"}]
    credential: {id: item.id, name: item.name}
    mint:
      path: /keys
      body: BODY
      secret: {token: item.token}
    list: {path: /keys, items: body.keys}
    revoke: {path: "/keys/{{ .id }}"}
`

const body = `'{"name": {{ .name }}, "permissions": {{ .permissions }}}'`

func TestRenderWithoutApiToken(t *testing.T) {
	got, err := render(t, strings.Replace(small, "BODY", body, 1), "-f", "-")
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{
		"# provider small, an example\n", "\n## mint\nPOST https://api.example.com/keys\n", "Authorization: Bearer [redacted]\n",
		`"name": "at1-cccccccc-`, `"example:read"`, "\n## revoke\nDELETE https://api.example.com/keys/ID-OF-THE-CREDENTIAL\n",
	} {
		if !strings.Contains(got, part) {
			t.Errorf("%q is missing in\n%s", part, got)
		}
	}
}

func TestRenderRefusesInvalidFiles(t *testing.T) {
	provider := strings.Replace(small, "BODY", body, 1)
	token := "\n---\napiVersion: apitoken.dev/v1alpha1\nkind: ApiToken\nmetadata: {name: t, namespace: ml}\nspec:\n  providerRef: {name: small}\n"
	for name, tc := range map[string]struct{ stdin, says string }{
		"quotes around a value":           {strings.Replace(small, "BODY", `'{"name": "{{ .name }}", "p": {{ .permissions }}}'`, 1), `spec.rest.mint.body does not make JSON; a {{ }} already makes a JSON value, with its quotes: it makes {"name": ""at1-`},
		"an unknown template field":       {strings.Replace(small, "BODY", `'{"name": {{ .nme }}}'`, 1), "spec.rest.mint.body: there is no .nme here"},
		"an unknown YAML field":           {strings.Replace(provider, "items:", "itmes:", 1), `unknown field "itmes"`},
		"a bucket that cannot be granted": {provider + token + "  scopes: [a:read]\n  buckets: [datasets]\n", "spec.buckets: datasets"},
		"another driver":                  {"apiVersion: apitoken.dev/v1alpha1\nkind: TokenProvider\nmetadata: {name: p}\nspec: {aws: {}}\n", "provider p has no rest block"},
		"two providers":                   {provider + "\n---\n" + provider, "two providers"},
		"no provider":                     {token, "no TokenProvider or ClusterTokenProvider"},
		"no YAML":                         {"}{", "not YAML of an object"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := render(t, tc.stdin, "-f", "-")
			if err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("got %v, want an error with %q", err, tc.says)
			}
		})
	}
	if _, err := render(t, ""); err == nil || !strings.Contains(err.Error(), "-f is required") {
		t.Errorf("without a file: %v", err)
	}
	if _, err := render(t, "", "-f", "testdata/absent.yaml"); err == nil {
		t.Error("a file that is not there is read")
	}
}
