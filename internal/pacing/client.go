package pacing

import (
	"context"
	"iter"
	"sync/atomic"

	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/places"
	"apitoken.dev/operator/internal/provider"
)

// Caller is the reconcile that a client is made for.
type Caller struct {
	// Place at the provider. The client stops working when it is released.
	Place *places.Place
	// ReadOnly: the endpoint is not verified, so only reads are sent to it.
	ReadOnly bool
	// Confirm is called before each Mint, which is not sent if it returns an error.
	Confirm func(ctx context.Context) error
}

// Client returns a client whose calls pass the gate while its caller has a place at the
// provider. It has the optional interfaces of inner, and no others; see provider.As.
func (g *Gate) Client(inner provider.Client, by Caller) provider.Client {
	return &client{Wrapped: provider.Wrap(inner), inner: inner, gate: g, by: by}
}

// Blocked returns the error that a Mint or an Update of this client would return now
// without sending anything, because the provider asked for a pause or too many calls are
// queued. It returns nil if the call would be sent. Call it before reserving, so no
// reservation is wasted.
func Blocked(c provider.Client) error {
	if c, ok := c.(*client); ok {
		return c.gate.blocked(c.by.Place.Tenant())
	}
	return nil
}

// CheckPlace returns an error unless a reconcile has a place at a provider. Without one
// nothing is sent; that is a bug in the operator.
func CheckPlace(place *places.Place, key account.Key) error {
	err := place.Check(key.String())
	if err == nil {
		return nil
	}
	return &provider.Error{Code: provider.CodeUnavailable, NotExecuted: true, Err: err,
		Message: "the request was not sent: its reconcile has no place at this provider"}
}

// client is a client of one caller behind a gate.
type client struct {
	provider.Wrapped
	inner provider.Client
	gate  *Gate
	by    Caller
	// begun: the caller has begun an action, so its further calls may be queued longer.
	begun atomic.Bool
}

// begin waits until a call may be sent.
func (c *client) begin(ctx context.Context, op operation, ref provider.Ref) (*call, error) {
	if err := c.permits(op); err != nil {
		return nil, err
	}
	maxWait := c.gate.firstWait
	switch {
	case op == opMint || op == opUpdate:
		maxWait = c.gate.mintWait
	case c.begun.Load():
		maxWait = max(maxWait, c.gate.mintWait)
	}
	one, err := c.gate.begin(ctx, op, ref, turn{tenant: c.by.Place.Tenant(), maxWait: maxWait})
	if err == nil {
		c.begun.Store(true)
	}
	return one, err
}

// permits returns an error unless the caller has a place and the endpoint may receive
// the operation.
func (c *client) permits(op operation) error {
	if err := CheckPlace(c.by.Place, c.gate.key); err != nil {
		return err
	}
	if c.by.ReadOnly && writes[op] {
		return &provider.Error{Code: provider.CodeUnavailable, NotExecuted: true, Err: account.ErrEndpointUnverified,
			Message: "the request was not sent: the endpoint is not verified yet"}
	}
	return nil
}

// through makes one call that passes the gate. Ref names the credential that the call is
// about, and can be empty.
func through[T any](ctx context.Context, c *client, op operation, ref provider.Ref, send func() (T, error)) (T, error) {
	var none T
	one, err := c.begin(ctx, op, ref)
	if err != nil {
		return none, err
	}
	out, err := send()
	one.keyID = idOf(out)
	one.end(ctx, err)
	return out, err
}

// idOf returns the public id of the credential in an answer, or "".
func idOf(answer any) string {
	switch a := answer.(type) {
	case provider.Minted:
		return a.Credential.ID
	case provider.Credential:
		return a.ID
	default:
		return ""
	}
}

// Mint implements provider.Client. It is not sent unless Caller.Confirm succeeds.
func (c *client) Mint(ctx context.Context, req provider.MintRequest) (provider.Minted, error) {
	if err := c.permits(opMint); err != nil {
		return provider.Minted{}, err
	}
	if err := c.by.Confirm(ctx); err != nil {
		return provider.Minted{}, err
	}
	return through(ctx, c, opMint, provider.Ref{Name: req.Name}, func() (provider.Minted, error) { return c.inner.Mint(ctx, req) })
}

// Find implements provider.Client.
func (c *client) Find(ctx context.Context, ref provider.Ref) ([]provider.Credential, error) {
	return through(ctx, c, opFind, ref, func() ([]provider.Credential, error) { return c.inner.Find(ctx, ref) })
}

// List implements provider.Client. It is one call, however many pages it reads.
func (c *client) List(ctx context.Context, owner provider.Owner) iter.Seq2[provider.Credential, error] {
	return func(yield func(provider.Credential, error) bool) {
		one, err := c.begin(ctx, opList, provider.Ref{})
		if err != nil {
			yield(provider.Credential{}, err)
			return
		}
		var failed error
		for credential, err := range c.inner.List(ctx, owner) {
			if err != nil {
				failed = err
			}
			if !one.exclude(func() bool { return yield(credential, err) }) {
				break
			}
		}
		one.end(ctx, failed)
	}
}

// Revoke implements provider.Client.
func (c *client) Revoke(ctx context.Context, ref provider.Ref) error {
	_, err := through(ctx, c, opRevoke, ref, func() (struct{}, error) { return struct{}{}, c.inner.Revoke(ctx, ref) })
	return err
}

// Update implements provider.Updater.
func (c *client) Update(ctx context.Context, ref provider.Ref, req provider.MintRequest) (provider.Credential, error) {
	inner, err := provider.Need[provider.Updater](c.inner)
	if err != nil {
		return provider.Credential{}, err
	}
	return through(ctx, c, opUpdate, ref, func() (provider.Credential, error) { return inner.Update(ctx, ref, req) })
}

// Occupied implements provider.Counter.
func (c *client) Occupied(ctx context.Context) ([]provider.Credential, error) {
	inner, err := provider.Need[provider.Counter](c.inner)
	if err != nil {
		return nil, err
	}
	return through(ctx, c, opList, provider.Ref{}, func() ([]provider.Credential, error) { return inner.Occupied(ctx) })
}

// Accepts implements provider.Prober.
func (c *client) Accepts(ctx context.Context, secret map[string]provider.Value, grant provider.Grant) (bool, error) {
	inner, err := provider.Need[provider.Prober](c.inner)
	if err != nil {
		return false, err
	}
	return through(ctx, c, opProbe, provider.Ref{}, func() (bool, error) { return inner.Accepts(ctx, secret, grant) })
}
