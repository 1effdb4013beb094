package fake

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"apitoken.dev/operator/internal/provider"
)

// client is bound to the account that Connect returned.
type client struct {
	driver  *Driver
	backend *Backend
	config  provider.Config
	account string
}

func (c *client) call(verb Verb) Call {
	return Call{Verb: verb, Client: c.config.UserAgent, Account: c.account}
}

// Mint implements provider.Client. A name that is minted twice gets two
// credentials: this provider does not keep names unique.
func (c *client) Mint(ctx context.Context, req provider.MintRequest) (provider.Minted, error) {
	b := c.backend
	b.locked(func() { b.minted[req.Name]++ })
	call := c.call(Mint)
	call.Name, call.Owner = req.Name, req.Owner
	if err := c.driver.Validate(c.config, req); err != nil {
		return provider.Minted{}, &provider.Error{
			Code: provider.CodeInvalid, NotExecuted: true, Message: "this provider cannot grant what was asked for", Err: err,
		}
	}
	var made *credential
	if err := b.do(ctx, call, func(f Fault) { made = b.create(c.account, req, f) }); err != nil {
		return provider.Minted{}, err
	}
	return provider.Minted{
		Credential: provider.Credential{
			Name: made.Name, ID: made.ID, Live: true, CreatedAt: made.CreatedAt, ExpiresAt: made.ExpiresAt,
		},
		Secret: map[string]provider.Value{
			KeyID: provider.NewValue(made.ID), KeySecret: provider.NewValue(SecretOf(made.Name)),
		},
		UsableAfter: c.driver.UsableAfter,
	}, nil
}

// create adds a credential. The lock is held.
func (b *Backend) create(account string, req provider.MintRequest, f Fault) *credential {
	b.made++
	made := &credential{
		Credential: provider.Credential{Name: req.Name, CreatedAt: b.clock.Now(), ExpiresAt: req.Grant.ExpiresAt},
		account:    account, owner: req.Owner, grant: req.Grant,
		remains: f.Kind == Partial, hidden: f.Kind == Hide,
	}
	if !made.remains {
		made.ID = fmt.Sprintf("FAKE%04d", b.made)
	}
	b.credentials = append(b.credentials, made)
	return made
}

// Find implements provider.Client.
func (c *client) Find(ctx context.Context, name string) ([]provider.Credential, error) {
	call := c.call(Find)
	call.Name = name
	return c.look(ctx, call, func(m *credential) bool { return m.Name == name })
}

// List implements provider.Client.
func (c *client) List(ctx context.Context, owner provider.Owner) iter.Seq2[provider.Credential, error] {
	return func(yield func(provider.Credential, error) bool) {
		call := c.call(List)
		call.Owner = owner
		found, err := c.look(ctx, call, func(m *credential) bool { return owns(owner, m.owner) })
		if err != nil {
			yield(provider.Credential{}, err)
			return
		}
		for _, credential := range found {
			if !yield(credential, nil) {
				return
			}
		}
	}
}

func (c *client) look(ctx context.Context, call Call, match func(*credential) bool) ([]provider.Credential, error) {
	b := c.backend
	var out []provider.Credential
	err := b.do(ctx, call, func(Fault) {
		for _, m := range b.credentials {
			if m.account == c.account && !m.hidden && match(m) {
				shown := m.Credential
				shown.Live = b.alive(m)
				out = append(out, shown)
			}
		}
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Revoke implements provider.Client. It also ends what Find does not show yet.
func (c *client) Revoke(ctx context.Context, ref provider.Ref) error {
	b := c.backend
	call := c.call(Revoke)
	call.Name, call.ID = ref.Name, ref.ID
	if ref == (provider.Ref{}) {
		return &provider.Error{
			Code: provider.CodeInvalid, NotExecuted: true, Message: "a credential to revoke needs a name or an id",
		}
	}
	return b.do(ctx, call, func(Fault) {
		b.credentials = slices.DeleteFunc(b.credentials, func(m *credential) bool {
			return m.account == c.account &&
				(ref.Name != "" && m.Name == ref.Name || ref.ID != "" && m.ID == ref.ID)
		})
	})
}
