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
	out := provider.ServerAt("spec.rest.baseURL", s.BaseURL)
	out.Declared = true
	return out
}
