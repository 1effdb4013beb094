package main

import (
	list "apitoken.dev/operator/internal/drivers"
	"apitoken.dev/operator/internal/features"
	"apitoken.dev/operator/internal/provider/registry"
	"apitoken.dev/operator/internal/provider/rest"
)

// drivers lists every driver of this binary that is switched on, and where a spec holds
// its settings.
func drivers(gates features.Gates) (*registry.Registry, error) {
	all, err := list.New()
	if err != nil || gates.Enabled(features.RestDriver) {
		return all, err
	}
	return all.Without(rest.Type), nil
}
