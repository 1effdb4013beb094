package features

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
	"k8s.io/component-base/featuregate"

	"apitoken.dev/operator/test/support/repofile"
)

// stages are the names of the stages in the documents.
var stages = map[string]string{
	string(featuregate.Alpha): "Alpha",
	string(featuregate.Beta):  "Beta",
	string(featuregate.GA):    "Stable",
}

// TestFlagSetsGates: the spellings that docs/upgrade-and-deprecation.md and the chart use
// are accepted. The error for another one names it and the gates that exist.
func TestFlagSetsGates(t *testing.T) {
	cases := map[string]struct {
		args []string
		want string
		says string
	}{
		"nothing":              {want: "InPlaceUpdates RestDriver"},
		"one":                  {args: []string{"RestDriver=false"}, want: "InPlaceUpdates"},
		"several, with spaces": {args: []string{" RestDriver = false , InPlaceUpdates=1 "}, want: "InPlaceUpdates"},
		"a comma at the end":   {args: []string{"RestDriver=false,"}, want: "InPlaceUpdates"},
		"the flag twice":       {args: []string{"RestDriver=false", "InPlaceUpdates=false"}},
		"the last one counts":  {args: []string{"RestDriver=false", "RestDriver=true"}, want: "InPlaceUpdates RestDriver"},
		"a whole stage":        {args: []string{"AllBeta=false,RestDriver=true"}, want: "RestDriver"},
		"no value":             {args: []string{"RestDriver"}, says: "RestDriver"},
		"an unknown gate":      {args: []string{"RestDrivers=true"}, says: "RestDrivers"},
		"another case":         {args: []string{"restdriver=true"}, says: "restdriver"},
		"not a boolean":        {args: []string{"RestDriver=yes"}, says: "RestDriver=yes"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			gates := New()
			f := pflag.NewFlagSet("test", pflag.ContinueOnError)
			f.Var(gates, "feature-gates", Usage())
			var args []string
			for _, value := range tc.args {
				args = append(args, "--feature-gates="+value)
			}
			err := f.Parse(args)
			if tc.says != "" {
				if err == nil || !strings.Contains(err.Error(), tc.says) || !strings.Contains(err.Error(), "AllAlpha, AllBeta, InPlaceUpdates, RestDriver") {
					t.Errorf("the error does not name %q, or not the gates that exist: %v", tc.says, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var on []string
			for _, gate := range slices.Sorted(maps.Keys(specs)) {
				if gates.Enabled(gate) {
					on = append(on, string(gate))
				}
			}
			if got := strings.Join(on, " "); got != tc.want {
				t.Errorf("%q is on, want %q", got, tc.want)
			}
		})
	}
}

// TestGatesKeepTheirStagesPromise: an alpha gate is off by default, all others are on, and
// a GA gate cannot be switched.
func TestGatesKeepTheirStagesPromise(t *testing.T) {
	for name, spec := range specs {
		if want := spec.PreRelease != featuregate.Alpha; spec.Default != want {
			t.Errorf("%s is %s and %t by default", name, spec.PreRelease, spec.Default)
		}
		if want := spec.PreRelease == featuregate.GA; spec.LockToDefault != want {
			t.Errorf("%s is %s and locked: %t", name, spec.PreRelease, spec.LockToDefault)
		}
	}
}

func TestEveryGateIsExplained(t *testing.T) {
	name := regexp.MustCompile(`^([A-Z][a-z0-9]*)+$`)
	usage := Usage()
	for gate := range specs {
		if !name.MatchString(string(gate)) || help[gate] == "" || !strings.Contains(usage, help[gate]) {
			t.Errorf("%s: a gate has a name in CamelCase, and a sentence in the help of the flag", gate)
		}
	}
	if !strings.Contains(usage, "RestDriver=true|false (BETA - default=true): serve") {
		t.Errorf("the help is\n%s", usage)
	}
}

// TestGatesAreListed: docs/upgrade-and-deprecation.md has the gates, their stages and defaults.
func TestGatesAreListed(t *testing.T) {
	var want, got []string
	for _, name := range slices.Sorted(maps.Keys(specs)) {
		want = append(want, fmt.Sprintf("%s %s %t", name, stages[string(specs[name].PreRelease)], specs[name].Default))
	}
	row := regexp.MustCompile("(?m)^\\| `(\\w+)` \\| (Alpha|Beta|Stable) \\| (on|off) \\|")
	for _, m := range row.FindAllStringSubmatch(repofile.Read(t, "docs/upgrade-and-deprecation.md"), -1) {
		got = append(got, fmt.Sprintf("%s %s %t", m[1], m[2], m[3] == "on"))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the table of gates differs (-code +document):\n%s", diff)
	}
}
