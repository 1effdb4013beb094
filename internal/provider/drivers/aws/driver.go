// Package aws issues S3 credentials over the IAM API, at AWS or at a server
// that speaks the same API. Each credential is an IAM user of its own, with one
// inline policy that ends at the credential's expiry, and one access key.
package aws

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"apitoken.dev/operator/internal/provider"
)

// Type is the name of the driver's block in a provider's spec.
const Type = "aws"

// The keys of the minting credentials and of every credential issued.
const (
	KeyID     = "AWS_ACCESS_KEY_ID"
	KeySecret = "AWS_SECRET_ACCESS_KEY"
)

// KeySession is the key of the session token of temporary minting credentials. It is
// optional: long-lived ones have none.
const KeySession = "AWS_SESSION_TOKEN"

// settle is how long a request may take effect after its client gave up, and
// how long IAM may go on to show the state of before: IAM is eventually
// consistent ("Changes that I make are not always immediately visible", IAM
// user guide), in practice within seconds; a minute is several times that.
const settle = time.Minute

// usableAfter is how long a new key takes to work everywhere at AWS. Other
// servers that speak the IAM API read their own files and need no wait.
const usableAfter = 10 * time.Second

// Settings are the driver's part of a provider's spec.
type Settings struct {
	// IAMEndpoint is the URL of the IAM API; empty: AWS itself.
	IAMEndpoint string
	// S3Endpoint is the URL handed to workloads; empty: AWS itself.
	S3Endpoint string
	// Region handed to workloads; at AWS it also decides the partition.
	Region string
	// PermissionsBoundary is the ARN of a policy put on every user made; empty: none.
	PermissionsBoundary string
}

// Driver implements provider.Driver, provider.Validator and provider.Connector.
type Driver struct{}

// New returns the driver.
func New() *Driver { return &Driver{} }

// Type implements provider.Driver.
func (*Driver) Type() string { return Type }

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
func settingsOf(cfg provider.Config) (Settings, error) {
	s, ok := cfg.Settings.(Settings)
	if !ok {
		return Settings{}, invalid(fmt.Sprintf("the settings of the aws driver are missing (got %T)", cfg.Settings))
	}
	if s.Region == "" {
		s.Region = defaultRegion
	}
	if err := provider.CheckEndpoints("spec.aws.iamEndpoint", s.IAMEndpoint, "spec.aws.s3Endpoint", s.S3Endpoint); err != nil {
		return Settings{}, err
	}
	return s, nil
}

// atAWS reports whether IAM is AWS's own.
func (s Settings) atAWS() bool {
	host := s.endpointHost()
	return host == "" || strings.HasSuffix(host, ".amazonaws.com") || strings.HasSuffix(host, ".amazonaws.com.cn")
}

// endpointHost is the host, and the port if one is given, of a custom IAM endpoint.
func (s Settings) endpointHost() string {
	u, err := url.Parse(s.IAMEndpoint)
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Host)
}

// partitions by the beginning of a region's name ("Partitions", AWS Fault
// Isolation Boundaries). Any other region is of the partition aws.
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
func (s Settings) partition() string {
	if s.atAWS() {
		for _, p := range partitions {
			if strings.HasPrefix(s.Region, p.prefix) {
				return p.partition
			}
		}
	}
	return "aws"
}
