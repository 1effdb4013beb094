package v1alpha1_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
)

func providerSpec() map[string]any {
	return map[string]any{
		"credentialsSecretRef": map[string]any{"name": "object-store-minter"},
		"aws":                  map[string]any{"iamEndpoint": "https://iam.example.com", "s3Endpoint": "https://s3.example.com"},
	}
}

// tokenProvider is a valid TokenProvider.
func tokenProvider() *unstructured.Unstructured {
	provider := newObject("TokenProvider", "own-account", providerSpec())
	provider.SetNamespace("default")
	return provider
}

// clusterTokenProvider is a valid ClusterTokenProvider.
func clusterTokenProvider() *unstructured.Unstructured {
	return newObject("ClusterTokenProvider", "object-store", providerSpec())
}

// providerCases hold for both kinds of provider.
var providerCases = map[string]createCase{
	"valid":      {},
	"AWS itself": {set: fields{"spec.aws": fields{}}},
	"empty values mean none": {set: fields{"spec.aws": fields{
		"iamEndpoint": "", "s3Endpoint": "", "caBundle": "", "permissionsBoundary": "",
	}}},
	"credentials of an impossible name": {
		set:  fields{"spec.credentialsSecretRef.name": "object_store"},
		want: answer{"spec.credentialsSecretRef.name", []string{`"object_store" cannot be the name of a Secret`, "object-store-minter"}},
	},
	"credentials of no name": {
		set:  fields{"spec.credentialsSecretRef.name": ""},
		want: answer{"spec.credentialsSecretRef.name", []string{`""`}},
	},
	"endpoint: http, a port and a path":   {set: fields{"spec.aws.iamEndpoint": "http://127.0.0.1:7070/iam"}},
	"endpoint: IPv6":                      {set: fields{"spec.aws.s3Endpoint": "https://[2001:db8::7]:9000"}},
	"endpoint: without a scheme":          endpoint("iamEndpoint", "iam.example.com"),
	"endpoint: another scheme":            endpoint("s3Endpoint", "s3://datasets"),
	"endpoint: no host":                   endpoint("s3Endpoint", "https:///datasets"),
	"endpoint: with credentials":          endpoint("iamEndpoint", "https://user:word@iam.example.com"),
	"endpoint: with a query":              endpoint("iamEndpoint", "https://iam.example.com/?region=x"),
	"endpoint: with a fragment":           endpoint("s3Endpoint", "https://s3.example.com/#x"),
	"endpoint: with a blank":              endpoint("s3Endpoint", "https://s3.example.com /x"),
	"endpoint: with an invalid port":      endpoint("s3Endpoint", "https://s3.example.com:http"),
	"region: of other servers":            {set: fields{"spec.aws.region": "garage"}},
	"region: with a blank":                {set: fields{"spec.aws.region": "us east"}, want: answer{"spec.aws.region", []string{`"us east" is not a region`, "us-east-1"}}},
	"region: empty":                       {set: fields{"spec.aws.region": ""}, want: answer{"spec.aws.region", []string{`"" is not a region`}}},
	"permissionsBoundary":                 {set: fields{"spec.aws.permissionsBoundary": "arn:aws:iam::123456789012:policy/team/apitoken-boundary"}},
	"permissionsBoundary: AWS's own":      {set: fields{"spec.aws.permissionsBoundary": "arn:aws-us-gov:iam::aws:policy/PowerUserAccess"}},
	"permissionsBoundary: a name":         boundary("apitoken-boundary"),
	"permissionsBoundary: a role":         boundary("arn:aws:iam::123456789012:role/minter"),
	"permissionsBoundary: of no name":     boundary("arn:aws:iam::123456789012:policy/"),
	"caBundle":                            {set: fields{"spec.aws.caBundle": pem("CERTIFICATE")}},
	"caBundle: base64 of a certificate":   {set: fields{"spec.aws.caBundle": "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0t"}, want: answer{"spec.aws.caBundle", []string{"no certificate", "-----BEGIN CERTIFICATE-----", "not base64"}}},
	"caBundle: with the private key":      {set: fields{"spec.aws.caBundle": pem("CERTIFICATE") + pem("PRIVATE KEY")}, want: answer{"spec.aws.caBundle", []string{"private key", "only certificates"}}},
	"caBundle: with an elliptic key":      {set: fields{"spec.aws.caBundle": pem("CERTIFICATE") + pem("EC PRIVATE KEY")}, want: answer{"spec.aws.caBundle", []string{"private key"}}},
	"caBundle: more than an object takes": {set: fields{"spec.aws.caBundle": strings.Repeat("x", 65537)}, want: answer{"spec.aws.caBundle", []string{"65536"}}},
}

