package v1alpha1_test

import (
	"fmt"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"apitoken.dev/operator/test/support/repofile"
)

// maxSpec is the maximum size of one object's spec, in characters. The operator keeps every
// spec in its cache.
const maxSpec = 1 << 20

// schema is the part of an OpenAPI schema that bounds a value.
type schema struct {
	Type                 string            `json:"type"`
	Format               string            `json:"format"`
	Enum                 []any             `json:"enum"`
	MaxLength            *int              `json:"maxLength"`
	MaxItems             *int              `json:"maxItems"`
	MaxProperties        *int              `json:"maxProperties"`
	Items                *schema           `json:"items"`
	Properties           map[string]schema `json:"properties"`
	AdditionalProperties *schema           `json:"additionalProperties"`
	AllOf                []schema          `json:"allOf"`
}

// boundedByRule are strings that a CEL rule bounds, with their maximum length.
var boundedByRule = map[string]int{"spec.secret.labels{}": 63, "spec.secret.annotations{}": 2048}

// ofAdministrators are the fields that only cluster administrators write: a label selector,
// which has the schema of Kubernetes.
const ofAdministrators = "spec.allowedNamespaces"

// size returns the maximum number of characters of a value, and reports values without a limit.
func (s schema) size(t *testing.T, path string) int {
	t.Helper()
	switch {
	case strings.HasPrefix(path, ofAdministrators):
		return 0
	case s.Type == "string":
		return s.stringSize(t, path)
	case s.Type == "array":
		return bound(t, path, s.MaxItems) * s.Items.size(t, path+"[]")
	case s.Type == "object" && s.AdditionalProperties != nil:
		return bound(t, path, s.MaxProperties) * (317 + s.AdditionalProperties.size(t, path+"{}"))
	case s.Type == "object":
		n := 0
		for name, property := range s.Properties {
			n += len(name) + property.size(t, path+"."+name)
		}
		return n
	default:
		return 20 // a number or a boolean
	}
}

func (s schema) stringSize(t *testing.T, path string) int {
	t.Helper()
	for _, part := range s.AllOf {
		if part.MaxLength != nil {
			return *part.MaxLength
		}
	}
	if n, ok := boundedByRule[path]; ok {
		return n
	}
	if len(s.Enum) > 0 || s.Format == "date-time" {
		return 64
	}
	return bound(t, path, s.MaxLength)
}

func bound(t *testing.T, path string, limit *int) int {
	t.Helper()
	if limit == nil {
		t.Errorf("%s has no limit: the cache would keep as much as a user writes", path)
		return 1
	}
	return *limit
}

// TestEveryFieldIsBounded: the spec and the status that the cache keeps of an object have a
// maximum size.
func TestEveryFieldIsBounded(t *testing.T) {
	for _, name := range []string{"apitokens", "tokenproviders", "clustertokenproviders"} {
		var crd struct {
			Spec struct {
				Versions []struct {
					Schema struct {
						OpenAPIV3Schema schema `json:"openAPIV3Schema"`
					} `json:"schema"`
				} `json:"versions"`
			} `json:"spec"`
		}
		if err := yaml.Unmarshal([]byte(repofile.Read(t, "config/crd/bases/apitoken.dev_"+name+".yaml")), &crd); err != nil {
			t.Fatal(err)
		}
		for _, version := range crd.Spec.Versions {
			for part, limit := range map[string]int{"spec": maxSpec, "status": 0} {
				n := version.Schema.OpenAPIV3Schema.Properties[part].size(t, part)
				t.Logf("%s", fmt.Sprintf("the %s of %s: %d characters at most", part, name, n))
				if limit > 0 && n > limit {
					t.Errorf("the %s of %s has up to %d characters, want at most %d", part, name, n, limit)
				}
			}
		}
	}
}
