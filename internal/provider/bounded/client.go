package bounded

import (
	"context"
	"iter"

	"apitoken.dev/operator/internal/provider"
)

// Client returns a client whose calls are bounded. It has the optional interfaces of
// c, and no others; see provider.As.
func Client(c provider.Client, o Options) provider.Client {
	return &client{Wrapped: provider.Wrap(c), inner: c, o: o}
}

type client struct {
	provider.Wrapped
	inner provider.Client
	o     Options
}

// Mint implements provider.Client.
func (c *client) Mint(ctx context.Context, req provider.MintRequest) (provider.Minted, error) {
	return run(ctx, c.o, mint, func(ctx context.Context, _ *budget) (provider.Minted, error) {
		made, err := c.inner.Mint(ctx, req)
		if err != nil {
			return made, err
		}
		if err := checkMinted(req, made); err != nil {
			err.NotExecuted = req.Submitted != nil // a user made it, so nothing was issued
			return provider.Minted{}, err
		}
		return made, nil
	})
}

// Find implements provider.Client.
func (c *client) Find(ctx context.Context, ref provider.Ref) ([]provider.Credential, error) {
	return run(ctx, c.o, find, func(ctx context.Context, b *budget) ([]provider.Credential, error) {
		ref, err := checkedRef(find.name, ref)
		if err != nil {
			return nil, err
		}
		found, err := c.inner.Find(ctx, ref)
		return checkedList(b, found, err, ref.Name != "")
	})
}

// Revoke implements provider.Client.
func (c *client) Revoke(ctx context.Context, ref provider.Ref) error {
	_, err := run(ctx, c.o, revoke, func(ctx context.Context, _ *budget) (struct{}, error) {
		ref, err := checkedRef(revoke.name, ref)
		if err != nil {
			return struct{}{}, err
		}
		return struct{}{}, c.inner.Revoke(ctx, ref)
	})
	return err
}

// List implements provider.Client. It ends with the first error, and leaves out ended
// credentials, even if the provider still shows many. Deletions need complete lists, so the
// list of one Token always begins at the beginning. For an Owner without a Token it is the
// list of a whole cluster, which can take many requests and is paced.
func (c *client) List(ctx context.Context, owner provider.Owner) iter.Seq2[provider.Credential, error] {
	k := list
	if owner.Token == "" {
		k = sweep
	}
	return func(yield func(provider.Credential, error) bool) {
		cursor := provider.CursorOf(ctx)
		ctx, b, end := begin(ctx, c.o, k)
		defer end()
		if owner.Token == "" {
			ctx = provider.WithCursor(ctx, cursor)
		}
		stopped, err := c.each(ctx, b, owner, yield)
		if stopped {
			return
		}
		if err = b.verdict(ctx, err); err != nil {
			yield(provider.Credential{}, err)
		}
	}
}

// each yields every credential until the consumer stops it or there is an error. A
// panic of the consumer is not recovered.
func (c *client) each(ctx context.Context, b *budget, owner provider.Owner, yield func(provider.Credential, error) bool) (stopped bool, err error) {
	consuming := false
	defer func() {
		if consuming {
			return
		}
		if r := recover(); r != nil {
			err = c.o.panicked(ctx, b.kind.name, r)
		}
	}()
	for credential, err := range c.inner.List(ctx, owner) {
		if err == nil && credential.State == provider.Ended {
			continue
		}
		if err == nil {
			err = checkCredential(b, credential)
		}
		if err != nil {
			return false, err
		}
		consuming = true
		stopped = !yield(credential, nil)
		consuming = false
		if stopped {
			return stopped, nil
		}
	}
	return false, nil
}

// Update implements provider.Updater.
func (c *client) Update(ctx context.Context, ref provider.Ref, req provider.MintRequest) (provider.Credential, error) {
	inner, err := provider.Need[provider.Updater](c.inner)
	if err != nil {
		return provider.Credential{}, err
	}
	return run(ctx, c.o, update, func(ctx context.Context, _ *budget) (provider.Credential, error) {
		ref, err := checkedRef(update.name, ref)
		if err != nil {
			return provider.Credential{}, err
		}
		changed, err := inner.Update(ctx, ref, req)
		if err != nil {
			return changed, err
		}
		switch {
		case !identifier(changed.ID):
			return provider.Credential{}, unusable(update.name, badID)
		case !timesFit(changed):
			return provider.Credential{}, unusable(update.name, badTime)
		}
		return changed, nil
	})
}

// Occupied implements provider.Counter. It leaves out ended credentials. Other
// clients can choose any name, so names are made printable and never rejected.
func (c *client) Occupied(ctx context.Context) ([]provider.Credential, error) {
	inner, err := provider.Need[provider.Counter](c.inner)
	if err != nil {
		return nil, err
	}
	return run(ctx, c.o, occupied, func(ctx context.Context, b *budget) ([]provider.Credential, error) {
		found, err := inner.Occupied(ctx)
		return checkedList(b, provider.Occupying(found), err, false)
	})
}

// Accepts implements provider.Prober.
func (c *client) Accepts(ctx context.Context, secret map[string]provider.Value, grant provider.Grant) (bool, error) {
	inner, err := provider.Need[provider.Prober](c.inner)
	if err != nil {
		return false, err
	}
	return run(ctx, c.o, accepts, func(ctx context.Context, _ *budget) (bool, error) { return inner.Accepts(ctx, secret, grant) })
}