func endpoint(field, url string) createCase {
	return createCase{
		set:  fields{"spec.aws." + field: url},
		want: answer{"spec.aws." + field, []string{fmt.Sprintf("%q is not an endpoint", url), "http:// or https://", "absent: AWS itself"}},
	}
}

func boundary(arn string) createCase {
	return createCase{
		set:  fields{"spec.aws.permissionsBoundary": arn},
		want: answer{"spec.aws.permissionsBoundary", []string{fmt.Sprintf("%q is not the ARN", arn), "arn:aws:iam::123456789012:policy/apitoken-boundary"}},
	}
}

func pem(label string) string {
	return "-----BEGIN " + label + "-----\nMA==\n-----END " + label + "-----\n"
}

var clusterProviderCases = map[string]createCase{
	"namespaces: all": {set: fields{"spec.allowedNamespaces": fields{}}},
	"namespaces: by label": {set: fields{"spec.allowedNamespaces": fields{
		"matchLabels": fields{"tokens": "allowed"},
		"matchExpressions": []any{
			fields{"key": "team", "operator": "In", "values": []string{"ml"}},
			fields{"key": "legacy", "operator": "DoesNotExist"},
		},
	}}},
	"namespaces: an unknown operator": expression(fields{"key": "team", "operator": "Equals", "values": []string{"ml"}},
		"is In, NotIn, Exists or DoesNotExist"),
	"namespaces: In without values": expression(fields{"key": "team", "operator": "In"},
		"In and NotIn need values"),
	"namespaces: Exists with values": expression(fields{"key": "team", "operator": "Exists", "values": []string{"ml"}},
		"Exists and DoesNotExist must have no values"),
}

func expression(e fields, says string) createCase {
	return createCase{
		set:  fields{"spec.allowedNamespaces": fields{"matchExpressions": []any{e}}},
		want: answer{"spec.allowedNamespaces.matchExpressions", []string{says}},
	}
}

// providerChanges hold for both kinds of provider.
var providerChanges = map[string]changeCase{
	"endpoint: without live credentials":             {set: fields{"spec.aws.iamEndpoint": "https://iam.example.org"}},
	"endpoint: with live credentials":                {status: fields{"status.liveCredentials": 12}, set: fields{"spec.aws.iamEndpoint": "https://iam.example.org"}},
	"endpoint: to AWS itself, with live credentials": {status: fields{"status.liveCredentials": 1}, set: fields{"spec.aws.iamEndpoint": nil}},
	"all the rest, with live credentials": {status: fields{"status.liveCredentials": 12}, set: fields{
		"spec.credentialsSecretRef.name": "other", "spec.aws.s3Endpoint": "https://s3.example.org", "spec.aws.region": "eu-central-1",
		"spec.aws.caBundle": pem("CERTIFICATE"), "spec.aws.permissionsBoundary": "arn:aws:iam::123456789012:policy/b",
	}},
	"status: more credentials": {status: fields{"status.liveCredentials": 12}, setStatus: fields{"status.liveCredentials": 13}},
}

func restBlock() fields {
	return fields{
		"baseURL":    "https://api.example.com",
		"credential": fields{"id": "item.id", "name": "item.name"},
		"mint":       fields{"path": "/tokens", "body": `{"name": {{ .name }}}`, "secret": fields{"token": "item.token"}},
		"list":       fields{"path": "/tokens", "items": "body"},
		"revoke":     fields{"path": "/tokens/{{ .id }}"},
	}
}

// only returns the changes that leave one block in a provider, with these fields in it.
func only(name string, set fields) fields {
	out := fields{}
	for _, block := range driverBlocks() {
		out["spec."+block.name] = nil
	}
	spec := fields{}
	for _, block := range driverBlocks() {
		if block.name == name {
			maps.Copy(spec, block.spec)
		}
	}
	maps.Copy(spec, set)
	maps.DeleteFunc(spec, func(_ string, value any) bool { return value == nil })
	out["spec."+name] = spec
	return out
}

// testDriverBlocks shows what holds for every driver block, for both kinds of provider.
func testDriverBlocks(t *testing.T, c client.Client) {
	for _, valid := range []*unstructured.Unstructured{tokenProvider(), clusterTokenProvider()} {
		t.Run(valid.GetKind(), func(t *testing.T) {
			t.Run("blocks", func(t *testing.T) { testCreate(t, c, valid, blockCases()) })
			t.Run("values", func(t *testing.T) { testCreate(t, c, valid, valueCases()) })
			t.Run("switches", func(t *testing.T) { testChange(t, c, valid, switchCases()) })
			t.Run("accounts", func(t *testing.T) { testChange(t, c, valid, accountCases()) })
		})
	}
}

