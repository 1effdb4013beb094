// Package registry finds the driver for a provider's spec. internal/provider/drivers
// has the list of drivers.
package registry

import (
	"errors"
	"fmt"
	"slices"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/provider"
)

// Entry is one driver and the function that reads its settings from a spec.
type Entry struct {
	Driver provider.Driver
	// Settings returns the driver's settings and true when the spec has its block.
	Settings func(Spec) (any, bool)
}

// Spec is the spec of a provider.
type Spec struct{ *v1alpha1.ProviderSpec }

// Declared is an optional interface of a driver whose capabilities are declared in its
// settings: For returns the driver with those capabilities.
type Declared interface {
	For(settings any) provider.Driver
}

// Of returns a Registry of drivers whose settings are the block of their type.
func Of(drivers ...provider.Driver) (*Registry, error) {
	var entries []Entry
	for _, d := range drivers {
		entries = append(entries, Entry{Driver: d, Settings: func(spec Spec) (any, bool) {
			name, settings, ok := spec.Block()
			return settings, ok && name == d.Type()
		}})
	}
	return New(entries...)
}

// Registry is a fixed list of drivers.
type Registry struct{ entries []Entry }

// ErrNoDriver is returned when a spec has no block of a registered driver.
var ErrNoDriver = errors.New("no driver for this provider")

// New makes a Registry. It fails when two drivers have the same type.
func New(entries ...Entry) (*Registry, error) {
	seen := map[string]bool{}
	for _, e := range entries {
		if seen[e.Driver.Type()] {
			return nil, fmt.Errorf("driver %q is registered twice", e.Driver.Type())
		}
		seen[e.Driver.Type()] = true
	}
	return &Registry{entries: entries}, nil
}

// Without returns a Registry without the drivers of these types.
func (r *Registry) Without(types ...string) *Registry {
	return &Registry{entries: slices.DeleteFunc(slices.Clone(r.entries), func(e Entry) bool { return slices.Contains(types, e.Driver.Type()) })}
}

// Resolve returns the driver whose block is set, with its settings.
func (r *Registry) Resolve(spec Spec) (provider.Driver, any, error) {
	for _, e := range r.entries {
		settings, ok := e.Settings(spec)
		if !ok {
			continue
		}
		if d, ok := e.Driver.(Declared); ok {
			return d.For(settings), settings, nil
		}
		return e.Driver, settings, nil
	}
	return nil, nil, ErrNoDriver
}

// Drivers returns every driver, in the order of registration.
func (r *Registry) Drivers() []provider.Driver {
	out := make([]provider.Driver, 0, len(r.entries))
	for _, e := range r.entries {
		out = append(out, e.Driver)
	}
	return out
}
