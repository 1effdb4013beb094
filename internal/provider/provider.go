// Package provider is the contract between the operator and a system that
// issues credentials. A driver knows one such system; it has no Kubernetes
// types and no clock of its own. docs/provider-contract.md states the contract
// in words, the package conformance states it as tests.
package provider

import (
	"context"
	"iter"
	"net/http"
	"time"
)

// Driver is one kind of provider.
type Driver interface {
	// Type names the driver: the name of its block in a provider's spec.
	Type() string
	// Capabilities says what this kind of provider can do. It is constant.
	Capabilities() Capabilities
	// Connect checks the minting credentials with a call that mints nothing and
	// returns a Client together with the Account that they belong to.
	Connect(ctx context.Context, cfg Config) (Client, Account, error)
}

// Client talks to one account. It is safe for concurrent use.
type Client interface {
	// Mint creates the credential req.Name. It is called at most once per name
	// and never retries a request that may have been carried out. An error for
	// which InDoubt is false says that nothing exists and nothing can land later.
	Mint(ctx context.Context, req MintRequest) (Minted, error)
	// Find returns every credential that has exactly this name and is live, or
	// whose remains (a user without keys) still occupy the name.
	Find(ctx context.Context, name string) ([]Credential, error)
	// List yields every credential of the owner that Find would find. An Owner
	// with an empty Token means all of its cluster.
	List(ctx context.Context, owner Owner) iter.Seq2[Credential, error]
	// Revoke ends a credential and removes what is left of it. Name or ID is
	// enough. It returns nil when the credential is already gone.
	Revoke(ctx context.Context, ref Ref) error
}

// Validator is an optional power of a Driver: it says without any I/O what the
// provider cannot grant, so that nothing is reserved for it. The error is a *Refusal.
type Validator interface {
	Validate(cfg Config, req MintRequest) error
}

// Connector is an optional power of a Driver: the keys without secrets that go
// into the Secret beside the credential, such as an endpoint. It does no I/O.
type Connector interface {
	Connection(cfg Config, grant Grant) map[string]string
}

// Capabilities says what a kind of provider can do.
type Capabilities struct {
	// Scopes it can grant; empty when any string may be one.
	Scopes []string
	// MaxLifetime of a credential; 0: unlimited.
	MaxLifetime time.Duration
	// MaxName is the longest credential name in bytes; 0: 60.
	MaxName int
	// ExpiryEnforcedBy says who ends a credential at its expiry.
	ExpiryEnforcedBy Enforcer
	// Settle is how long after its client gave up a request may still take effect.
	Settle time.Duration
}

// Enforcer says who ends a credential at its expiry.
type Enforcer string

// The enforcers of an expiry.
const (
	// EnforcedByProvider means that the credential dies on time without the operator.
	EnforcedByProvider Enforcer = "Provider"
	// EnforcedByOperator means that the operator has to revoke it.
	EnforcedByOperator Enforcer = "Operator"
)

// Config is what a driver needs to reach one account.
type Config struct {
	// Settings is the driver's own settings type, made from the provider's spec.
	Settings any
	// Credentials are the values of the credentials Secret by key.
	Credentials map[string]Value
	// Cluster is the identity hash of this cluster; see package credname.
	Cluster string
	// HTTP is used for every request; nil means a client of the driver's own.
	HTTP *http.Client
	// UserAgent of every request.
	UserAgent string
}

// Account identifies whose credentials a Client mints.
type Account struct {
	// ID is stable and unique within the driver's kind of provider, such as an
	// AWS account id together with the endpoint that issued it.
	ID string
	// GrantableScopes this account can give; empty when not known.
	GrantableScopes []string
}

// Owner is the ApiToken a credential belongs to.
type Owner struct {
	// Cluster identity hash.
	Cluster string
	// Namespace and Token name the ApiToken; an empty Token means every one of the cluster.
	Namespace, Token string
}

// Grant is the access declared: all of what a credential may do, and no more.
type Grant struct {
	Scopes      []string
	Buckets     []string
	AllowedIPs  []string
	DeniedIPs   []string
	Subaccounts []string
	// ExpiresAt is when the credential has to end.
	ExpiresAt time.Time
}

// MintRequest asks for one credential.
type MintRequest struct {
	// Name at the provider; unique per attempt, never used again.
	Name        string
	Owner       Owner
	Description string
	Grant       Grant
}

// Credential is one credential as the provider shows it, without its secret.
type Credential struct {
	// Name given at Mint.
	Name string
	// ID is the provider's public identifier; empty if it does not exist yet.
	ID string
	// Live is false for remains that give no access.
	Live bool
	// CreatedAt and ExpiresAt are zero when the provider does not tell.
	CreatedAt, ExpiresAt time.Time
}

// Minted is a new credential with its secret.
type Minted struct {
	Credential Credential
	// Secret holds the secret keys by their name in the Kubernetes Secret.
	Secret map[string]Value
	// UsableAfter is how long the provider takes until the credential works everywhere.
	UsableAfter time.Duration
}

// Ref names a credential: at least one field is set.
type Ref struct {
	Name, ID string
}

// S3Connection returns the environment that S3 SDKs read, without credentials.
// An empty endpoint means AWS itself and sets no endpoint keys. The names are
// those of the AWS SDKs (docs.aws.amazon.com/sdkref, "Service-specific
// endpoints"); AWS_DEFAULT_REGION is the one boto reads.
func S3Connection(endpoint, region string, buckets []string) map[string]string {
	out := map[string]string{"AWS_REGION": region, "AWS_DEFAULT_REGION": region}
	if endpoint != "" {
		out["AWS_ENDPOINT_URL"] = endpoint
		out["AWS_ENDPOINT_URL_S3"] = endpoint
	}
	if len(buckets) == 1 && buckets[0] != "*" {
		out["BUCKET_NAME"] = buckets[0]
	}
	return out
}
