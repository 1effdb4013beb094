// Package provider is the contract between the operator and a system that
// issues credentials. A driver knows one such system. Of Kubernetes it uses only its
// block in api/v1alpha1, and it has no clock of its own. docs/provider-contract.md
// describes the contract, and package conformance has it as tests.
package provider

import (
	"context"
	"iter"
	"net/http"
	"slices"
	"strings"
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
	// Find returns every credential that has exactly ref.Name and is Live or Disabled,
	// and the Ended ones that the provider still shows. If the provider does not show
	// everything, ref.ID and ref.Since help. A driver that cannot rule out a credential
	// returns an error, not an empty list. Find never returns a credential of another
	// name, even if it has ref.ID.
	Find(ctx context.Context, ref Ref) ([]Credential, error)
	// List yields every credential of the owner that is Live or Disabled. It leaves out
	// those that have Ended, because a provider can show them forever. An Owner with an
	// empty Token means all owners of its cluster.
	List(ctx context.Context, owner Owner) iter.Seq2[Credential, error]
	// Revoke ends every credential that the provider shows under ref.Name and removes
	// its remains. It returns nil when no such credential exists, or all have Ended. It
	// does not touch a credential of another name, even if it has ref.ID.
	Revoke(ctx context.Context, ref Ref) error
}

// Validator is an optional interface of a Driver. It reports what the provider cannot
// grant, so that nothing is reserved for it. It does no I/O. The error is a *Refusal.
type Validator interface {
	Validate(cfg Config, req MintRequest) error
}

// Connector is an optional interface of a Driver. It returns the non-secret keys of the
// published Secret, such as an endpoint. It does no I/O.
type Connector interface {
	Connection(cfg Config, grant Grant) map[string]string
}

// Updater is an optional interface of a Client, for drivers whose Capabilities list
// fields in Updates. It changes a live credential in place, without a new secret.
type Updater interface {
	// Update changes the credential of ref.Name to what req asks for, and returns it as
	// the provider shows it afterwards. It returns an error if that differs from req, or
	// if the provider shows ref.ID under another name.
	Update(ctx context.Context, ref Ref, req MintRequest) (Credential, error)
}

// Counter is an optional interface of a Client, for drivers with Capabilities.MaxLive.
type Counter interface {
	// Occupied returns every credential that takes up one of the account's slots, of any
	// creator and any name: those that are Live or Disabled.
	Occupied(ctx context.Context) ([]Credential, error)
}

// Manual is an optional interface of a Driver. It reports which credentials are manual:
// a user makes them in the provider's own user interface. MintRequest.Submitted has the
// submitted credential, and Mint checks it instead of making one.
type Manual interface {
	// Form describes what the user does. ok is false when Mint makes the credential.
	// It does no I/O.
	Form(cfg Config, req MintRequest) (form Form, ok bool)
	// KeyID returns the public id that a key contains, from the secret keys of its
	// credential; empty when it contains no id. Mint returns the same ID for that key.
	// It does no I/O.
	KeyID(secret map[string]Value) string
}

// Form describes what a user fills in at a provider.
type Form struct {
	// Where in the provider's user interface a credential is made.
	Where string
	// Fields to fill in, in their order.
	Fields []FormField
	// Keys of the Secret that submits the credential.
	Keys []string
	// Edit is where the fields of Capabilities.Updates are changed; empty if they cannot be.
	Edit string
	// Revoke is where a credential is deleted.
	Revoke string
}

// FormField is one field of a Form.
type FormField struct{ Label, Value string }

// Prober is an optional interface of a Client. It checks whether a credential grants
// access: one that a user was asked to edit or to delete and, with
// Capabilities.TriesNew, a new one.
type Prober interface {
	// Accepts reports whether the data plane accepts the credential with these secret
	// keys. It returns an error when it cannot tell.
	Accepts(ctx context.Context, secret map[string]Value, grant Grant) (bool, error)
}

// Field is a part of a Grant.
type Field string

// The fields of a Grant.
const (
	FieldScopes      Field = "scopes"
	FieldBuckets     Field = "buckets"
	FieldAllowedIPs  Field = "allowedIPs"
	FieldDeniedIPs   Field = "deniedIPs"
	FieldSubaccounts Field = "subaccounts"
	FieldExpiry      Field = "expiry"
)

// Capabilities describe what a kind of provider can do.
type Capabilities struct {
	// Scopes it can grant; empty when any string may be one.
	Scopes []string
	// MaxLifetime of a credential; 0: unlimited.
	MaxLifetime time.Duration
	// MaxName is the longest credential name in bytes, at least credname.MinLength; 0: 60.
	MaxName int
	// ExpiryEnforcedBy is who ends a credential at its expiry.
	ExpiryEnforcedBy Enforcer
	// TriesNew: the Client is a Prober, and Accepts is called for a new credential before
	// it is published.
	TriesNew bool
	// Settle is how long a request can still take effect after its client gave up.
	Settle time.Duration
	// Narrows lists what a credential can be limited to in addition to its scopes. A
	// restriction that is not listed is refused.
	Narrows []Field
	// Updates lists the fields that can be changed without a new credential.
	Updates []Field
	// MaxLive is how many credentials an account can have in total; 0: any number.
	MaxLive int
	// Listed is how many credentials the provider lists, the newest ones; 0: all.
	Listed int
	// Relocates: Find shows every credential that Mint made, with the ID that Mint
	// returned, at every URL of the server. Then the endpoint of a provider can change
	// while credentials are live.
	Relocates bool
}

