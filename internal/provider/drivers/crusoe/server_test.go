package crusoe

import (
	"testing"

	"apitoken.dev/operator/internal/provider"
)

func TestServerIsTheDefaultEndpoint(t *testing.T) {
	cfg := provider.Config{Settings: Settings{OrganizationID: organization, Location: "us-east1-a"}}
	if got := New(&stopped{at: start}).Server(t.Context(), cfg); got.Host != "api.cloud.crusoe.ai:443" {
		t.Errorf("got %s", got.Host)
	}
}
