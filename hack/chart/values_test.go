package chart

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// schema is the part of a JSON schema that lists the allowed keys.
type schema struct {
	Properties           map[string]schema `json:"properties"`
	AdditionalProperties any               `json:"additionalProperties"`
}

// keys lists the values of a level and below that the schema names.
func keys(prefix string, values map[string]any, s schema) []string {
	var out []string
	for key, value := range values {
		out = append(out, prefix+key)
		if below, ok := value.(map[string]any); ok && len(s.Properties[key].Properties) > 0 {
			out = append(out, keys(prefix+key+".", below, s.Properties[key])...)
		}
	}
	slices.Sort(out)
	return out
}

func (s schema) keys(prefix string) []string {
	var out []string
	for key, below := range s.Properties {
		out = append(out, prefix+key)
		out = append(out, below.keys(prefix+key+".")...)
	}
	slices.Sort(out)
	return out
}

// schemaGates returns the feature gates that the schema admits.
func schemaGates(t *testing.T) []string {
	t.Helper()
	content, err := os.ReadFile(chartDir + "/values.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var s struct {
		Properties struct {
			FeatureGates struct {
				PatternProperties map[string]any `json:"patternProperties"`
			} `json:"featureGates"`
		} `json:"properties"`
	}
	if err := json.Unmarshal(content, &s); err != nil || len(s.Properties.FeatureGates.PatternProperties) != 1 {
		t.Fatalf("not one pattern of feature gates: %v", err)
	}
	pattern := slices.Collect(maps.Keys(s.Properties.FeatureGates.PatternProperties))[0]
	return strings.Split(strings.Trim(pattern, "^$()"), "|")
}

// Every value is in the schema, and every key of the schema has a documented default.
func TestSchemaAndValuesAgree(t *testing.T) {
	var s schema
	content, err := os.ReadFile(chartDir + "/values.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(content, &s); err != nil {
		t.Fatal(err)
	}
	var values map[string]any
	if content, err = os.ReadFile(chartDir + "/values.yaml"); err != nil {
		t.Fatal(err)
	}
	if err := yaml.UnmarshalStrict(content, &values); err != nil {
		t.Fatal(err)
	}
	without := func(keys []string, leave ...string) []string {
		return slices.DeleteFunc(keys, func(key string) bool { return slices.Contains(leave, key) })
	}
	got := without(keys("", values, s), "resources.requests", "resources.limits")
	want := without(s.keys(""), "enabled", "resources.requests", "resources.limits", "resources.claims")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("- only in values.schema.json, + only in values.yaml:\n%s", diff)
	}
}

func TestSchemaRejectsWrongValues(t *testing.T) {
	digest := "sha256:" + strings.Repeat("0a", 32)
	for name, c := range map[string]struct {
		set  string
		want string // part of the error; "" if the values are accepted
	}{
		"misspelt":                        {"replica=2", "replica"},
		"misspelt below":                  {"metrics.serviceMonitor.enable=true", "enable"},
		"a string for a number":           {"replicas=two", "replicas"},
		"an unknown mode":                 {"sweep.mode=Delete", "sweep/mode"},
		"a rate of zero":                  {"operator.providerRate=0", "providerRate"},
		"an invalid digest":               {"image.digest=latest", "digest"},
		"a namespace that cannot exist":   {"namespaces={Team_A}", "namespaces"},
		"the same namespace twice":        {`namespaces={a,a}`, "namespaces"},
		"a duration without unit":         {"sweep.interval=60", "interval"},
		"an argument without dashes":      {"extraArgs={leader-elect}", "extraArgs"},
		"Revoke in a list of namespaces":  {"sweep.mode=Revoke,namespaces={a}", "sweep.mode: Revoke is not possible"},
		"a certificate without TLS":       {"metrics.certSecretName=c,metrics.secure=false,metrics.auth=false", "set metrics.secure to true"},
		"tokens in clear":                 {"metrics.secure=false", "tokens would be sent in clear"},
		"readers without a role":          {"rbac.userRoles=false,metrics.readers[0].name=p,metrics.readers[0].namespace=m", "metrics.readers"},
		"runbooks without an address":     {"metrics.prometheusRule.runbookURL=docs/runbooks", "runbookURL"},
		"runbooks that run a script":      {"metrics.prometheusRule.runbookURL=javascript:alert(1)", "runbookURL"},
		"runbooks at an address":          {"metrics.prometheusRule.runbookURL=https://docs.example.com/runbooks", ""},
		"metrics for everyone":            {"metrics.secure=false,metrics.auth=false", ""},
		"scraping what is not served":     {"metrics.enabled=false,metrics.serviceMonitor.enabled=true", "set metrics.enabled to true"},
		"a misspelt feature gate":         {"featureGates.RestDrivers=true", "at '/featureGates': additional properties 'RestDrivers'"},
		"a feature gate without a value":  {"featureGates.RestDriver=off", "RestDriver"},
		"an unknown update strategy":      {"updateStrategy.type=OnDelete", "updateStrategy/type"},
		"a surge without a unit":          {"updateStrategy.rollingUpdate.maxSurge=half", "maxSurge"},
		"a rollout that cannot move":      {"updateStrategy.rollingUpdate.maxSurge=0", "maxSurge and maxUnavailable cannot both be 0"},
		"Recreate":                        {"updateStrategy.type=Recreate", ""},
		"percentages":                     {"updateStrategy.rollingUpdate.maxSurge=0%,updateStrategy.rollingUpdate.maxUnavailable=50%", ""},
		"a certificate without an issuer": {"metrics.certificate.enabled=true", "metrics.certificate.issuerRef.name is empty"},
		"a certificate for nothing":       {"metrics.enabled=false,metrics.certificate.enabled=true,metrics.certificate.issuerRef.name=ca", "metrics.certificate.enabled is true"},
		"a certificate in clear": {"metrics.secure=false,metrics.auth=false,metrics.certificate.enabled=true,metrics.certificate.issuerRef.name=ca",
			"metrics.certificate.enabled is true"},
		"an invalid DNS name": {"metrics.certificate.extraDNSNames={Not_A_Name}", "extraDNSNames"},
		"a CA in another namespace": {"metrics.certSecretName=c,metrics.serviceMonitor.enabled=true,metrics.serviceMonitor.namespace=monitoring",
			"set metrics.serviceMonitor.tlsConfig"},
		"global is open":                  {"global.other.chart=x", ""},
		"enabled is for the parent chart": {"enabled=false", ""},
		"a digest":                        {"image.digest=" + digest, ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, stderr, err := tool(t, "helm", "template", release, chartDir, "--set", c.set)
			switch {
			case c.want == "" && err != nil:
				t.Errorf("refused: %s", stderr)
			case c.want != "" && err == nil:
				t.Error("accepted")
			case !strings.Contains(stderr, c.want):
				t.Errorf("the refusal does not name %s: %s", c.want, stderr)
			}
		})
	}
}