// Enforcer is who ends a credential at its expiry.
type Enforcer string

// The enforcers of an expiry.
const (
	// EnforcedByProvider means that the credential ends on time without the operator.
	EnforcedByProvider Enforcer = "Provider"
	// EnforcedByOperator means that the operator must revoke it.
	EnforcedByOperator Enforcer = "Operator"
	// EnforcedByUser means that a user must delete it, and is asked to.
	EnforcedByUser Enforcer = "Person"
)

// Config is what a driver needs to reach one account.
type Config struct {
	// Settings is the driver's block in the provider's spec; see SettingsOf.
	Settings any
	// Credentials are the values of the credentials Secret by key.
	Credentials map[string]Value
	// Cluster is the identity hash of this cluster; see package credname.
	Cluster string
	// HTTP is used for every request. A driver makes no client of its own. Without it,
	// every request fails.
	HTTP *http.Client
	// UserAgent of every request.
	UserAgent string
}

// Owner is the ApiToken a credential belongs to.
type Owner struct {
	// Cluster identity hash.
	Cluster string
	// Namespace and Token name the ApiToken; an empty Token means every one of the cluster.
	Namespace, Token string
}

// Grant is the declared access: everything that a credential can do, and no more.
type Grant struct {
	Scopes      []string
	Buckets     []string
	AllowedIPs  []string
	DeniedIPs   []string
	Subaccounts []string
	// ExpiresAt is when the credential must end.
	ExpiresAt time.Time
}

// MintRequest asks for one credential.
type MintRequest struct {
	// Name at the provider; unique per attempt, never used again.
	Name        string
	Owner       Owner
	Description string
	Grant       Grant
	// Submitted are the secret keys of a manual credential; nil where Mint makes it.
	Submitted map[string]Value
}

// Credential is one credential as the provider shows it, without its secret.
type Credential struct {
	// Name given at Mint.
	Name string
	// ID is the provider's public identifier; empty if it does not exist yet.
	ID string
	// State is whether it grants access, and whether it still takes up its name.
	State State
	// CreatedAt and ExpiresAt are zero when the provider does not show them.
	CreatedAt, ExpiresAt time.Time
	// Grant is what it may do, in the words of a declaration; nil when the provider does
	// not show that, or in words that the driver cannot translate back.
	Grant *Grant
}

// State of a credential at its provider. Time is not part of it: where the provider
// shows a credential that is past its expiry as before, ExpiresAt tells.
type State string

// The states of a credential.
const (
	// Live: it grants access, or can. A status that the driver does not know is Live.
	Live State = "Live"
	// Disabled: it grants no access, and still takes up its name and its slot. It can
	// come back, like an access key that was switched off; or it is the remains of a
	// credential, like an IAM user without keys.
	Disabled State = "Disabled"
	// Ended: it grants no access and never will again. It takes up neither a name nor a
	// slot. The provider only still shows it.
	Ended State = "Ended"
)

// Occupies reports whether a credential in this state takes up its name and its slot.
// An unknown state does.
func (s State) Occupies() bool { return s != Ended }

// Occupying returns the credentials that take up their name: all but those that have Ended.
func Occupying(all []Credential) []Credential {
	return slices.DeleteFunc(slices.Clone(all), func(c Credential) bool { return !c.State.Occupies() })
}

// Minted is a new credential with its secret.
type Minted struct {
	Credential Credential
	// Secret holds the secret keys by their name in the Kubernetes Secret.
	Secret map[string]Value
	// UsableAfter is how long the provider takes until the credential works everywhere.
	UsableAfter time.Duration
}

// Ref names a credential. See Source for how a driver finds it.
type Ref struct {
	// Name is required.
	Name string
	// ID helps to find a credential that the provider no longer lists. It proves
	// nothing: a credential of another name is not meant. Empty: not known.
	ID string
	// Since is when its name was reserved: it was not made before. Zero: not known.
	Since time.Time
}

// S3SettingsKeys returns the keys of S3Connection that are the same for all buckets.
func S3SettingsKeys() []string {
	return []string{"AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"}
}

// S3Connection returns the environment that S3 SDKs read, without credentials.
// An empty endpoint means AWS itself and sets no endpoint keys. It is published
// without a slash at its end, since clients append the bucket to it. The names are
// those of the AWS SDKs (docs.aws.amazon.com/sdkref, "Service-specific
// endpoints"); AWS_DEFAULT_REGION is the one boto reads.
func S3Connection(endpoint, region string, buckets []string) map[string]string {
	out := map[string]string{"AWS_REGION": region, "AWS_DEFAULT_REGION": region}
	if endpoint = strings.TrimRight(endpoint, "/"); endpoint != "" {
		out["AWS_ENDPOINT_URL"] = endpoint
		out["AWS_ENDPOINT_URL_S3"] = endpoint
	}
	if len(buckets) == 1 && buckets[0] != "*" {
		out["BUCKET_NAME"] = buckets[0]
	}
	return out
}
