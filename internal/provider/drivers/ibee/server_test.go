package ibee

import (
	"testing"

	"apitoken.dev/operator/internal/provider"
)

func TestServerIsTheDefaultEndpoint(t *testing.T) {
	cfg := provider.Config{Settings: Settings{WorkspaceID: ws}}
	if got := New().Server(t.Context(), cfg); got.Host != "api.ibee.ai:443" {
		t.Errorf("got %s", got.Host)
	}
}
