package features

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
)

func TestDefaults(t *testing.T) {
	var g Gates
	for _, s := range Known() {
		if got := g.Enabled(s.Gate); got != (s.Stage != Alpha) {
			t.Errorf("%s is %s and %t by default", s.Gate, s.Stage, got)
		}
	}
	if g.Enabled("Unheard") {
		t.Error("a gate that does not exist is on")
	}
	if g.String() != "" {
		t.Errorf("nothing was set, and it says %q", g.String())
	}
}

func TestSet(t *testing.T) {
	cases := map[string]struct {
		texts []string
		want  string
		says  []string
	}{
		"nothing":                       {texts: []string{""}},
		"one":                           {texts: []string{"RestDriver=false"}, want: "RestDriver=false"},
		"several, with spaces":          {texts: []string{" RestDriver = false , InPlaceUpdates=1 "}, want: "InPlaceUpdates=true,RestDriver=false"},
		"a comma at the end":            {texts: []string{"RestDriver=true,"}, want: "RestDriver=true"},
		"the flag twice":                {texts: []string{"RestDriver=false", "InPlaceUpdates=false"}, want: "InPlaceUpdates=false,RestDriver=false"},
		"the last one counts":           {texts: []string{"RestDriver=false", "RestDriver=true"}, want: "RestDriver=true"},
		"no value":                      {texts: []string{"RestDriver"}, says: []string{`"RestDriver"`, "RestDriver=true or RestDriver=false"}},
		"an unknown gate":               {texts: []string{"RestDrivers=true"}, says: []string{`"RestDrivers"`, "InPlaceUpdates, RestDriver"}},
		"another case":                  {texts: []string{"restdriver=true"}, says: []string{`"restdriver"`}},
		"no boolean":                    {texts: []string{"RestDriver=yes"}, says: []string{"RestDriver", `"yes"`, "true or false"}},
		"both":                          {texts: []string{"RestDriver=true,RestDriver=false"}, says: []string{"both true and false"}},
		"one wrong one: nothing is set": {texts: []string{"RestDriver=false", "InPlaceUpdates=false,X=true"}, want: "RestDriver=false", says: []string{`"X"`}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var g Gates
			var err error
			for _, text := range tc.texts {
				err = g.Set(text)
			}
			if (err != nil) != (len(tc.says) > 0) {
				t.Fatalf("error %v", err)
			}
			for _, part := range tc.says {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("it does not say %q: %v", part, err)
				}
			}
			if g.String() != tc.want {
				t.Errorf("got %q, want %q", g.String(), tc.want)
			}
		})
	}
}

// TestCopiesAreApart: Gates are passed by value, and a later Set does not reach a copy.
func TestCopiesAreApart(t *testing.T) {
	var g Gates
	if err := g.Set("RestDriver=false"); err != nil {
		t.Fatal(err)
	}
	before := g
	if err := g.Set("RestDriver=true"); err != nil {
		t.Fatal(err)
	}
	if before.Enabled(RestDriver) || !g.Enabled(RestDriver) {
		t.Error("a copy changed with the original")
	}
	if before.Equal(g) || !g.Equal(g) || !(Gates{}).Equal(Gates{}) {
		t.Error("what is equal differs, or the other way around")
	}
}

// TestStages: what a stage promises holds for every gate, those to come as well.
func TestStages(t *testing.T) {
	specs := []Spec{{Gate: "New", Stage: Alpha}, {Gate: "Used", Stage: Beta}, {Gate: "Old", Stage: Stable}}
	for i, want := range []bool{false, true, true} {
		if specs[i].Default() != want {
			t.Errorf("%s is %t by default", specs[i].Stage, !want)
		}
	}
	if _, err := parse(specs, "New=true,Used=false,Old=true"); err != nil {
		t.Error(err)
	}
	if _, err := parse(specs, "Old=false"); err == nil || !strings.Contains(err.Error(), "remove the gate") {
		t.Errorf("a stable feature is switched off: %v", err)
	}
}

func TestFlag(t *testing.T) {
	var g Gates
	f := pflag.NewFlagSet("test", pflag.ContinueOnError)
	f.Var(&g, "feature-gates", Usage())
	if err := f.Parse([]string{"--feature-gates=RestDriver=false", "--feature-gates", "InPlaceUpdates=false"}); err != nil {
		t.Fatal(err)
	}
	if g.Enabled(RestDriver) || g.Enabled(InPlaceUpdates) {
		t.Errorf("the flag gave %s", &g)
	}
	if usage := f.FlagUsages(); !strings.Contains(usage, "RestDriver (Beta, default true)") {
		t.Errorf("the help is\n%s", usage)
	}
}

// TestKnown: names are sorted and written as flags are, and everybody is told what they do.
func TestKnown(t *testing.T) {
	if !slices.IsSortedFunc(Known(), func(a, b Spec) int { return strings.Compare(string(a.Gate), string(b.Gate)) }) {
		t.Error("the gates are not in the order of their names")
	}
	name := regexp.MustCompile(`^([A-Z][a-z0-9]*)+$`)
	for _, s := range Known() {
		if !name.MatchString(string(s.Gate)) || s.Help == "" {
			t.Errorf("%+v: a gate has a name in CamelCase and a sentence", s)
		}
	}
}

// TestGatesAreListed: docs/upgrade-and-deprecation.md has the gates, their stages and defaults.
func TestGatesAreListed(t *testing.T) {
	content, err := os.ReadFile(filepath.Join("..", "..", "docs", "upgrade-and-deprecation.md"))
	if err != nil {
		t.Fatal(err)
	}
	var want, got []string
	for _, s := range Known() {
		want = append(want, fmt.Sprintf("%s %s %t", s.Gate, s.Stage, s.Default()))
	}
	row := regexp.MustCompile("(?m)^\\| `(\\w+)` \\| (Alpha|Beta|Stable) \\| (on|off) \\|")
	for _, m := range row.FindAllStringSubmatch(string(content), -1) {
		got = append(got, fmt.Sprintf("%s %s %t", m[1], m[2], m[3] == "on"))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the table of gates differs (-code +document):\n%s", diff)
	}
}
