// Package drivers lists the drivers of the operator. Both binaries, the capability
// table and the tests read this list.
package drivers

import (
	"apitoken.dev/operator/internal/clock"
	"apitoken.dev/operator/internal/provider/drivers/aws"
	"apitoken.dev/operator/internal/provider/drivers/crusoe"
	"apitoken.dev/operator/internal/provider/drivers/ibee"
	"apitoken.dev/operator/internal/provider/drivers/kloudbean"
	"apitoken.dev/operator/internal/provider/drivers/proxyscrape"
	"apitoken.dev/operator/internal/provider/drivers/rest"
	"apitoken.dev/operator/internal/provider/registry"
)

// New returns every driver, in the order of their blocks in a provider's spec.
func New() (*registry.Registry, error) {
	return registry.Of(
		aws.New(),
		ibee.New(),
		crusoe.New(clock.NewReal()),
		proxyscrape.New(),
		kloudbean.New(),
		rest.New(),
	)
}
