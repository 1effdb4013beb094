// Package ibee issues S3 credentials of IBEE Cloud over its REST API. Platform
// API tokens, the only credentials that can read billing, are created in the portal only:
// a user creates the token there, and the driver checks the submitted token.
package ibee

import (
	"net/url"
	"regexp"
	"strings"
	"time"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/provider"
)

// Type is the name of the driver's block in a provider's spec.
const Type = "ibee"

// KeyToken is the key of a platform API token: of the minting token in the credentials
// Secret, and of a manual credential.
const KeyToken = "token"

// The keys of an S3 credential.
const (
	KeyID     = provider.S3KeyID
	KeySecret = provider.S3KeySecret
)

// DefaultEndpoint is the vendor's production API (devs-ibee/terraform-provider-ibee, docs/index.md).
const DefaultEndpoint = "https://" + defaultHost + "/v1"

// s3Region is the region in the S3 signatures of workloads, for buckets in every location
// (docs.ibee.ai, Object Storage, API Tokens: the example for the AWS CLI).
const s3Region = "us-east-1"

// window is how many credentials the list shows, the newest of them
// (devs-ibee/ibee-typescript, src/resources/objectStorage.ts: "at most the 100 newest").
const window = 100

// settle is inferred; the vendor does not document it. Cloudflare proxies the API (error 1010 in LIVE_STORAGE_RESULTS.md of
// devs-ibee/terraform-provider-ibee) and waits about two minutes for the server
// behind it (Cloudflare, error 524), longer than the vendor's own Terraform
// client, which waits 90 seconds. The third minute is for that server.
const settle = 3 * time.Minute

// userAgent is sent if the configuration has no User-Agent: the API's firewall rejects
// clients by their User-Agent (LIVE_STORAGE_RESULTS.md, error 1010).
const userAgent = "apitoken-operator (+https://apitoken.dev)"

// Settings are the driver's block in a provider's spec.
type Settings = v1alpha1.IBEEProvider

// Driver implements provider.Driver, provider.Validator, provider.Connector, provider.Manual
// and provider.Limiter.
type Driver struct{}

// New returns the driver.
func New() *Driver { return &Driver{} }

// Type implements provider.Driver.
func (*Driver) Type() string { return Type }

// Capabilities implements provider.Driver: those of an S3 credential. The vendor admits
// names of 100 characters, more than any name the operator makes. An S3 credential has
// no expiry and cannot be changed.
func (*Driver) Capabilities() provider.Capabilities {
	return provider.Capabilities{
		Scopes:           grantable(),
		ExpiryEnforcedBy: provider.EnforcedByOperator,
		Settle:           settle,
		Relocates:        true,
		Narrows:          []provider.Field{provider.FieldBuckets},
		Listed:           window,
	}
}

// maxPortalLife is the longest life of a platform API token
// (docs.ibee.ai/docs/storage/object-storage/limits: at most 365 days).
const maxPortalLife = 365 * 24 * time.Hour

// CapabilitiesFor implements provider.Limiter. A platform API token is made by a user,
// and only a user can end it early.
func (d *Driver) CapabilitiesFor(grant provider.Grant) provider.Capabilities {
	out := d.Capabilities()
	if billingOnly(grant) {
		out.MaxLifetime, out.ExpiryEnforcedBy = maxPortalLife, provider.EnforcedByUser
	}
	return out
}

// CredentialKeys are the keys that the credentials Secret must hold.
func (*Driver) CredentialKeys() []string { return []string{KeyToken} }

// SecretKeys implements provider.SecretKeyer.
func (*Driver) SecretKeys(_ provider.Config, grant provider.Grant) []string {
	if billingOnly(grant) {
		return []string{KeyToken}
	}
	return []string{KeyID, KeySecret}
}

// Connection implements provider.Connector. For a platform API token it returns
// the environment variables that the vendor's clients read
// (devs-ibee/terraform-provider-ibee, docs/index.md).
func (*Driver) Connection(cfg provider.Config, grant provider.Grant) map[string]string {
	s, err := settingsOf(cfg)
	if err != nil {
		return nil
	}
	if billingOnly(grant) {
		return map[string]string{"IBEE_WORKSPACE_ID": s.WorkspaceID, "IBEE_ENDPOINT": strings.TrimRight(s.Endpoint, "/")}
	}
	return provider.S3Connection(s.S3Endpoint, s3Region, grant.Buckets)
}

// workspace matches what the vendor's clients accept as workspace_id.
var workspace = regexp.MustCompile(`^[1-9][0-9]*$`)

// settingsOf returns the settings of a configuration, checked and with the defaults set.
func settingsOf(cfg provider.Config) (Settings, error) {
	s, err := provider.SettingsOf[Settings](Type, cfg)
	if err != nil {
		return Settings{}, err
	}
	if !workspace.MatchString(s.WorkspaceID) {
		return Settings{}, provider.Invalid(`spec.ibee.workspaceID is not a workspace; write its number, for example "42"`)
	}
	if s.Endpoint == "" {
		s.Endpoint = DefaultEndpoint
	}
	if s.S3Endpoint == "" {
		s.S3Endpoint = "https://" + s.WorkspaceID + ".blob.ibeestorage.com"
	}
	if err := provider.CheckEndpoints("spec.ibee.endpoint", s.Endpoint, "spec.ibee.s3Endpoint", s.S3Endpoint); err != nil {
		return Settings{}, err
	}
	return s, nil
}

// defaultHost is the server of DefaultEndpoint.
const defaultHost = "api.ibee.ai"

// accountOf returns the account: the workspace. Earlier versions appended the server,
// without the default port of the scheme, unless it was the vendor's own.
func accountOf(workspaceID string, base *url.URL) provider.Account {
	out := provider.Account{ID: workspaceID, GrantableScopes: grantable()}
	implied := map[string]string{"https": ":443", "http": ":80"}[base.Scheme]
	if host := strings.TrimSuffix(strings.ToLower(base.Host), implied); host != defaultHost {
		out.Former = []string{workspaceID + "@" + host}
	}
	return out
}
