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
	if g, ok := provider.Base(c).(*guarded); ok {
		return g.blocked()
	}
	return nil
}

// guard returns a client whose calls pass a gate while its caller has a place. It
// has the optional powers of the client that it guards, and no others.
func guard(inner provider.Client, g *lane) provider.Client {
	base := &guarded{lane: g, inner: inner}
	return provider.WithPowers(base, inner,
		func(u provider.Updater) provider.Updater { return updater{g, u} },
		func(c provider.Counter) provider.Counter { return counter{g, c} },
		func(p provider.Prober) provider.Prober { return prober{g, p} })
}

// guarded is a client behind a gate.
type guarded struct {
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

type updater struct {
	lane  *lane
	inner provider.Updater
}

// Update implements provider.Updater.
func (u updater) Update(ctx context.Context, ref provider.Ref, req provider.MintRequest) (provider.Credential, error) {
	return through(ctx, u.lane, opUpdate, ref, func() (provider.Credential, error) { return u.inner.Update(ctx, ref, req) })
}

type counter struct {
	lane  *lane
	inner provider.Counter
}

// Occupied implements provider.Counter.
func (c counter) Occupied(ctx context.Context) ([]provider.Credential, error) {
	return through(ctx, c.lane, opList, provider.Ref{}, func() ([]provider.Credential, error) { return c.inner.Occupied(ctx) })
}

type prober struct {
	lane  *lane
	inner provider.Prober
}

// Accepts implements provider.Prober.
func (p prober) Accepts(ctx context.Context, secret map[string]provider.Value, grant provider.Grant) (bool, error) {
	return through(ctx, p.lane, opProbe, provider.Ref{}, func() (bool, error) { return p.inner.Accepts(ctx, secret, grant) })
}
