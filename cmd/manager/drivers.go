package main

import (
	"apitoken.dev/operator/internal/features"
	list "apitoken.dev/operator/internal/provider/drivers"
	"apitoken.dev/operator/internal/provider/drivers/rest"
	"apitoken.dev/operator/internal/provider/registry"
)

// drivers returns the drivers of this binary that the feature gates enable.
func drivers(gates features.Gates) (*registry.Registry, error) {
	all, err := list.New()
	if err != nil || gates.Enabled(features.RestDriver) {
		return all, err
	}
	return all.Without(rest.Type), nil
}
