package proxyscrape

import (
	"context"

	"apitoken.dev/operator/internal/provider"
)

// Server implements provider.Located.
func (*Driver) Server(_ context.Context, cfg provider.Config) provider.Server {
	api, err := open(cfg)
	if err != nil {
		return provider.Server{Declared: true} // Connect reports the error
	}
	return provider.ServerAt("spec.proxyscrape.endpoint", api.Base.String())
}
