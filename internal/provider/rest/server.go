package rest

import (
	"context"

	"apitoken.dev/operator/internal/provider"
)

// Server implements provider.Located. The declaration says where in an
// answer the account is, or names it itself.
func (*Driver) Server(_ context.Context, cfg provider.Config) provider.Server {
	s, err := settingsOf(cfg)
	if err != nil {
		return provider.Server{Declared: true} // Connect says what is wrong
	}
	return provider.Server{Host: provider.HostPort(s.BaseURL), Declared: true}
}
