package v1alpha1_test

import (
	"fmt"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/internal/provider"
)

// accepts reports whether the API server takes an object.
func accepts(t *testing.T, c client.Client, object *unstructured.Unstructured) bool {
	t.Helper()
	err := c.Create(t.Context(), object, client.DryRunAll)
	if err != nil && !apierrors.IsInvalid(err) {
		t.Fatal(err)
	}
	return err == nil
}

func opaque() *unstructured.Unstructured {
	s := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Secret"}}
	s.SetName("agreement")
	s.SetNamespace("default")
	return s
}

// repeated is a name of n characters.
func repeated(n int) string { return strings.Repeat("a", n) }

// names are candidates for keys and values of a Secret and of its metadata.
var names = []string{
	"team", "Team", "0", "a", "a_b", "a.b", "a-b", "a..b", "a--b", "a.-b", "-a", "a-", "_a", "a_", ".a", "a.", ".", "..", "...", "..a", "a...", "-", "",
	repeated(62), repeated(63), repeated(64), repeated(253), repeated(254), "the team", "tëam", "team\n", "team\t", "\u212aey", "a/b", "a:b",
	"example.com/team", "example.com/", "/team", "a/b/c", "a..b/x", "a.-b/x", "a-.b/x", ".a/x", "a./x", "-a/x", "a-/x", "a_b/x", "Example.com/team",
	"EXAMPLE.com/Team", "xn--bcher-kva.example/x", "bücher.example/x", "a.b/" + repeated(63), "a.b/" + repeated(64),
	repeated(253) + "/x", repeated(254) + "/x", repeated(63) + "." + repeated(63) + "/x", repeated(64) + ".b/x",
}

// testSecretsAgree: the schema refuses what a Secret could not carry, and nothing else,
// so that no ApiToken is accepted whose Secret could never be written.
func testSecretsAgree(t *testing.T, c client.Client) {
	rest := func(path string, set fields) *unstructured.Unstructured {
		p := restProvider()
		apply(t, p, fields{"spec.rest." + path: set})
		return p
	}
	token := func(set fields) *unstructured.Unstructured {
		a := apiToken()
		apply(t, a, set)
		return a
	}
	secret := func(set fields) *unstructured.Unstructured {
		s := opaque()
		apply(t, s, set)
		return s
	}
	for what, pair := range map[string]struct {
		ours, theirs func(name string) *unstructured.Unstructured
		// stricter: the schema may refuse what a Secret takes.
		stricter func(name string) bool
	}{
		"spec.secret.name": {
			func(n string) *unstructured.Unstructured { return token(fields{"spec.secret.name": n}) },
			func(n string) *unstructured.Unstructured { return secret(fields{"metadata.name": n}) },
			func(n string) bool { return n == "" }, // it means the name of the ApiToken
		},
		"a key of spec.secret.labels": {
			func(n string) *unstructured.Unstructured { return token(fields{"spec.secret.labels": fields{n: "x"}}) },
			func(n string) *unstructured.Unstructured { return secret(fields{"metadata.labels": fields{n: "x"}}) },
			nil,
		},
		"a value of spec.secret.labels": {
			func(n string) *unstructured.Unstructured { return token(fields{"spec.secret.labels": fields{"x": n}}) },
			func(n string) *unstructured.Unstructured { return secret(fields{"metadata.labels": fields{"x": n}}) },
			nil,
		},
		"a key of spec.secret.annotations": {
			func(n string) *unstructured.Unstructured {
				return token(fields{"spec.secret.annotations": fields{n: "x"}})
			},
			func(n string) *unstructured.Unstructured {
				return secret(fields{"metadata.annotations": fields{n: "x"}})
			},
			// The API server takes the Kelvin sign for a k, as its lower case is one.
			func(n string) bool { return strings.Contains(n, "\u212a") },
		},
		"a value of spec.secret.annotations": {
			func(n string) *unstructured.Unstructured {
				return token(fields{"spec.secret.annotations": fields{"x": n}})
			},
			func(n string) *unstructured.Unstructured {
				return secret(fields{"metadata.annotations": fields{"x": n}})
			},
			nil,
		},
		"a key of spec.rest.connection": {
			func(n string) *unstructured.Unstructured { return rest("connection", fields{n: "x"}) },
			func(n string) *unstructured.Unstructured { return secret(fields{"data": fields{n: "eA=="}}) },
			nil,
		},
		"a key of spec.rest.mint.secret": {
			func(n string) *unstructured.Unstructured { return rest("mint.secret", fields{n: "item.token"}) },
			func(n string) *unstructured.Unstructured { return secret(fields{"data": fields{n: "eA=="}}) },
			nil,
		},
	} {
		for _, name := range names {
			ours, theirs := accepts(t, c, pair.ours(name)), accepts(t, c, pair.theirs(name))
			if ours != theirs && (pair.stricter == nil || !pair.stricter(name)) {
				t.Errorf("%s: %q is accepted by the schema: %t, in a Secret: %t", what, name, ours, theirs)
			}
		}
	}
	t.Run("as much as the schema admits", func(t *testing.T) { testLargestMetadata(t, c) })
}

