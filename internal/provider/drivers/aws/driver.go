// Package aws issues S3 credentials over the IAM API, at AWS or at a server
// that speaks the same API. Each credential is an IAM user of its own, with one
// inline policy that ends at the credential's expiry, and one access key.
package aws

import (
	"net/url"
	"strings"
	"time"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/provider"
)

// Type is the name of the driver's block in a provider's spec.
const Type = "aws"

// The keys of the minting credentials and of every credential issued.
const (
	KeyID     = provider.S3KeyID
	KeySecret = provider.S3KeySecret
)

// KeySession is the key of the session token of temporary minting credentials. It is
// optional: long-lived ones have none.
const KeySession = "AWS_SESSION_TOKEN"

// settle is how long a request can take effect after its client stopped waiting, and
// how long IAM can continue to show the previous state: IAM is eventually
// consistent ("Changes that I make are not always immediately visible", IAM
// user guide), in practice within seconds; a minute is several times that.
const settle = time.Minute

// usableAfter is how long a new key takes to work everywhere at AWS. Other
// servers that speak the IAM API read their own files and need no wait.
const usableAfter = 10 * time.Second

// Settings are the driver's block in a provider's spec.
type Settings = v1alpha1.AWSProvider

// settings are Settings that settingsOf checked and completed with the defaults.
type settings struct{ Settings }

// Driver implements provider.Driver, provider.Validator and provider.Connector.
type Driver struct{}

// New returns the driver.
func New() *Driver { return &Driver{} }

// Type implements provider.Driver.
func (*Driver) Type() string { return Type }

// CredentialKeys returns the keys that the credentials Secret must have.
func (*Driver) CredentialKeys() []string { return []string{KeyID, KeySecret} }

// Capabilities implements provider.Driver. IAM admits user names of 64
// characters, more than any name the operator makes.
func (*Driver) Capabilities() provider.Capabilities {
	return provider.Capabilities{
		Scopes:           grantable(),
		ExpiryEnforcedBy: provider.EnforcedByProvider,
		Settle:           settle,
		Relocates:        true,
		Narrows:          []provider.Field{provider.FieldBuckets, provider.FieldAllowedIPs, provider.FieldDeniedIPs},
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
	return provider.S3Connection(settings.S3Endpoint, settings.Region, grant.Buckets)
}

// SettingsKeys implements provider.SettingsKeyer.
func (*Driver) SettingsKeys(provider.Config) []string { return provider.S3SettingsKeys() }

// settingsOf returns the settings of a configuration after checking them.
func settingsOf(cfg provider.Config) (settings, error) {
	s, err := provider.SettingsOf[Settings](Type, cfg)
	if err != nil {
		return settings{}, err
	}
	if s.Region == "" {
		s.Region = defaultRegion
	}
	if err := provider.CheckEndpoints("spec.aws.iamEndpoint", s.IAMEndpoint, "spec.aws.s3Endpoint", s.S3Endpoint); err != nil {
		return settings{}, err
	}
	return settings{s}, nil
}

// atAWS reports whether the IAM endpoint belongs to AWS.
func (s settings) atAWS() bool {
	host := s.endpointHost()
	return host == "" || strings.HasSuffix(host, ".amazonaws.com") || strings.HasSuffix(host, ".amazonaws.com.cn")
}

// endpointHost is the host, and the port if one is given, of a custom IAM endpoint.
func (s settings) endpointHost() string {
	u, err := url.Parse(s.IAMEndpoint)
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Host)
}

// partitions by the beginning of a region's name ("Partitions", AWS Fault
// Isolation Boundaries). Any other region is in the partition aws.
var partitions = []struct{ prefix, partition string }{
	{"cn-", "aws-cn"},
	{"us-gov-", "aws-us-gov"},
	{"us-isob-", "aws-iso-b"},
	{"us-isof-", "aws-iso-f"},
	{"us-iso-", "aws-iso"},
	{"eu-isoe-", "aws-iso-e"},
	{"eusc-", "aws-eusc"},
}

// partition is the second part of every ARN. Servers other than AWS know only aws.
func (s settings) partition() string {
	if s.atAWS() {
		for _, p := range partitions {
			if strings.HasPrefix(s.Region, p.prefix) {
				return p.partition
			}
		}
	}
	return "aws"
}
