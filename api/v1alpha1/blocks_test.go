package v1alpha1_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"testing"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/test/support/samples"
)

var update = flag.Bool("update", false, "write the rules that name every driver block")

// driverBlock is a driver block as its sample declares it, with nothing in it that is not
// required.
type driverBlock struct {
	name string
	spec fields
	// credentials reports that the provider has a credentials Secret.
	credentials bool
}

// driverBlocks returns all of them, in the order of the API server's sentence.
var driverBlocks = sync.OnceValue(func() []driverBlock {
	all, err := samples.Load()
	if err != nil {
		panic(err)
	}
	specs := samples.ByBlock(all)
	var out []driverBlock
	for _, name := range v1alpha1.Blocks() {
		spec := specs[name]
		_, settings, _ := spec.Block()
		block := driverBlock{name: name, spec: required(settings), credentials: spec.CredentialsSecretRef.Name != ""}
		if name == "rest" {
			block.spec = restBlock()
		}
		out = append(out, block)
	}
	return out
})

// required returns the fields of a block that cannot be left out.
func required(settings any) fields {
	content, err := json.Marshal(settings)
	if err != nil {
		panic(err)
	}
	out := fields{}
	if err := json.Unmarshal(content, &out); err != nil {
		panic(err)
	}
	for f := range reflect.TypeOf(settings).Fields() {
		if name, options, _ := strings.Cut(f.Tag.Get("json"), ","); strings.Contains(options, "omit") {
			delete(out, name)
		}
	}
	return out
}

// endpointFields returns the fields that hold a URL, such as iamEndpoint of aws.
func endpointFields() []struct{ block, field string } {
	var out []struct{ block, field string }
	spec := reflect.TypeFor[v1alpha1.ProviderSpec]()
	for block := range spec.Fields() {
		if block.Type.Kind() != reflect.Pointer {
			continue
		}
		name, _, _ := strings.Cut(block.Tag.Get("json"), ",")
		for f := range block.Type.Elem().Fields() {
			if field, _, _ := strings.Cut(f.Tag.Get("json"), ","); f.Type.Kind() == reflect.String && isEndpoint(field) {
				out = append(out, struct{ block, field string }{name, field})
			}
		}
	}
	return out
}

func isEndpoint(field string) bool {
	return strings.HasSuffix(field, "URL") || strings.HasSuffix(strings.ToLower(field), "endpoint")
}

// wholeSpecs returns a spec for each driver block, by its name, with every field set:
// by its samples, and the endpoints and the CAs by this test.
func wholeSpecs() map[string]v1alpha1.ProviderSpec {
	all, err := samples.Load()
	if err != nil {
		panic(err)
	}
	blocks := map[string]fields{}
	for _, p := range all {
		name, settings, ok := p.Spec.Block()
		if !ok {
			continue
		}
		content, err := json.Marshal(settings)
		if err != nil {
			panic(err)
		}
		set := fields{}
		if err := json.Unmarshal(content, &set); err != nil {
			panic(err)
		}
		if blocks[name] == nil {
			blocks[name] = fields{}
		}
		maps.Copy(blocks[name], set)
		blocks[name]["caBundle"] = somePEM
	}
	for _, e := range endpointFields() {
		blocks[e.block][e.field] = "https://api.example.com/v1"
	}
	out := map[string]v1alpha1.ProviderSpec{}
	for name, set := range blocks {
		content, err := json.Marshal(fields{
			"credentialsSecretRef": fields{"name": "minter"}, "drift": v1alpha1.DriftRepair, name: set,
		})
		if err != nil {
			panic(err)
		}
		var spec v1alpha1.ProviderSpec
		if err := strictJSON(content, &spec); err != nil {
			panic(fmt.Sprintf("%s: %v", name, err))
		}
		if spec.Rest != nil {
			spec.Rest = wholeRest()
		}
		out[name] = spec
	}
	return out
}

// TestDriverRulesNameEveryBlock compares the rules that must name every driver block
// with the fields of ProviderSpec. CEL cannot count the blocks by itself.
func TestDriverRulesNameEveryBlock(t *testing.T) {
	const file = "tokenprovider_types.go"
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	current := string(content)
	for _, rule := range []struct {
		begins string
		times  int
		want   string
	}{
		{"// +kubebuilder:validation:XValidation:rule=`[has(self.", 1, exactlyOneBlock(v1alpha1.Blocks())},
		{"// +kubebuilder:validation:XValidation:rule=`oldSelf.?status.?liveCredentials.orValue(0) == 0 || (has(self.spec.", 2, blockIsFixed(v1alpha1.Blocks())},
	} {
		lines := regexp.MustCompile(`(?m)^`+regexp.QuoteMeta(rule.begins)+`.*$`).FindAllString(current, -1)
		if len(lines) != rule.times {
			t.Errorf("%d lines begin with %q, want %d", len(lines), rule.begins, rule.times)
		}
		for _, line := range lines {
			if line != rule.want && !*update {
				t.Errorf("run: go test ./api/v1alpha1 -run TestDriverRulesNameEveryBlock -update && make manifests\ngot  %s\nwant %s", line, rule.want)
			}
			current = strings.ReplaceAll(current, line, rule.want)
		}
	}
	if *update {
		if err := os.WriteFile(file, []byte(current), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// orJoined joins names as a sentence does: a, b or c.
func orJoined(names []string) string {
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

func exactlyOneBlock(names []string) string {
	var has, shown []string
	for _, name := range names {
		has = append(has, "has(self."+name+")")
		shown = append(shown, "(has(self."+name+") ? ' "+name+`' : "")`)
	}
	return "// +kubebuilder:validation:XValidation:rule=`[" + strings.Join(has, ", ") + "].filter(b, b).size() == 1`," +
		"messageExpression=`'set exactly one driver block: " + orJoined(names) + ". This provider sets [' + " + strings.Join(shown, " + ") + " + ' ]'`"
}

func blockIsFixed(names []string) string {
	var same, back []string
	for _, name := range names {
		same = append(same, "has(self.spec."+name+") == has(oldSelf.spec."+name+")")
		back = append(back, `(oldSelf.?status.?driver.orValue("") == '`+name+"' && has(self.spec."+name+"))")
	}
	return "// +kubebuilder:validation:XValidation:rule=`oldSelf.?status.?liveCredentials.orValue(0) == 0 || (" + strings.Join(same, " && ") + ") || " +
		strings.Join(back, " || ") + "`,messageExpression=`'the driver block cannot change while status.liveCredentials is not 0: " +
		"credentials were issued with it. Create another provider and ApiTokens that name it, move the workloads, then delete the old ApiTokens'`,fieldPath=\".spec\""
}
