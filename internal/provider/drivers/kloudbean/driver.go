// Package kloudbean manages S3 keys of KloudBean's object storage. KloudBean has no API
// for keys: a user creates, edits and deletes them in its panel, as the driver describes,
// and the driver verifies on the data plane what a key can do and that a deleted key is
// rejected.
package kloudbean

import (
	"context"
	"net/url"
	"slices"
	"strings"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/s3probe"
)

// Type is the name of the driver's block in a provider's spec.
const Type = "kloudbean"

// The keys of a credential, as submitted and as published. They are the names of KloudBean's own examples.
const (
	KeyID     = provider.S3KeyID
	KeySecret = provider.S3KeySecret
)

// The other two values that the panel shows with a key. They are compared if they
// are submitted too.
const (
	keyEndpoint = "AWS_ENDPOINT_URL"
	keyBucket   = "BUCKET_NAME"
)

// DefaultRegion is the region in signatures. KloudBean's examples set no region, and then
// its S3 examples use us-east-1.
const DefaultRegion = "us-east-1"

// settle is how long a request of a check can take effect after it was canceled.
// No other requests are sent to KloudBean.
const settle = s3probe.Timeout

// Settings are the driver's block in a provider's spec.
type Settings = v1alpha1.KloudBeanProvider

// settings are Settings that settingsOf checked and completed with the defaults.
type settings struct{ Settings }

// Driver implements provider.Driver, provider.Validator, provider.Connector and
// provider.Manual.
type Driver struct{}

// New returns the driver.
func New() *Driver { return &Driver{} }

// Type implements provider.Driver.
func (*Driver) Type() string { return Type }

// CredentialKeys are the keys that the credentials Secret must hold: none,
// because there is nothing to log in to.
func (*Driver) CredentialKeys() []string { return nil }

// Capabilities implements provider.Driver.
func (*Driver) Capabilities() provider.Capabilities {
	return provider.Capabilities{
		Scopes:           grantable(),
		ExpiryEnforcedBy: provider.EnforcedByUser,
		Settle:           settle,
		Narrows:          []provider.Field{provider.FieldBuckets, provider.FieldAllowedIPs, provider.FieldDeniedIPs},
		Updates:          []provider.Field{provider.FieldAllowedIPs, provider.FieldDeniedIPs},
	}
}

// Connect implements provider.Driver. There is no login: it checks that the S3
// endpoint can be reached. The account of a key is unknown.
func (*Driver) Connect(ctx context.Context, cfg provider.Config) (provider.Client, provider.Account, error) {
	settings, err := settingsOf(cfg)
	if err != nil {
		return nil, provider.Account{}, err
	}
	target := s3probe.Target{
		Endpoint: settings.S3Endpoint, Field: endpointField, Region: settings.Region, HTTP: cfg.HTTP, UserAgent: cfg.UserAgent,
	}
	if err := s3probe.Reach(ctx, target); err != nil {
		return nil, provider.Account{}, err
	}
	account := provider.Account{ID: provider.UnnamedAccount, Former: []string{settings.host()}, GrantableScopes: grantable()}
	return &client{settings: settings, target: target}, account, nil
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
	return provider.S3Connection(settings.S3Endpoint, settings.Region, grant.Buckets)
}

// endpointField names the endpoint in errors.
const endpointField = "spec.kloudbean.s3Endpoint"

// SettingsKeys implements provider.SettingsKeyer.
func (*Driver) SettingsKeys(provider.Config) []string { return provider.S3SettingsKeys() }

// settingsOf returns the settings of a configuration after checking them.
func settingsOf(cfg provider.Config) (settings, error) {
	s, err := provider.SettingsOf[Settings](Type, cfg)
	if err != nil {
		return settings{}, err
	}
	if s.Region == "" {
		s.Region = DefaultRegion
	}
	u, err := provider.Endpoint(endpointField, s.S3Endpoint)
	if err != nil {
		e := provider.AsError(err)
		e.Message += ". Copy the Endpoint URL that the panel shows with a key, such as https://s3.kloudbean.com"
		return settings{}, e
	}
	s.S3Endpoint = u.String()
	return settings{s}, nil
}

// host is the host, and the port if one is given, of the endpoint.
func (s settings) host() string {
	u, err := url.Parse(s.S3Endpoint)
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Host)
}

// sameEndpoint reports whether two URLs name the same server and path.
func sameEndpoint(a, b string) bool {
	first, err := provider.Endpoint("", a)
	if err != nil {
		return false
	}
	second, err := provider.Endpoint("", b)
	return err == nil && first.Scheme == second.Scheme && first.Path == second.Path && provider.HostPort(a) == provider.HostPort(b)
}

// grantable returns every scope, sorted.
func grantable() []string {
	out := make([]string, 0, len(permissions))
	for scope := range permissions {
		out = append(out, scope)
	}
	slices.Sort(out)
	return out
}