// blockCases: exactly one block, and a credentials Secret for all but kloudbean.
func blockCases() map[string]createCase {
	none := only("aws", nil)
	none["spec.aws"] = nil
	cases := map[string]createCase{
		"none": {set: none, want: answer{"spec", []string{"exactly one driver block: " + orJoined(v1alpha1.Blocks()), "sets [ ]"}}},
	}
	for i, block := range driverBlocks() {
		cases[block.name+" alone"] = createCase{set: only(block.name, nil)}
		for _, other := range driverBlocks()[i+1:] {
			both := only(block.name, nil)
			both["spec."+other.name] = other.spec
			cases[block.name+" and "+other.name] = createCase{set: both, want: answer{"spec", []string{
				"exactly one driver block", "sets [ " + block.name + " " + other.name + " ]",
			}}}
		}
		bare := createCase{set: only(block.name, nil)}
		bare.set["spec.credentialsSecretRef"] = nil
		if block.credentials {
			bare.want = answer{"spec.credentialsSecretRef", []string{"credentialsSecretRef is missing", "name the Secret"}}
		}
		cases[block.name+" without credentials"] = bare
	}
	all := only("aws", nil)
	for _, block := range driverBlocks() {
		all["spec."+block.name] = block.spec
	}
	cases["all"] = createCase{set: all, want: answer{"spec", []string{"sets [ " + strings.Join(v1alpha1.Blocks(), " ") + " ]"}}}
	return cases
}

// switchCases: the block is fixed while credentials are live.
func switchCases() map[string]changeCase {
	cases := map[string]changeCase{}
	for i, block := range driverBlocks() {
		next := driverBlocks()[(i+1)%len(driverBlocks())]
		name := block.name + " to " + next.name
		cases[name] = changeCase{from: only(block.name, nil), set: only(next.name, nil)}
		cases[name+" with live credentials"] = changeCase{
			from: only(block.name, nil), status: fields{"status.liveCredentials": 3}, set: only(next.name, nil),
			want: answer{"spec", []string{"driver block cannot change", "status.liveCredentials", "Create another provider"}},
		}
		// It was changed while status.liveCredentials lagged.
		cases["back, "+name+", with live credentials"] = changeCase{
			from: only(block.name, nil), status: fields{"status.liveCredentials": 3, "status.driver": next.name}, set: only(next.name, nil),
		}
	}
	return cases
}

// accountCases: what names the account is fixed while credentials are live, except for
// changing back. An endpoint is not: the operator verifies it. That of kloudbean, which
// cannot show what there is, is.
func accountCases() map[string]changeCase {
	live := fields{"status.liveCredentials": 1}
	cases := map[string]changeCase{}
	for _, a := range []struct {
		block, field string
		from, to     any
		says         string
		back         fields
	}{
		{"ibee", "workspaceID", "42", "43", "from 42 to 43", fields{"status.account": "43"}},
		{"crusoe", "organizationID", "one", "two", "from one to two", fields{"status.account": "two/user"}},
		{"kloudbean", "s3Endpoint", "https://s3.kloudbean.com", "https://s3.example.com", "from https://s3.kloudbean.com to https://s3.example.com",
			fields{"status.endpoint": "https://s3.example.com"}},
	} {
		name := fmt.Sprintf("%s.%s from %v to %v", a.block, a.field, a.from, a.to)
		from, to := only(a.block, fields{a.field: a.from}), only(a.block, fields{a.field: a.to})
		cases[name] = changeCase{from: from, set: to}
		cases[name+" with live credentials"] = changeCase{from: from, status: live, set: to, want: answer{
			"spec." + a.block + "." + a.field, []string{a.says, "status.liveCredentials", "Create another provider"},
		}}
		back := fields{"status.liveCredentials": 1}
		maps.Copy(back, a.back)
		cases[name+" back, with live credentials"] = changeCase{from: from, status: back, set: to}
	}
	for block, to := range map[string]fields{
		"aws": {"iamEndpoint": "https://iam.example.org"}, "ibee": {"endpoint": "https://ibee.example.com/v1"},
		"crusoe": {"endpoint": "https://crusoe.example.com/v1"}, "proxyscrape": {"endpoint": "https://proxyscrape.example.com"},
		"rest": {"baseURL": "https://api.example.org"},
	} {
		cases[block+": the endpoint, with live credentials"] = changeCase{from: only(block, nil), status: live, set: only(block, to)}
	}
	for block, to := range map[string]fields{
		"ibee":      {"s3Endpoint": "https://42.blob.example.com"},
		"crusoe":    {"location": "eu-iceland1-a", "s3Endpoint": "https://object.example.com"},
		"kloudbean": {"region": "eu-central-1"},
	} {
		cases[block+": the rest, with live credentials"] = changeCase{from: only(block, nil), status: live, set: only(block, to)}
	}
	return cases
}