// The manager accepts the flags that the chart renders.
func TestManagerKnowsItsArguments(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "go", "run", "./cmd/manager", "--help")
	cmd.Dir = "../.."
	help, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, help)
	}
	known := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^ +(?:-\w, )?(--[a-z-]+)`).FindAllStringSubmatch(string(help), -1) {
		known[m[1]] = true
	}
	for _, c := range combinations() {
		deployment := deploymentOf(t, objects(t, render(t, c.args()...)))
		for _, arg := range args(t, deployment) {
			if name, _, _ := strings.Cut(arg, "="); !known[name] {
				t.Errorf("%s: the manager has no flag %s", c.name, name)
			}
		}
	}
}

func deploymentOf(t *testing.T, all []*unstructured.Unstructured) *unstructured.Unstructured {
	t.Helper()
	for _, o := range all {
		if o.GetKind() == "Deployment" {
			return o
		}
	}
	t.Fatal("there is no Deployment")
	return nil
}

func args(t *testing.T, deployment *unstructured.Unstructured) []string {
	t.Helper()
	containers, _, err := unstructured.NestedSlice(deployment.Object, "spec", "template", "spec", "containers")
	if err != nil || len(containers) != 1 {
		t.Fatalf("%d containers: %v", len(containers), err)
	}
	manager, ok := containers[0].(map[string]any)
	if !ok {
		t.Fatalf("a container is a %T", containers[0])
	}
	out, _, err := unstructured.NestedStringSlice(manager, "args")
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestImageIsBuiltFromValues(t *testing.T) {
	digest := "sha256:" + strings.Repeat("0a", 32)
	for set, want := range map[string]string{
		"image.repository=r/a":                                                 "r/a:dev",
		"image.repository=r/a,image.tag=v1":                                    "r/a:v1",
		"image.repository=r/a,image.tag=v1,image.digest=" + digest:             "r/a@" + digest,
		"image.repository=r/a,global.imageRegistry=registry.example.com:5000/": "registry.example.com:5000/r/a:dev",
	} {
		deployment := deploymentOf(t, objects(t, render(t, "--set", set)))
		containers, _, err := unstructured.NestedSlice(deployment.Object, "spec", "template", "spec", "containers")
		if err != nil {
			t.Fatal(err)
		}
		if got := containers[0].(map[string]any)["image"]; got != want {
			t.Errorf("%s: the image is %v, not %s", set, got, want)
		}
	}
}

func TestGeneratedFilesAreCurrent(t *testing.T) {
	if out, err := exec.CommandContext(t.Context(), "go", "run", "./crds", "-check").CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	want, stderr, err := tool(t, "helm-docs", "--chart-search-root="+chartDir, "--dry-run", "--log-level=warning")
	if err != nil {
		t.Fatalf("%v: %s", err, stderr)
	}
	got, err := os.ReadFile(chartDir + "/README.md")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.TrimSpace(want), strings.TrimSpace(string(got))); diff != "" {
		t.Errorf("README.md is not current; run in hack/chart: go generate .\n%s", diff)
	}
}
