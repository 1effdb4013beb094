// Package provider is the contract between the operator and a system that
// issues credentials. A driver knows one such system. Of Kubernetes it uses only its
// block in api/v1alpha1, and it has no clock of its own. docs/provider-contract.md states the contract
// in words, the package conformance states it as tests.
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
	// and those that have Ended as far as the provider shows them. Where the provider
	// does not show all it has, ref.ID and ref.Since help; a driver that cannot rule
	// out that there is one returns an error, never nothing. It never returns a
	// credential of another name, even if that has ref.ID.
	Find(ctx context.Context, ref Ref) ([]Credential, error)
	// List yields every credential of the owner that is Live or Disabled. It leaves out
	// what has Ended: a provider may go on showing that for ever. An Owner with an
	// empty Token means all of its cluster.
	List(ctx context.Context, owner Owner) iter.Seq2[Credential, error]
	// Revoke ends every credential that the provider shows under ref.Name and
	// removes what is left of it. It returns nil when there is none, or only ones that
	// have Ended. A credential of another name is left alone, even if it has ref.ID.
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

// Updater is an optional power of a Client, for drivers whose Capabilities list
// fields in Updates: it changes a live credential in place, without a new secret.
type Updater interface {
	// Update makes the credential of ref.Name what req asks for, and returns it as
	// the provider shows it afterwards. It returns an error when that is not what
	// was asked for, or when the provider shows ref.ID under another name.
	Update(ctx context.Context, ref Ref, req MintRequest) (Credential, error)
}

// Counter is an optional power of a Client, for drivers with Capabilities.MaxLive.
type Counter interface {
	// Occupied returns every credential that takes up one of the account's slots,
	// whoever made it and under whatever name: those that are Live or Disabled.
	Occupied(ctx context.Context) ([]Credential, error)
}

// ByHand is an optional power of a Driver: it tells which credentials a person
// has to make in the provider's own user interface, and how. They are handed over
// in MintRequest.HandedOver, and Mint checks them instead of making one.
type ByHand interface {
	// Form says what the person does; ok is false when Mint makes the credential.
	// It does no I/O.
	Form(cfg Config, req MintRequest) (form Form, ok bool)
	// KeyID returns the public id that a key carries in itself, from the secret keys
	// of its credential; empty when there is none. It is the ID that Mint answers
	// with for that key. It does no I/O.
	KeyID(secret map[string]Value) string
}

// Form says what a person fills in at a provider.
type Form struct {
	// Where in the provider's user interface a credential is made.
	Where string
	// Fields to fill in, in their order.
	Fields []FormField
	// Keys of the Secret that hands the credential over.
	Keys []string
	// Edit is where the fields of Capabilities.Updates are changed; empty: nowhere.
	Edit string
	// Revoke is where a credential is deleted.
	Revoke string
}

// FormField is one field of a Form.
type FormField struct{ Label, Value string }

// Prober is an optional power of a Client: it asks whether a credential gives access. It is
// asked about what a person was told to edit or to delete and, with Capabilities.TriesNew,
// about a new credential.
type Prober interface {
	// Accepts reports whether the data plane accepts the credential with these
	// secret keys. An error means that the question could not be answered.
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

// Capabilities says what a kind of provider can do.
type Capabilities struct {
	// Scopes it can grant; empty when any string may be one.
	Scopes []string
	// MaxLifetime of a credential; 0: unlimited.
	MaxLifetime time.Duration
	// MaxName is the longest credential name in bytes, at least credname.MinLength; 0: 60.
	MaxName int
	// ExpiryEnforcedBy says who ends a credential at its expiry.
	ExpiryEnforcedBy Enforcer
	// TriesNew says that Accepts of the Client, which is a Prober, is asked about a new
	// credential before it is published.
	TriesNew bool
	// Settle is how long after its client gave up a request may still take effect.
	Settle time.Duration
	// Narrows lists what a credential can be limited to beside its scopes; what is
	// not listed here is refused.
	Narrows []Field
	// Updates lists the fields that can be changed without a new credential.
	Updates []Field
	// MaxLive is how many credentials an account may have in all; 0: any number.
	MaxLive int
	// Listed is how many credentials the provider lists, the newest; 0: all.
	Listed int
	// Relocates: Find shows every credential that Mint made under the ID that Mint
	// answered with, whatever URL the server is reached at. Then the endpoint of a
	// provider can change while credentials are live.
	Relocates bool
}

// Enforcer says who ends a credential at its expiry.
type Enforcer string

// The enforcers of an expiry.
const (
	// EnforcedByProvider means that the credential dies on time without the operator.
	EnforcedByProvider Enforcer = "Provider"
	// EnforcedByOperator means that the operator has to revoke it.
	EnforcedByOperator Enforcer = "Operator"
	// EnforcedByPerson means that a person has to delete it, and is asked to.
	EnforcedByPerson Enforcer = "Person"
)

// Config is what a driver needs to reach one account.
type Config struct {
	// Settings is the driver's block in the provider's spec; see SettingsOf.
	Settings any
	// Credentials are the values of the credentials Secret by key.
	Credentials map[string]Value
	// Cluster is the identity hash of this cluster; see package credname.
	Cluster string
	// HTTP is used for every request: a driver makes no client of its own. Without it
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
	// HandedOver are the secret keys of a credential that a person has made; nil
	// where Mint makes it.
	HandedOver map[string]Value
}

// Credential is one credential as the provider shows it, without its secret.
type Credential struct {
	// Name given at Mint.
	Name string
	// ID is the provider's public identifier; empty if it does not exist yet.
	ID string
	// State says whether it gives access, and whether it still takes up its name.
	State State
	// CreatedAt and ExpiresAt are zero when the provider does not tell.
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
	// Live: it gives access, or may. So is a status that the driver does not know.
	Live State = "Live"
	// Disabled: it gives no access, and still takes up its name and its slot. It may
	// come back, as an access key that was switched off does; or it is what is left of a
	// credential, as a user without keys.
	Disabled State = "Disabled"
	// Ended: it gives no access and never will again. It takes up neither a name nor a
	// slot; the provider merely goes on showing it.
	Ended State = "Ended"
)

// Occupies reports whether a credential in this state takes up its name and its slot.
// A state that was not told does.
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
