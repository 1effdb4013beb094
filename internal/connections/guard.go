package connections

import (
	"context"
	"iter"

	"apitoken.dev/operator/internal/provider"
)

// Blocked returns the error that a Mint or an Update of this client would be refused
// with now, because the provider asked for a pause or too many requests wait for it;
// nil when it would be sent. Call it before reserving, so no reservation is wasted.
func Blocked(c provider.Client) error {
	if g, ok := c.(*guarded); ok {
		return g.blocked()
	}
	return nil
}

// guard returns a client whose calls pass a gate while its caller has a place. It
// has the optional powers of the client that it guards, and no others; see provider.As.
func guard(inner provider.Client, g *lane) provider.Client {
	return &guarded{Wrapped: provider.Wrap(inner), lane: g, inner: inner}
}

// guarded is a client behind a gate.
type guarded struct {
	provider.Wrapped
	*lane
	inner provider.Client
}

// through makes one call that passes the gate. The ref names the credential that it is
// about, and may be empty.
func through[T any](ctx context.Context, g *lane, op operation, ref provider.Ref, call func() (T, error)) (T, error) {
	var none T
	c, err := g.begin(ctx, op, ref)
	if err != nil {
		return none, err
	}
	out, err := call()
	c.keyID = idOf(out)
	c.end(ctx, err)
	return out, err
}

// idOf is the public id of the credential in an answer; empty if it has none.
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

// Mint implements provider.Client. It reads the provider live first.
func (c *guarded) Mint(ctx context.Context, req provider.MintRequest) (provider.Minted, error) {
	if err := c.confirm(ctx); err != nil {
		return provider.Minted{}, err
	}
	return through(ctx, c.lane, opMint, provider.Ref{Name: req.Name}, func() (provider.Minted, error) { return c.inner.Mint(ctx, req) })
}

// Find implements provider.Client.
func (c *guarded) Find(ctx context.Context, ref provider.Ref) ([]provider.Credential, error) {
	return through(ctx, c.lane, opFind, ref, func() ([]provider.Credential, error) { return c.inner.Find(ctx, ref) })
}

// List implements provider.Client. However many pages it takes, it is one call.
func (c *guarded) List(ctx context.Context, owner provider.Owner) iter.Seq2[provider.Credential, error] {
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
			if !one.pausing(func() bool { return yield(credential, err) }) {
				break
			}
		}
		one.end(ctx, failed)
	}
}

// Revoke implements provider.Client.
func (c *guarded) Revoke(ctx context.Context, ref provider.Ref) error {
	_, err := through(ctx, c.lane, opRevoke, ref, func() (struct{}, error) { return struct{}{}, c.inner.Revoke(ctx, ref) })
	return err
}

// Update implements provider.Updater.
func (c *guarded) Update(ctx context.Context, ref provider.Ref, req provider.MintRequest) (provider.Credential, error) {
	inner, err := provider.Need[provider.Updater](c.inner)
	if err != nil {
		return provider.Credential{}, err
	}
	return through(ctx, c.lane, opUpdate, ref, func() (provider.Credential, error) { return inner.Update(ctx, ref, req) })
}

// Occupied implements provider.Counter.
func (c *guarded) Occupied(ctx context.Context) ([]provider.Credential, error) {
	inner, err := provider.Need[provider.Counter](c.inner)
	if err != nil {
		return nil, err
	}
	return through(ctx, c.lane, opList, provider.Ref{}, func() ([]provider.Credential, error) { return inner.Occupied(ctx) })
}

// Accepts implements provider.Prober.
func (c *guarded) Accepts(ctx context.Context, secret map[string]provider.Value, grant provider.Grant) (bool, error) {
	inner, err := provider.Need[provider.Prober](c.inner)
	if err != nil {
		return false, err
	}
	return through(ctx, c.lane, opProbe, provider.Ref{}, func() (bool, error) { return inner.Accepts(ctx, secret, grant) })
}
