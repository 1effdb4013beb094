package kloudbean

import (
	"context"

	"apitoken.dev/operator/internal/provider"
)

// Server implements provider.Located: the host of the S3 endpoint is
// the account.
func (*Driver) Server(_ context.Context, cfg provider.Config) provider.Server {
	s, err := settingsOf(cfg)
	if err != nil {
		return provider.Server{Declared: true} // Connect says what is wrong
	}
	return provider.Server{Host: provider.HostPort(s.S3Endpoint)}
}
