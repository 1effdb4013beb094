// Package crusoe issues S3 keys of a user at Crusoe Cloud. Its API is described
// by swagger/v1/swagger.json of github.com/crusoecloud/client-go (v1.0.3), its
// signature by https://docs.crusoecloud.com/reference/api. A user can have two keys, and
// each key has its user's full object-storage access.
package crusoe

import (
	"net/url"
	"regexp"
	"strings"
	"time"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/clock"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/httpapi"
)

// Type is the name of the driver's block in a provider's spec.
const Type = "crusoe"

// The keys of every credential issued.
const (
	KeyID     = provider.S3KeyID
	KeySecret = provider.S3KeySecret
)

// The keys of the minting credentials: an API key of the user whose S3 keys are made.
const (
	MinterKeyID  = "accessKeyID"
	MinterSecret = "secretKey"
)

// defaultEndpoint is the host and basePath of swagger/v1/swagger.json.
const defaultEndpoint = "https://api.cloud.crusoe.ai/v1"

// maxLive is how many keys a user can have, of all clients together ("Each bucket user
// can have a maximum of 2 keys",
// https://docs.crusoecloud.com/storage/object-storage/managing-storage-api-keys).
const maxLive = 2

// settle is how long a request can take effect after its client stopped waiting. Crusoe
// Cloud does not document it; this is twice the timeout of a request.
const settle = 2 * httpapi.Timeout

// Settings are the driver's block in a provider's spec.
type Settings = v1alpha1.CrusoeProvider

// settings are Settings that settingsOf checked and completed with the defaults.
type settings struct{ Settings }

// Driver implements provider.Driver, provider.Validator and provider.Connector.
type Driver struct{ clock clock.Clock }

// New returns the driver. Its requests are signed with the time of the clock.
func New(c clock.Clock) *Driver { return &Driver{clock: c} }

// Type implements provider.Driver.
func (*Driver) Type() string { return Type }

// CredentialKeys returns the keys that the credentials Secret must hold.
func (*Driver) CredentialKeys() []string { return []string{MinterKeyID, MinterSecret} }

// Capabilities implements provider.Driver. Narrows and Updates are empty:
// a key has only an alias and an expiry, and neither can be changed.
func (*Driver) Capabilities() provider.Capabilities {
	return provider.Capabilities{
		Scopes:           grantable(),
		ExpiryEnforcedBy: provider.EnforcedByProvider,
		Settle:           settle,
		Relocates:        true,
		MaxLive:          maxLive,
	}
}

// SecretKeys implements provider.SecretKeyer.
func (*Driver) SecretKeys(provider.Config, provider.Grant) []string {
	return []string{KeyID, KeySecret}
}

// Connection implements provider.Connector.
func (*Driver) Connection(cfg provider.Config, grant provider.Grant) map[string]string {
	settings, err := settingsOf(cfg)
	if err != nil {
		return nil
	}
	return provider.S3Connection(settings.S3Endpoint, settings.Location, grant.Buckets)
}

// SettingsKeys implements provider.SettingsKeyer.
func (*Driver) SettingsKeys(provider.Config) []string { return provider.S3SettingsKeys() }

// What the CRD accepts; both become part of a URL.
var (
	organizationID = regexp.MustCompile(`^[A-Za-z0-9-]{1,64}$`)
	location       = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$`)
)

// settingsOf returns the settings of a configuration, checked and with every
// endpoint filled in.
func settingsOf(cfg provider.Config) (settings, error) {
	s, err := provider.SettingsOf[Settings](Type, cfg)
	if err != nil {
		return settings{}, err
	}
	if !organizationID.MatchString(s.OrganizationID) {
		return settings{}, provider.Invalid("spec.crusoe.organizationID is not the id of an organization; copy it from the console, for example ab4a6b00-aa5f-408e-a9fb-ac6de5eb45ab")
	}
	if !location.MatchString(s.Location) {
		return settings{}, provider.Invalid("spec.crusoe.location is not a location; write for example us-east1-a")
	}
	if s.Endpoint == "" {
		s.Endpoint = defaultEndpoint
	}
	if s.S3Endpoint == "" {
		// Of https://github.com/crusoecloud/crusoe-metrics-exporter (its tests).
		s.S3Endpoint = "https://object." + s.Location + ".crusoecloudcompute.com"
	}
	if err := provider.CheckEndpoints("spec.crusoe.endpoint", s.Endpoint, "spec.crusoe.s3Endpoint", s.S3Endpoint); err != nil {
		return settings{}, err
	}
	return settings{s}, nil
}

// account is the account of a user: the user in its organization. Earlier versions
// added the host of a server that is not Crusoe Cloud's.
func (s settings) account(user string) provider.Account {
	out := provider.Account{ID: s.OrganizationID + "/" + user, GrantableScopes: grantable()}
	u, err := url.Parse(s.Endpoint)
	if err != nil {
		return out
	}
	host := strings.ToLower(u.Host)
	if !strings.HasSuffix(host, ".crusoe.ai") && !strings.HasSuffix(host, ".crusoecloud.com") {
		out.Former = []string{out.ID + "@" + host}
	}
	return out
}

// expiry is the end of a credential: whole seconds, never later than requested.
func expiry(grant provider.Grant) time.Time { return grant.ExpiresAt.UTC().Truncate(time.Second) }
