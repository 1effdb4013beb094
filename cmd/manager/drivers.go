package main

import (
	"apitoken.dev/operator/internal/features"
	list "apitoken.dev/operator/internal/provider/drivers"
	"apitoken.dev/operator/internal/provider/drivers/rest"
	"apitoken.dev/operator/internal/provider/registry"
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
