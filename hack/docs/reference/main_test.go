package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const small = `
spec:
  group: apitoken.dev
  scope: Namespaced
  names: {kind: Thing, plural: things, shortNames: [th]}
  versions:
  - name: v1
    storage: true
    schema:
      openAPIV3Schema:
        x-kubernetes-validations:
        - {rule: "true", message: "never | changes", fieldPath: .spec.mode}
        properties:
          spec:
            description: of no use here
            required: [size]
            properties:
              size: {type: integer, minimum: 1, maximum: 9, description: "how *large*\nit is"}
              mode: {type: string, default: "Off", enum: ["Off", "On"]}
              names:
                type: array
                x-kubernetes-list-type: set
                maxItems: 3
                items:
                  type: string
                  maxLength: 5
                  x-kubernetes-validations:
                  - {rule: "x", messageExpression: "strings.quote(self) + ' is wrong: write ' + (has(self.a) ? 'x' : 'y') + ', isn\\'t it'"}
              labels: {type: object, additionalProperties: {type: string}}
              inner: {type: object, properties: {a: {type: string, format: date-time}}}
              many:
                type: array
                x-kubernetes-list-type: map
                x-kubernetes-list-map-keys: [key]
                items: {type: object, required: [key], properties: {key: {type: string, pattern: "^a|b$"}}}
          status: {properties: {conditions: {type: array, items: {type: object, properties: {type: {type: string}}}}}}
`

const smallTables = "`apitoken.dev/v1`, namespaced, resource `things`, short `th`. A field in bold is required in the object above it; " +
	"`[]` is an element of a list, `{}` a value of a map.\n" + `
### ` + "`spec`" + `

| field | type | default | meaning | allowed |
|---|---|---|---|---|
| ` + "`spec.inner`" + ` | object |  |  |  |
| ` + "`spec.inner.a`" + ` | time |  |  |  |
| ` + "`spec.labels`" + ` | map of string |  |  |  |
| ` + "`spec.many`" + ` | list of object, one for each ` + "`key`" + ` |  |  |  |
| **` + "`spec.many[].key`" + `** | string |  |  | ` + "`^a\\|b$`" + ` |
| ` + "`spec.mode`" + ` | string | ` + "`Off`" + ` |  | ` + "`Off`, `On`" + ` |
| ` + "`spec.names`" + ` | set of string |  |  | at most 3 elements; each: at most 5 characters; … is wrong: write …, isn't it |
| **` + "`spec.size`" + `** | integer |  | how \*large\* it is | 1 to 9 |

### ` + "`status`" + `

| field | type | default | meaning | allowed |
|---|---|---|---|---|
| ` + "`status.conditions`" + ` | list of object |  |  |  |

### Rules of the whole object

- ` + "`spec.mode`" + `: never \| changes

`

// repository creates a repository with a CRD and a document, and returns both.
func repository(t *testing.T, document string) (root, file string) {
	t.Helper()
	root = t.TempDir()
	file = filepath.Join(root, "docs", "kinds", "thing.md")
	for name, content := range map[string]string{
		filepath.Join(root, "config", "crd", "bases", "things.yaml"): small,
		file: document,
	} {
		if err := os.MkdirAll(filepath.Dir(name), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root, file
}

func TestCheckFindsOldTables(t *testing.T) {
	root, file := repository(t, "before\n"+begin+"\nold\n"+end+"\nafter\n")
	if err := run(root, true); !errors.Is(err, errNotCurrent) {
		t.Errorf("old tables: got %v", err)
	}
	if err := run(root, false); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("before\n"+begin+"\n"+smallTables+end+"\nafter\n", string(got)); diff != "" {
		t.Errorf("written (-want +got):\n%s", diff)
	}
	if err := run(root, true); err != nil {
		t.Errorf("tables just written: %v", err)
	}
}

func TestMissingMarkersDocumentsAndCRDsAreErrors(t *testing.T) {
	root, file := repository(t, "no markers")
	if err := run(root, false); err == nil || !strings.Contains(err.Error(), "there are no lines") {
		t.Errorf("without markers: %v", err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := run(root, false); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a kind without a document: %v", err)
	}
	if err := run(t.TempDir(), false); err == nil {
		t.Error("no CRDs, and no error")
	}
}

// Every row of the real tables has a type and a description.
func TestEveryFieldOfTheKindsIsExplained(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("..", "..", "..", "config", "crd", "bases", "*.yaml"))
	if err != nil || len(files) != 3 {
		t.Fatalf("CRDs %v, %v", files, err)
	}
	for _, file := range files {
		k, err := readKind(file)
		if err != nil {
			t.Fatal(err)
		}
		rows := 0
		for line := range strings.Lines(reference(k)) {
			if !strings.HasPrefix(line, "| `") && !strings.HasPrefix(line, "| **") {
				continue
			}
			rows++
			cells := strings.Split(strings.ReplaceAll(line, `\|`, ""), "|")
			if len(cells) != 7 || strings.TrimSpace(cells[2]) == "" || strings.TrimSpace(cells[4]) == "" {
				t.Errorf("%s: %s", k.Name, line)
			}
		}
		if rows < 30 {
			t.Errorf("%s has %d fields", k.Name, rows)
		}
	}
}

func TestDocumentsAreCurrent(t *testing.T) {
	if err := run(filepath.Join("..", "..", ".."), true); err != nil {
		t.Error(err)
	}
}