// testLargestMetadata: all annotations together fit a Secret, with those of the operator.
func testLargestMetadata(t *testing.T, c client.Client) {
	const wide = "\U0001f600" // four bytes, as many as a character can have
	annotations, own := fields{}, fields{}
	for i := range 32 {
		annotations[fmt.Sprintf("%s.%02d/%s", repeated(250), i, repeated(63))] = strings.Repeat(wide, 1792)
	}
	object := apiToken()
	apply(t, object, fields{"spec.secret.annotations": annotations})
	check(t, c.Create(t.Context(), object, client.DryRunAll), answer{})
	for i := range 16 { // as many as the operator writes, and as long as an account or an id
		own[fmt.Sprintf("apitoken.dev/%d", i)] = repeated(256)
	}
	own["apitoken.dev/extra-metadata"] = repeated(48 * (253 + 1 + 63 + 1))
	for k, v := range annotations {
		own[k] = v
	}
	s := opaque()
	apply(t, s, fields{"metadata.annotations": own})
	check(t, c.Create(t.Context(), s, client.DryRunAll), answer{})

	object = apiToken()
	apply(t, object, fields{"spec.secret.annotations": fields{"x": strings.Repeat("x", 1793)}})
	check(t, c.Create(t.Context(), object, client.DryRunAll), answer{"spec.secret.annotations", []string{"1792", "ConfigMap"}})
}

// testEndpointsAgree: the schema takes the endpoints that provider.Endpoint takes, in
// every field that has one.
func testEndpointsAgree(t *testing.T, c client.Client) {
	urls := []string{
		"https://api.example.com", "http://api.example.com/", "https://api.example.com//", "https://api.example.com/v1/", "https://api.example.com:1",
		"https://api.example.com:65535/v1", "https://203.0.113.7:9000", "https://[2001:db8::7]:9000/v1", "https://[2001:db8::7]", "https://localhost:8443",
		"https://", "https:///v1", "https://:9000", "https://:9000/v1", "https://api.example.com:", "https://api.example.com:/v1",
		"https://api.example.com:0", "https://api.example.com:0443", "https://api.example.com:65536", "https://api.example.com:99999/v1",
		"https://api.example.com:4294967739", "https://api.example.com:https", "https://api.example.com:443:443", "https://[2001:db8::7",
		"https://2001:db8::7", "https://user@api.example.com", "https://api.example.com?a=b", "https://api.example.com?", "https://api.example.com#a",
		"https://api example.com", "https://api.example.com/a b", " https://api.example.com", "api.example.com", "//api.example.com", "https:api.example.com",
		"ftp://api.example.com", "https://api.example.com/%zz", "https://[]/", "https://[]:443",
	}
	for _, f := range endpointFields() {
		for _, url := range urls {
			object := tokenProvider()
			if f.block == "rest" {
				object = restProvider()
				apply(t, object, fields{"spec.rest.baseURL": url})
			} else {
				apply(t, object, only(f.block, fields{f.field: url}))
			}
			_, err := provider.Endpoint(f.field, url)
			if got := accepts(t, c, object); got != (err == nil) {
				t.Errorf("%s.%s: %q is accepted by the schema: %t, by the driver: %v", f.block, f.field, url, got, err)
			}
		}
	}
}
