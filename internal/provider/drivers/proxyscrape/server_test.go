package proxyscrape

import (
	"testing"

	"apitoken.dev/operator/internal/provider"
)

func TestServerIsTheDefaultEndpoint(t *testing.T) {
	cfg := provider.Config{Settings: Settings{}}
	if got := New().Server(t.Context(), cfg); got.Host != "api.proxyscrape.com:443" {
		t.Errorf("got %s", got.Host)
	}
}
