package v1alpha1_test

import (
	"strconv"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"apitoken.dev/operator/test/support/testenv"
)

// restProvider is a TokenProvider whose rest block has only the required fields.
func restProvider() *unstructured.Unstructured {
	provider := newObject("TokenProvider", "vendor", map[string]any{
		"credentialsSecretRef": map[string]any{"name": "vendor-minter"},
		"rest": map[string]any{
			"baseURL":    "https://api.example.com",
			"credential": map[string]any{"id": "item.id", "name": "item.name"},
			"mint":       map[string]any{"path": "/keys", "body": `{"name": {{ .name }}}`, "secret": map[string]any{"token": "item.token"}},
			"list":       map[string]any{"path": "/keys", "items": "body.keys"},
			"revoke":     map[string]any{"path": "/keys/{{ .id }}"},
		},
	})
	provider.SetNamespace("default")
	return provider
}

func restCase(path string, value any, at string, says ...string) createCase {
	return createCase{set: fields{"spec.rest." + path: value}, want: answer{"spec.rest." + at, says}}
}

// TestAPIServerChecksRestBlocks shows what a real API server answers to a rest block. What only
// compiling can tell is said by the driver.
func TestAPIServerChecksRestBlocks(t *testing.T) {
	c := testenv.Start(t).Client(nil)
	testCreate(t, c, restProvider(), map[string]createCase{
		"the least": {},
		"every part": {set: fields{
			"spec.rest.caBundle":         pem("CERTIFICATE"),
			"spec.rest.headers":          []any{fields{"name": "Authorization", "value": "Bearer {{ .credentials.token }}"}},
			"spec.rest.account":          fields{"path": "/me", "id": "body.id", "permissions": "body.permissions"},
			"spec.rest.scopes":           []any{fields{"scope": "keys:read", "permission": "READ"}, fields{"scope": "keys:write"}},
			"spec.rest.narrows":          []string{"buckets", "allowedIPs", "deniedIPs", "subaccounts"},
			"spec.rest.namedBucketsOnly": true,
			"spec.rest.limits":           fields{"name": 48, "live": 2, "listed": 100, "scopes": 1, "buckets": 10},
			"spec.rest.expiry":           fields{"enforcedBy": "Provider", "maxLifetime": "8760h"},
			"spec.rest.settle":           "2m", "spec.rest.usableAfter": "10s",
			"spec.rest.connection":           fields{"endpoint": "https://api.example.com"},
			"spec.rest.mint.successStatuses": []int{200, 201}, "spec.rest.mint.query": fields{"a": "b"}, "spec.rest.mint.method": "PUT",
			"spec.rest.get":    fields{"path": "/keys/{{ .id }}", "item": "body"},
			"spec.rest.update": fields{"path": "/keys/{{ .id }}", "fields": []string{"scopes", "expiry"}, "applied": "true"},
			"spec.rest.probe":  fields{"path": "/me", "headers": []any{fields{"name": "X-Token", "value": "{{ .secret.token }}"}}, "refusedStatuses": []int{401}},
			"spec.rest.error":  fields{"word": "body.code", "codes": fields{"full": "QuotaExceeded"}, "inDoubt": "status == 400"},
		}},

		"baseURL: no scheme":            restCase("baseURL", "api.example.com", "baseURL", `"api.example.com" is not a URL of an API`, "https://api.example.com"),
		"baseURL: with credentials":     restCase("baseURL", "https://me:word@api.example.com", "baseURL", "without user"),
		"caBundle: no certificate":      restCase("caBundle", "MIIB", "caBundle", "no certificate"),
		"caBundle: the private key":     restCase("caBundle", pem("CERTIFICATE")+pem("PRIVATE KEY"), "caBundle", "private key"),
		"header: Host":                  restCase("headers", []any{fields{"name": "Host", "value": "x"}}, "headers[0].name", `"Host" cannot be set`, "Remove it"),
		"header: Content-Length":        restCase("mint.headers", []any{fields{"name": "content-length", "value": "1"}}, "mint.headers[0].name", `"content-length" cannot be set`),
		"header: Transfer-Encoding":     restCase("list.headers", []any{fields{"name": "Transfer-Encoding", "value": "x"}}, "list.headers[0].name", "cannot be set"),
		"header: of a proxy":            restCase("headers", []any{fields{"name": "Proxy-Authorization", "value": "x"}}, "headers[0].name", "cannot be set"),
		"header: with a blank":          restCase("headers", []any{fields{"name": "X Token", "value": "x"}}, "headers[0].name", `"X Token" is not the name of a header`, "Authorization"),
		"scope: of one part":            restCase("scopes", []any{fields{"scope": "read"}}, "scopes[0].scope", `"read" is not a scope`, "objectstorage:object-read-only"),
		"narrows: expiry":               restCase("narrows", []string{"expiry"}, "narrows", "buckets, allowedIPs, deniedIPs or subaccounts"),
		"limit: names too short":        restCase("limits", fields{"name": 47}, "limits.name", "47: too short", "48 characters", "never shortened", "write 48 to 60", "another driver"),
		"limit: no names at all":        restCase("limits", fields{"name": 0}, "limits.name", "0: too short"),
		"limit: names too long":         restCase("limits", fields{"name": 61}, "limits.name", "60"),
		"limit: none live":              restCase("limits", fields{"live": -1}, "limits.live", "1"),
		"limit: more than a number":     restCase("limits", fields{"live": 1 << 31}, "limits.live", "2147483647"),
		"limit: a list without get":     restCase("limits", fields{"listed": 100}, "limits.listed", "only the newest", "needs get", "for example get", "remove limits.listed"),
		"expiry: unknown enforcer":      restCase("expiry", fields{"enforcedBy": "Vendor"}, "expiry.enforcedBy", `"Provider", "Operator"`),
		"expiry: too short a life":      restCase("expiry", fields{"maxLifetime": "1m"}, "expiry.maxLifetime", "at least 1h"),
		"settle: none":                  restCase("settle", "0s", "settle", "longer than 0"),
		"settle: a day":                 restCase("settle", "24h", "settle", "at most 1h"),
		"usableAfter: too long":         restCase("usableAfter", "1m", "usableAfter", "from 0s to 30s"),
		"connection: a bad key":         restCase("connection", fields{"a b": "x"}, "connection", "AWS_ENDPOINT_URL"),
		"connection: a secret's key":    restCase("connection", fields{"token": "x"}, "connection", "both connection and mint.secret"),
		"connection: a proxy":           restCase("connection", fields{"https_proxy": "http://evil.example.com"}, "connection", "changes how programs run", "envFrom"),
		"connection: the linker":        restCase("connection", fields{"LD_PRELOAD": "/tmp/x.so"}, "connection", "changes how programs run", "choose another key"),
		"mint: a variable of shells":    restCase("mint.secret", fields{"token": "item.token", "Bash_Env": "item.x"}, "mint.secret", "changes how programs run"),
		"mint: all keys, and long ones": {set: fields{"spec.rest.mint.secret": longKeys(8), "spec.rest.connection": longKeys(16, "c")}},
		"credential: no id":             restCase("credential.id", "", "credential.id", "at least 1"),
		"credential: it is off and on":  restCase("credential", fields{"id": "item.id", "name": "item.name", "live": "item.on", "disabled": "item.on"}, "credential.disabled", "disabled must differ from live", "while it is switched off"),
		"credential: both states":       {set: fields{"spec.rest.credential.live": "item.on", "spec.rest.credential.disabled": "item.off"}},
		"credential: a long state":      restCase("credential.disabled", strings.Repeat("x", 1025), "credential.disabled", "1024"),
		"mint: GET":                     {set: fields{"spec.rest.mint.method": "GET", "spec.rest.mint.body": nil}, want: answer{"spec.rest.mint.method", []string{"GET request can be repeated", "POST or PUT"}}},
		"mint: another method":          restCase("mint.method", "TRACE", "mint.method", `"GET", "POST"`),
		"mint: no secret":               restCase("mint.secret", fields{}, "mint.secret", "at least 1"),
		"mint: a bad key":               restCase("mint.secret", fields{"a/b": "item.x"}, "mint.secret", "for example token"),
		"mint: a status of failure":     restCase("mint.successStatuses", []int{302}, "mint.successStatuses[0]", "299"),
		"path: relative":                restCase("list.path", "keys", "list.path", `"keys" is not a path`, "must begin with /"),
		"path: with parameters":         restCase("revoke.path", "/keys?id={{ .id }}", "revoke.path", "Put parameters in query"),
		"list: GET with a body":         restCase("list", fields{"path": "/keys", "items": "body", "method": "GET", "body": "{}"}, "list.body", "GET request cannot have a body"),
		"update: of nothing":            restCase("update", fields{"path": "/k", "fields": []string{}, "applied": "true"}, "update.fields", "at least 1"),
		"update: of the name":           restCase("update", fields{"path": "/k", "fields": []string{"name"}, "applied": "true"}, "update.fields", "scopes, buckets"),
		"probe: refused by success":     restCase("probe", fields{"path": "/k", "refusedStatuses": []int{200}}, "probe.refusedStatuses[0]", "400"),
		"error: an unknown code":        restCase("error", fields{"codes": fields{"x": "Bad"}}, "error.codes.x", `"QuotaExceeded"`),
	})
	testChange(t, c, restProvider(), map[string]changeCase{
		"baseURL: with live credentials": {
			status: fields{"status.liveCredentials": 2}, set: fields{"spec.rest.baseURL": "https://api.example.org"},
		},
		"all the rest, with live credentials": {status: fields{"status.liveCredentials": 2}, set: fields{
			"spec.rest.mint.body": `{"key": {{ .name }}}`, "spec.rest.list.items": "body.data", "spec.rest.revoke.path": "/keys/{{ .name }}",
		}},
	})
}

// longKeys are n keys of a Secret, each as long as a key may be: rules must afford them.
func longKeys(n int, prefix ...string) fields {
	out := fields{}
	for i := range n {
		name := strings.Join(prefix, "") + strconv.Itoa(i)
		out[name+strings.Repeat("k", 253-len(name))] = "item.token"
	}
	return out
}
