package v1alpha1_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"apitoken.dev/operator/internal/testenv"
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
	"no driver block": {
		set:  fields{"spec.aws": nil},
		want: answer{"spec", []string{"exactly one driver block: aws", "sets [ ]"}},
	},
	"no credentials": {
		set:  fields{"spec.credentialsSecretRef": nil},
		want: answer{"spec.credentialsSecretRef", []string{"Required"}},
	},
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
	"endpoint: with a port that is none":  endpoint("s3Endpoint", "https://s3.example.com:http"),
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
		"Exists and DoesNotExist take none"),
}

func expression(e fields, says string) createCase {
	return createCase{
		set:  fields{"spec.allowedNamespaces": fields{"matchExpressions": []any{e}}},
		want: answer{"spec.allowedNamespaces.matchExpressions", []string{says}},
	}
}

// providerChanges hold for both kinds of provider.
var providerChanges = map[string]changeCase{
	"account: without live credentials": {set: fields{"spec.aws.iamEndpoint": "https://iam.example.org"}},
	"account: with live credentials": {
		status: fields{"status.liveCredentials": 12}, set: fields{"spec.aws.iamEndpoint": "https://iam.example.org"},
		want: answer{"spec.aws.iamEndpoint", []string{"from https://iam.example.com to https://iam.example.org", "status.liveCredentials", "Create another provider"}},
	},
	"account: to AWS itself, with live credentials": {
		status: fields{"status.liveCredentials": 1}, set: fields{"spec.aws.iamEndpoint": nil},
		want: answer{"spec.aws.iamEndpoint", []string{"from https://iam.example.com to AWS itself"}},
	},
	"all the rest, with live credentials": {status: fields{"status.liveCredentials": 12}, set: fields{
		"spec.credentialsSecretRef.name": "other", "spec.aws.s3Endpoint": "https://s3.example.org", "spec.aws.region": "eu-central-1",
		"spec.aws.caBundle": pem("CERTIFICATE"), "spec.aws.permissionsBoundary": "arn:aws:iam::123456789012:policy/b",
	}},
	"status: more credentials": {status: fields{"status.liveCredentials": 12}, setStatus: fields{"status.liveCredentials": 13}},
}

// testDriverBlocks shows that the rule "exactly one driver block" grows by one
// entry per block: it installs the CRD of another group, made from the real one,
// with a second block.
func testDriverBlocks(t *testing.T, env *testenv.Env) {
	crd := twoBlockCRD(t)
	if _, err := envtest.InstallCRDs(env.Config, envtest.CRDInstallOptions{
		CRDs: []*apiextensionsv1.CustomResourceDefinition{crd}, MaxTime: time.Minute,
	}); err != nil {
		t.Fatal(err)
	}
	c := env.Client(nil)
	valid := tokenProvider()
	valid.SetAPIVersion(crd.Spec.Group + "/v1alpha1")

	testCreate(t, c, valid, map[string]createCase{
		"the first":  {},
		"the second": {set: fields{"spec.aws": nil, "spec.second": fields{}}},
		"none": {
			set:  fields{"spec.aws": nil},
			want: answer{"spec", []string{"exactly one driver block", "sets [ ]"}},
		},
		"both": {
			set:  fields{"spec.second": fields{}},
			want: answer{"spec", []string{"exactly one driver block", "sets [ aws second ]"}},
		},
	})
	testChange(t, c, valid, map[string]changeCase{
		"to another block": {set: fields{"spec.aws": nil, "spec.second": fields{}}},
		"to another block with live credentials": {
			status: fields{"status.liveCredentials": 3}, set: fields{"spec.aws": nil, "spec.second": fields{}},
			want: answer{"spec", []string{"driver block cannot change", "status.liveCredentials", "Create another provider"}},
		},
	})
}

// twoBlockCRD is the CRD of TokenProvider in another group, with a second block
// that is added as a new driver adds its own.
func twoBlockCRD(t *testing.T) *apiextensionsv1.CustomResourceDefinition {
	t.Helper()
	edits := strings.NewReplacer(
		"[has(self.aws)]", "[has(self.aws), has(self.second)]",
		`(has(self.aws) ? ' aws' : "")`, `(has(self.aws) ? ' aws' : "") + (has(self.second) ? ' second' : "")`,
	)
	crd := readCRD(t, "apitoken.dev_tokenproviders.yaml")
	crd.Spec.Group = "two-blocks.example.com"
	crd.Name = crd.Spec.Names.Plural + "." + crd.Spec.Group
	root := crd.Spec.Versions[0].Schema.OpenAPIV3Schema
	spec := root.Properties["spec"]
	spec.Properties["second"] = apiextensionsv1.JSONSchemaProps{Type: "object"}
	rule := &spec.XValidations[0]
	rule.Rule, rule.MessageExpression = edits.Replace(rule.Rule), edits.Replace(rule.MessageExpression)
	root.Properties["spec"] = spec
	return crd
}

func readCRD(t *testing.T, file string) *apiextensionsv1.CustomResourceDefinition {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("..", "..", "config", "crd", "bases", file))
	if err != nil {
		t.Fatal(err)
	}
	var crd apiextensionsv1.CustomResourceDefinition
	if err := yaml.UnmarshalStrict(content, &crd); err != nil {
		t.Fatal(err)
	}
	return &crd
}