// notEndpoints are values that no endpoint may have.
var notEndpoints = map[string]string{
	"without a scheme":   "api.example.com",
	"another scheme":     "ftp://api.example.com",
	"no host":            "https:///v1",
	"with credentials":   "https://user:word@api.example.com",
	"with a query":       "https://api.example.com/?x=y",
	"with a fragment":    "https://api.example.com/#x",
	"with a blank":       "https://api.example.com /v1",
	"a port that is not": "https://api.example.com:https",
	"a port too high":    "https://api.example.com:65536",
	"a port and no host": "https://:9000/v1",
}

// valueCases: the fields of the blocks, one by one. Those of aws are in
// providerCases.
func valueCases() map[string]createCase {
	cases := map[string]createCase{}
	put := func(block, field, what string, value any, want ...string) {
		c := createCase{set: only(block, fields{field: value})}
		if len(want) > 0 {
			c.want = answer{"spec." + block + "." + field, want}
		}
		cases[block+"."+field+": "+what] = c
	}
	for _, e := range []struct {
		block, field, example string
		required              bool
	}{
		{"ibee", "s3Endpoint", "https://42.blob.ibeestorage.com", false},
		{"crusoe", "s3Endpoint", "https://object.us-east1-a.crusoecloudcompute.com", false},
		{"kloudbean", "s3Endpoint", "https://s3.kloudbean.com", true},
	} {
		put(e.block, e.field, "the example", e.example)
		put(e.block, e.field, "http, IPv6, a port and a path", "http://[2001:db8::7]:7070/v1")
		for what, url := range notEndpoints {
			put(e.block, e.field, what, url, fmt.Sprintf("%q is not an endpoint", url), "http:// or https://", "without user, query or fragment", e.example)
		}
		put(e.block, e.field, "too long", "https://api.example.com/"+strings.Repeat("x", 1024), "1024")
		if e.required {
			put(e.block, e.field, "empty", "", `"" is not an endpoint`, e.example)
			put(e.block, e.field, "absent", nil, "Required")
		} else {
			put(e.block, e.field, "empty means the default", "")
		}
	}
	for _, v := range []string{"", "0", "042", "-1", "4 2", "forty-two", "4.2"} {
		put("ibee", "workspaceID", fmt.Sprintf("%q", v), v, fmt.Sprintf("%q is not the number of a workspace", v), `for example "42"`)
	}
	put("ibee", "workspaceID", "a number, not a string", 42, "string")
	for _, v := range []string{"", "two words", "org/one", "org_one", "a.b"} {
		put("crusoe", "organizationID", fmt.Sprintf("%q", v), v, fmt.Sprintf("%q is not the id of an organization", v), "copy it from the console")
	}
	for _, v := range []string{"", "US-EAST1-A", "-us", "us-", "us east", "us.east"} {
		put("crusoe", "location", fmt.Sprintf("%q", v), v, fmt.Sprintf("%q is not a location", v), "for example us-east1-a")
	}
	for _, v := range []string{"", "us east", "-us", "us/east"} {
		put("kloudbean", "region", fmt.Sprintf("%q", v), v, fmt.Sprintf("%q is not a region", v), "for example us-east-1")
	}
	put("kloudbean", "region", "of other servers", "garage")
	for field, most := range map[string]int{"ibee.workspaceID": 20, "crusoe.organizationID": 64, "crusoe.location": 64, "kloudbean.region": 64} {
		block, name, _ := strings.Cut(field, ".")
		put(block, name, "as long as it may be", strings.Repeat("7", most))
		put(block, name, "too long", strings.Repeat("7", most+1), fmt.Sprint(most))
	}
	for _, field := range []string{"ibee.workspaceID", "crusoe.organizationID", "crusoe.location"} {
		block, name, _ := strings.Cut(field, ".")
		put(block, name, "absent", nil, "Required")
	}
	return cases
}
