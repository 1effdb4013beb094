package rest

import (
	"context"

	"apitoken.dev/operator/internal/provider"
)

// Server implements provider.Located. Declared is always true: the declaration chooses which
// part of an answer identifies the account.
func (*Driver) Server(_ context.Context, cfg provider.Config) provider.Server {
	s, err := settingsOf(cfg)
	if err != nil {
		return provider.Server{Declared: true} // Connect reports the error
	}
	out := provider.ServerAt("spec.rest.baseURL", s.BaseURL)
	out.Declared = true
	return out
}
