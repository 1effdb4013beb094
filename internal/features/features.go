// Package features lists the feature gates that --feature-gates switches, with their
// maturity. A feature that cannot be switched has no gate.
package features

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"k8s.io/component-base/featuregate"
)

// The gates.
const (
	// InPlaceUpdates changes a live credential at providers that can, so that the
	// workload keeps its secret. Off: every change issues a new credential.
	InPlaceUpdates featuregate.Feature = "InPlaceUpdates"
	// RestDriver serves providers with a rest block, which sends requests that are
	// declared in the provider. Off: they show the reason DriverMissing.
	RestDriver featuregate.Feature = "RestDriver"
)

// A feature goes through the stages alpha, beta, GA. An alpha gate is off by default, a
// beta gate is on, and a GA gate is locked; docs/upgrade-and-deprecation.md has the promises.
var specs = map[featuregate.Feature]featuregate.FeatureSpec{
	InPlaceUpdates: {Default: true, PreRelease: featuregate.Beta},
	RestDriver:     {Default: true, PreRelease: featuregate.Beta},
}

// help says in one sentence what is on with the gate, and what happens when it is off.
var help = map[featuregate.Feature]string{
	InPlaceUpdates: "change a live credential at providers that can, without a new secret; off: every change issues a new credential",
	RestDriver:     "serve providers with a rest block; off: they are not ready, with the reason DriverMissing",
}

// Specs returns the maturity and the default of every gate of the operator.
func Specs() map[featuregate.Feature]featuregate.FeatureSpec { return maps.Clone(specs) }

// Gates are the values of the gates, and the flag that sets them.
type Gates interface {
	featuregate.FeatureGate
	pflag.Value
}

// New returns the gates with their defaults.
func New() Gates {
	known := featuregate.NewFeatureGate()
	if err := known.Add(specs); err != nil {
		panic(err) // two specs of one gate, which a map cannot hold
	}
	return gates{known}
}

// gates adds to the errors of the library what can be written instead.
type gates struct{ Gates }

// Set implements pflag.Value.
func (g gates) Set(value string) error {
	if err := g.Gates.Set(value); err != nil {
		return fmt.Errorf("%w: write Name=true or Name=false, with one of the names %s", err, strings.Join(names(), ", "))
	}
	return nil
}

// names are those of the gates, and of the stages that can be set as a whole.
func names() []string {
	out := []string{"AllAlpha", "AllBeta"}
	for name := range specs {
		out = append(out, string(name))
	}
	slices.Sort(out)
	return out
}

// Usage is the help of the flag. It replaces the text of the library's AddFlag, which
// calls every gate alpha or experimental, and does not say what a gate does.
func Usage() string {
	lines := []string{"features to switch, as Name=true or Name=false, separated by commas:"}
	for _, name := range slices.Sorted(maps.Keys(specs)) {
		spec := specs[name]
		lines = append(lines, spec.HelpString(name, false)+": "+help[name])
	}
	lines = append(lines, "AllAlpha and AllBeta set all gates of a stage that are not named.")
	return strings.Join(lines, "\n")
}
