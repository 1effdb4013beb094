package rest_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/drivers/rest"
)

// If the operator enforces the expiry, the vendor can show a later one, for example because its clock is
// ahead. If the vendor enforces it, a later expiry is more than declared.
func TestLaterExpiryIsAcceptedWhereTheOperatorRevokes(t *testing.T) {
	asked := start.Add(time.Hour)
	for _, later := range []time.Duration{time.Second, 3 * time.Second, 10 * time.Minute, 365 * 24 * time.Hour} {
		shown := asked.Add(later)
		body := fmt.Sprintf(`{"id":1,"token":"CANARY","ends":%q}`, shown.Format(time.RFC3339))
		req := mintRequest(t, provider.Grant{Scopes: []string{"a:read"}, ExpiresAt: asked})
		minted, err := vendor(t, http.StatusCreated, nil, body, nil).Mint(t.Context(), req)
		if err != nil || !minted.Credential.ExpiresAt.Equal(shown) {
			t.Errorf("ended by the operator, %s later: %v, ends at %s", later, err, minted.Credential.ExpiresAt)
		}
		enforced := func(s *rest.Settings) { s.Expiry.EnforcedBy = string(provider.EnforcedByProvider) }
		if _, err := vendor(t, http.StatusCreated, nil, body, enforced).Mint(t.Context(), req); err == nil {
			t.Errorf("ended by the provider, %s later: it is accepted", later)
		}
	}
}
