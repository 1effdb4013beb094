package proxyscrape

import (
	"net/http"
	"strings"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/httpapi"
)

// explain refines the error of a rejected request. The body of errors is not documented; of
// a 401 {"status": "unauthorized", "info": "Your subscription is expired."} was
// seen, and a 429 is plain text from Cloudflare ("error code: 1015").
func explain(a httpapi.Answer, e *provider.Error) {
	if a.Status != http.StatusUnauthorized {
		return
	}
	var told struct {
		Info string `json:"info"`
	}
	if a.JSON(&told) && strings.Contains(strings.ToLower(told.Info), "subscription is expired") {
		e.Code = provider.CodeAccountBlocked
		e.Message += "; it says that the subscription has expired: renew it at ProxyScrape"
	}
}

// advise adds to an error what to do about it.
func advise(r call, err error) error {
	e := provider.AsError(err)
	if e.Code == provider.CodeUnauthenticated {
		e.Message += "; put an API key that is active, has not expired and admits the operator's address into the key " + KeyToken + " of the credentials Secret"
	}
	if e.Code == provider.CodePermissionDenied {
		e.Message += "; the minting key needs the permission " + r.needs + ", and must admit the operator's address if it has allowed IPs"
	}
	return e
}
