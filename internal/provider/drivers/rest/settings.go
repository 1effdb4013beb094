package rest

import (
	"time"

	"apitoken.dev/operator/internal/provider"
)

// Settings are the driver's part of a provider's spec: a vendor's token API.
// Texts called templates and expressions are explained in docs/providers/rest.md.
type Settings struct {
	// BaseURL is what the path of every request is appended to.
	BaseURL string
	// Headers are sent with every request but those of Probe.
	Headers []Header
	// Account asks whose credentials these are; nil: the host of BaseURL is the account.
	Account *Account
	// Scopes that can be granted; empty: any.
	Scopes []Scope
	// Narrows are what a credential can be limited to beside its scopes.
	Narrows []provider.Field
	// NamedBucketsOnly says that all buckets together cannot be granted.
	NamedBucketsOnly bool
	// Limits of the vendor.
	Limits Limits
	// Expiry says who ends a credential and how long it may live.
	Expiry Expiry
	// Settle is how long after its client gave up a request may still take effect; 0: a minute.
	Settle time.Duration
	// UsableAfter is how long a new credential takes to work everywhere.
	UsableAfter time.Duration
	// Connection are the keys without secrets of a workload's Secret, as templates.
	Connection map[string]string
	// Credential says where a credential's properties are, in an answer's item.
	Credential Credential
	// Mint, List and Revoke are needed; the others may be nil.
	Mint   Mint
	List   List
	Revoke Request
	Get    *Get
	Update *Update
	Probe  *Probe
	// Error says what a refusal of the vendor means.
	Error Errors
}

// Header is one header of a request; its value is a template.
type Header struct{ Name, Value string }

// Scope is a scope and what the vendor calls it; empty: the same.
type Scope struct{ Scope, Permission string }

// Limits are numbers of a vendor; 0 is none.
type Limits struct {
	// Name is the longest name of a credential, in characters.
	Name int
	// Live is how many credentials an account may have in all.
	Live int
	// Listed is how many credentials the list shows, the newest.
	Listed int
	// Scopes and Buckets are how many one credential may have.
	Scopes, Buckets int
}

// Expiry says who ends a credential and how long it may live.
type Expiry struct {
	// EnforcedBy is the provider, or the operator when it is empty.
	EnforcedBy provider.Enforcer
	// MaxLifetime of a credential; 0: unlimited.
	MaxLifetime time.Duration
}

// Request is one request, in templates.
type Request struct {
	// Method; empty: the one that is usual for what the request does.
	Method string
	// Path begins with /; what a template puts into it is escaped.
	Path string
	// Query parameters; one whose value is empty is left out.
	Query map[string]string
	// Headers beside those of Settings.
	Headers []Header
	// Body is JSON; what a template puts into it becomes a JSON value. Empty: no body.
	Body string
	// SuccessStatuses are the statuses of success; empty: every 2xx.
	SuccessStatuses []int
}

// Credential has an expression for each property of a credential, over item.
type Credential struct {
	ID, Name string
	// Live is true while it gives access; false: it has Ended, unless Disabled is true.
	// Empty: it is Live.
	Live string
	// Disabled is true while it is switched off and can come back. Empty: that is never.
	Disabled string
	// CreatedAt and ExpiresAt may be empty: not told.
	CreatedAt, ExpiresAt string
}

// Account is the request that tells whose credentials these are.
type Account struct {
	Request
	// ID is an expression for what identifies the account.
	ID string
	// Permissions is an expression for the list of the vendor's permissions that
	// this account can give; empty: not told.
	Permissions string
}

// Mint is the request that makes a credential.
type Mint struct {
	Request
	// Item is an expression for the credential in the answer; empty: body.
	Item string
	// Secret has an expression over item for each key of the Secret.
	Secret map[string]string
}

// List is the request that lists credentials.
type List struct {
	Request
	// Items is an expression for the list of credentials in the answer.
	Items string
	// Next is an expression for what the next request gets as .page; empty, 0 or
	// null ends the list. Without it the list is one page.
	Next string
}

// Get is the request that shows one credential.
type Get struct {
	Request
	// Item is an expression for the credential in the answer; empty: body.
	Item string
}

// Update is the request that changes a live credential.
type Update struct {
	Request
	// Fields that it can change.
	Fields []provider.Field
	// Applied is an expression over item and want that is true when the credential
	// is what was asked for. It is read back for that.
	Applied string
}

// Probe is a request with a minted credential, which shows whether it still works.
type Probe struct {
	Request
	// RefusedStatuses say that it does not; empty: 401 and 403.
	RefusedStatuses []int
}

// Errors say what refusals of the vendor mean.
type Errors struct {
	// Word is an expression for the vendor's own code of an error.
	Word string
	// Codes are what some of these words mean.
	Codes map[string]provider.Code
	// InDoubt is an expression that is true when a refused request may have been
	// carried out all the same.
	InDoubt string
}
