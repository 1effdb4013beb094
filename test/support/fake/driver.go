package fake

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"apitoken.dev/operator/internal/provider"
)

// Type is the type of the driver.
const Type = "fake"

// The keys of a credential in its Secret.
const (
	KeyID     = "AWS_ACCESS_KEY_ID"
	KeySecret = "AWS_SECRET_ACCESS_KEY"
)

// S3Endpoint is the endpoint in each Secret.
const S3Endpoint = "https://s3.fake.invalid"

// TokenKey is the key of the minting credential in the credentials Secret.
const TokenKey = "token"

// Driver connects to a Backend. Set its fields before use.
type Driver struct {
	Backend *Backend
	// Caps is what Capabilities returns.
	Caps provider.Capabilities
	// CapsFor, if set, is what CapabilitiesFor returns for a grant; nil: Caps.
	CapsFor func(provider.Grant) provider.Capabilities
	// UsableAfter is what every Mint returns.
	UsableAfter time.Duration
	// Ends, if set, returns the expiry that the provider sets for the expiry that Mint
	// requests.
	Ends func(asked time.Time) time.Time
	// Refuse, if set, is called by Validate after the checks against the Capabilities.
	Refuse func(provider.MintRequest) *provider.Refusal
	// ManualForm, if set, decides which credentials are manual, and returns their form.
	ManualForm func(provider.MintRequest) (provider.Form, bool)
	// At is what Server returns for a configuration; nil: the same server for all,
	// which names its accounts itself.
	At func(provider.Config) provider.Server
}

// endOf returns when the provider ends a credential: as requested, or never if the
// operator enforces expiry.
func (d *Driver) endOf(asked provider.Grant) time.Time {
	switch {
	case d.Ends != nil:
		return d.Ends(asked.ExpiresAt)
	case d.Caps.ExpiryEnforcedBy == provider.EnforcedByOperator:
		return time.Time{}
	default:
		return asked.ExpiresAt
	}
}

// New returns a Driver that grants any scope and restriction, with a provider that
// enforces expiry.
func New(b *Backend) *Driver {
	return &Driver{Backend: b, Caps: provider.Capabilities{
		ExpiryEnforcedBy: provider.EnforcedByProvider,
		Settle:           time.Minute,
		Relocates:        true,
		Narrows: []provider.Field{
			provider.FieldBuckets, provider.FieldAllowedIPs, provider.FieldDeniedIPs, provider.FieldSubaccounts,
		},
	}}
}

// Server implements provider.Located.
func (d *Driver) Server(_ context.Context, cfg provider.Config) provider.Server {
	if d.At == nil {
		return provider.ServerAt("spec.fake.endpoint", "https://fake.invalid")
	}
	return d.At(cfg)
}

// Type implements provider.Driver.
func (*Driver) Type() string { return Type }

// Capabilities implements provider.Driver.
func (d *Driver) Capabilities() provider.Capabilities { return d.Caps }

// CapabilitiesFor implements provider.Limiter.
func (d *Driver) CapabilitiesFor(grant provider.Grant) provider.Capabilities {
	if d.CapsFor == nil {
		return d.Caps
	}
	return d.CapsFor(grant)
}

// Connect implements provider.Driver.
func (d *Driver) Connect(ctx context.Context, cfg provider.Config) (provider.Client, provider.Account, error) {
	b := d.Backend
	var account string
	scopes := d.Caps.Scopes
	b.locked(func() {
		account = b.account
		if len(b.grantable) > 0 {
			scopes = b.grantable
		}
	})
	call := Call{Verb: Connect, Client: cfg.UserAgent, Account: account}
	if err := b.do(ctx, call, func(Fault) error { return nil }); err != nil {
		return nil, provider.Account{}, err
	}
	if b.Token != "" && cfg.Credentials[TokenKey].Reveal() != b.Token {
		return nil, provider.Account{}, &provider.Error{
			Code: provider.CodeUnauthenticated, NotExecuted: true,
			Message: "the provider did not accept the key token of the credentials Secret",
		}
	}
	client := &client{driver: d, backend: b, config: cfg, account: account}
	return client, provider.Account{ID: account, GrantableScopes: slices.Clone(scopes)}, nil
}

// Validate implements provider.Validator: it refuses everything that Caps does not
// list.
func (d *Driver) Validate(_ provider.Config, req provider.MintRequest) error {
	for i, scope := range req.Grant.Scopes {
		if len(d.Caps.Scopes) > 0 && !slices.Contains(d.Caps.Scopes, scope) {
			return &provider.Refusal{
				Reason: provider.RefusedScope, Field: fmt.Sprintf("spec.scopes[%d]", i), Value: scope,
				Message: "this provider grants " + strings.Join(d.Caps.Scopes, ", "),
			}
		}
	}
	end := req.Grant.ExpiresAt
	if longest := d.Caps.MaxLifetime; longest > 0 && (end.IsZero() || end.Sub(d.Backend.clock.Now()) > longest) {
		return &provider.Refusal{
			Reason: provider.RefusedLifetime, Field: "spec.expiresIn", Value: end.UTC().Format(time.RFC3339),
			Message: fmt.Sprintf("a credential of this provider lives at most %s; declare that or less", longest),
		}
	}
	if r := provider.RefuseNarrowing(d.Caps, req.Grant); r != nil {
		return r
	}
	if d.Refuse != nil {
		if r := d.Refuse(req); r != nil {
			return r
		}
	}
	return nil
}

// Form implements provider.Manual.
func (d *Driver) Form(_ provider.Config, req provider.MintRequest) (provider.Form, bool) {
	if d.ManualForm == nil {
		return provider.Form{}, false
	}
	return d.ManualForm(req)
}

// KeyID implements provider.Manual.
func (*Driver) KeyID(secret map[string]provider.Value) string { return secret[KeyID].Reveal() }

// grantable rejects requests that Mint and Update cannot grant, before any effect.
func (d *Driver) grantable(cfg provider.Config, req provider.MintRequest) error {
	if err := d.Validate(cfg, req); err != nil {
		return &provider.Error{
			Code: provider.CodeInvalid, NotExecuted: true, Message: "this provider cannot grant what was asked for", Err: err,
		}
	}
	_, manual := d.Form(cfg, req)
	switch {
	case manual && req.Submitted == nil:
		return provider.Invalid("a user creates this credential: submit its keys")
	case !manual && req.Submitted != nil:
		return provider.Invalid("this credential is minted: submit no keys")
	}
	return nil
}

// SecretKeys implements provider.SecretKeyer.
func (*Driver) SecretKeys(provider.Config, provider.Grant) []string {
	return []string{KeyID, KeySecret}
}

// Connection implements provider.Connector.
func (*Driver) Connection(_ provider.Config, grant provider.Grant) map[string]string {
	return provider.S3Connection(S3Endpoint, "fake-1", grant.Buckets)
}

// SettingsKeys implements provider.SettingsKeyer.
func (*Driver) SettingsKeys(provider.Config) []string { return provider.S3SettingsKeys() }
