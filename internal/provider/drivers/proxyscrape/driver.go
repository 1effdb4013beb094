// Package proxyscrape issues API keys of ProxyScrape over its account API. Each
// credential is an API key of its own, named by the operator. The wire format is
// that of docs.proxyscrape.com/api-reference and /api/account; docs/providers/proxyscrape.md lists
// what is documented there and what is not.
package proxyscrape

import (
	"net/http"
	"strings"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/httpapi"
)

// Type is the name of the driver's block in a provider's spec.
const Type = "proxyscrape"

// KeyToken is the key of the minting credentials and of every credential issued.
const KeyToken = "token"

// KeyEndpoint is the connection key that holds the URL of the API.
const KeyEndpoint = "endpoint"

// DefaultEndpoint is the API of ProxyScrape (docs.proxyscrape.com/api-reference).
const DefaultEndpoint = "https://api.proxyscrape.com"

const endpointField = "spec.proxyscrape.endpoint"

// tokenHeader authenticates a request (docs.proxyscrape.com/api-reference,
// "Authorizations": api-token, string, header, required).
const tokenHeader = "api-token"

// maxName is the longest name of a key (docs.proxyscrape.com/api-reference/create-api-key).
const maxName = 100

// settle is how long a request can take effect after its client stopped waiting. ProxyScrape
// does not document it; a minute is twice the timeout of a request.
const settle = 2 * httpapi.Timeout

// Settings are the driver's block in a provider's spec.
type Settings = v1alpha1.ProxyScrapeProvider

// Driver implements provider.Driver, provider.Validator and provider.Connector.
type Driver struct{}

// New returns the driver.
func New() *Driver { return &Driver{} }

// Type implements provider.Driver.
func (*Driver) Type() string { return Type }

// CredentialKeys are the keys that the credentials Secret must hold.
func (*Driver) CredentialKeys() []string { return []string{KeyToken} }

// Capabilities implements provider.Driver. The permissions differ from account
// to account; Connect learns them.
func (*Driver) Capabilities() provider.Capabilities {
	return provider.Capabilities{
		MaxName:          maxName,
		ExpiryEnforcedBy: provider.EnforcedByProvider,
		Settle:           settle,
		Relocates:        true,
		Narrows:          []provider.Field{provider.FieldAllowedIPs, provider.FieldSubaccounts},
		Updates: []provider.Field{
			provider.FieldScopes, provider.FieldAllowedIPs, provider.FieldSubaccounts, provider.FieldExpiry,
		},
	}
}

// SecretKeys implements provider.SecretKeyer.
func (*Driver) SecretKeys(provider.Config, provider.Grant) []string { return []string{KeyToken} }

// Connection implements provider.Connector.
func (*Driver) Connection(cfg provider.Config, _ provider.Grant) map[string]string {
	api, err := open(cfg)
	if err != nil {
		return nil
	}
	return map[string]string{KeyEndpoint: api.Base.String()}
}

// SettingsKeys implements provider.SettingsKeyer.
func (*Driver) SettingsKeys(provider.Config) []string { return []string{KeyEndpoint} }

// open returns the API of a configuration after checking it.
func open(cfg provider.Config) (*httpapi.API, error) {
	s, err := provider.SettingsOf[Settings](Type, cfg)
	if err != nil {
		return nil, err
	}
	if s.Endpoint == "" {
		s.Endpoint = DefaultEndpoint
	}
	return httpapi.New(endpointField, s.Endpoint, cfg)
}

// authenticate makes every request carry the minting key.
func authenticate(api *httpapi.API, cfg provider.Config) error {
	refuse := func(message string) error {
		return &provider.Error{Code: provider.CodeUnauthenticated, NotExecuted: true, Message: message}
	}
	token := cfg.Credentials[KeyToken]
	if token.Empty() {
		return refuse("the credentials Secret needs the key " + KeyToken)
	}
	if strings.ContainsFunc(token.Reveal(), func(r rune) bool { return r <= ' ' || r > '~' }) {
		return refuse("the key " + KeyToken + " of the credentials Secret holds a space, a line break or another character that no API key has; store the API key alone")
	}
	api.Prepare = func(req *http.Request, _ []byte) error {
		req.Header.Set(tokenHeader, token.Reveal())
		return nil
	}
	return nil
}
