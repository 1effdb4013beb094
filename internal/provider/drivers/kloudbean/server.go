package kloudbean

import (
	"context"

	"apitoken.dev/operator/internal/provider"
)

// Server implements provider.Located.
func (*Driver) Server(_ context.Context, cfg provider.Config) provider.Server {
	s, err := settingsOf(cfg)
	if err != nil {
		return provider.Server{Declared: true} // Connect reports the error
	}
	return provider.ServerAt("spec.kloudbean.s3Endpoint", s.S3Endpoint)
}
