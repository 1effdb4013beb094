// Package features lists what may be switched on and off with --feature-gates, and how
// mature it is. A feature that cannot be switched has no gate.
package features

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Gate names one feature.
type Gate string

// The gates.
const (
	// InPlaceUpdates changes a live credential at providers that can, so that the
	// workload keeps its secret. Off: every change issues a new credential.
	InPlaceUpdates Gate = "InPlaceUpdates"
	// RestDriver serves providers with a rest block, which sends requests that are
	// declared in the provider. Off: they show the reason DriverMissing.
	RestDriver Gate = "RestDriver"
)

// Stage says how much a feature may still change.
type Stage string

// The stages. A feature goes through them in this order.
const (
	// Alpha is off unless asked for, and may change or go in any release.
	Alpha Stage = "Alpha"
	// Beta is on unless switched off; it stays, and its details may change.
	Beta Stage = "Beta"
	// Stable is always on. Its gate is accepted for two more minor releases.
	Stable Stage = "Stable"
)

// Spec is what is known of a gate.
type Spec struct {
	Gate  Gate
	Stage Stage
	// Help says in one sentence what is on with the gate, and what is when it is off.
	Help string
}

// Default is the value of a gate that nobody set.
func (s Spec) Default() bool { return s.Stage != Alpha }

// known are the gates in the order of their names.
var known = []Spec{
	{InPlaceUpdates, Beta, "change a live credential at providers that can, without a new secret; off: every change issues a new credential"},
	{RestDriver, Beta, "serve providers with a rest block; off: they are not ready, with the reason DriverMissing"},
}

// Known returns every gate, in the order of their names.
func Known() []Spec { return slices.Clone(known) }

// Gates are the values of the gates. The zero value holds the defaults. It is a
// flag's value: Gate=true, several separated by commas.
type Gates struct{ set map[Gate]bool }

// Enabled tells whether a feature is on. A gate that is not known is a mistake of
// the caller, and off.
func (g Gates) Enabled(gate Gate) bool {
	if value, ok := g.set[gate]; ok {
		return value
	}
	spec, ok := find(known, gate)
	return ok && spec.Default()
}

// Equal tells whether the same was set.
func (g Gates) Equal(other Gates) bool { return maps.Equal(g.set, other.set) }

// Set reads gates and keeps those that were set before. It sets all of them or,
// with an error, none.
func (g *Gates) Set(text string) error {
	read, err := parse(known, text)
	if err != nil {
		return err
	}
	next := maps.Clone(g.set)
	if next == nil {
		next = map[Gate]bool{}
	}
	maps.Copy(next, read)
	g.set = next
	return nil
}

// String returns what was set, in the order of the names.
func (g *Gates) String() string {
	var out []string
	for _, gate := range slices.Sorted(maps.Keys(g.set)) {
		out = append(out, fmt.Sprintf("%s=%t", gate, g.set[gate]))
	}
	return strings.Join(out, ",")
}

// Type names the kind of value in the help of a flag.
func (*Gates) Type() string { return "gates" }

// Usage is the help of the flag.
func Usage() string {
	var out strings.Builder
	out.WriteString("features to switch, as Name=true or Name=false, separated by commas:")
	for _, s := range known {
		fmt.Fprintf(&out, "\n%s (%s, default %t): %s", s.Gate, s.Stage, s.Default(), s.Help)
	}
	return out.String()
}

func parse(specs []Spec, text string) (map[Gate]bool, error) {
	out := map[Gate]bool{}
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		name, value, ok := strings.Cut(part, "=")
		if !ok {
			return nil, fmt.Errorf("%q is not a feature gate: write %s=true or %s=false", part, part, part)
		}
		spec, ok := find(specs, Gate(strings.TrimSpace(name)))
		if !ok {
			return nil, fmt.Errorf("there is no feature gate %q: write one of %s", name, names(specs))
		}
		on, err := strconv.ParseBool(strings.TrimSpace(value))
		if err != nil {
			return nil, fmt.Errorf("feature gate %s cannot be %q: write true or false", spec.Gate, value)
		}
		if spec.Stage == Stable && !on {
			return nil, fmt.Errorf("feature gate %s cannot be false: the feature is stable and always on; remove the gate", spec.Gate)
		}
		if before, twice := out[spec.Gate]; twice && before != on {
			return nil, fmt.Errorf("feature gate %s is both true and false: write it once", spec.Gate)
		}
		out[spec.Gate] = on
	}
	return out, nil
}

func find(specs []Spec, gate Gate) (Spec, bool) {
	i := slices.IndexFunc(specs, func(s Spec) bool { return s.Gate == gate })
	if i < 0 {
		return Spec{}, false
	}
	return specs[i], true
}

func names(specs []Spec) string {
	var out []string
	for _, s := range specs {
		out = append(out, string(s.Gate))
	}
	return strings.Join(out, ", ")
}
