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
	if err := c.driver.grantable(c.config, req); err != nil {
		return provider.Minted{}, err
	}
	obtain := b.create
	if _, manual := c.driver.Form(c.config, req); manual {
		obtain = b.adopt
	}
	var made credential
	err := b.do(ctx, call, func(f Fault) (err error) {
		made, err = obtain(c, req, f)
		return err
	})
	if err != nil {
		return provider.Minted{}, err
	}
	return provider.Minted{
		Credential: provider.Credential{
			Name: req.Name, ID: made.ID, State: provider.Live, CreatedAt: made.CreatedAt, ExpiresAt: made.ExpiresAt,
		},
		Secret: map[string]provider.Value{
			KeyID: provider.NewValue(made.ID), KeySecret: provider.NewValue(made.secret),
		},
		UsableAfter: c.driver.UsableAfter,
	}, nil
}

// create adds a credential. The lock is held.
func (b *Backend) create(c *client, req provider.MintRequest, f Fault) (credential, error) {
	if most := c.driver.Caps.MaxLive; most > 0 && len(b.occupying(c.account)) >= most {
		return credential{}, &provider.Error{
			Code: provider.CodeQuota, NotExecuted: true,
			Message: fmt.Sprintf("the account has %d credentials and may not have more; delete one that is not needed", most),
		}
	}
	b.made++
	made := &credential{
		Credential: provider.Credential{Name: req.Name, CreatedAt: b.now(), ExpiresAt: c.driver.endOf(req.Grant)},
		account:    c.account, owner: req.Owner, grant: req.Grant, secret: SecretOf(req.Name),
		remains: f.Kind == Partial, hidden: f.Kind == Hide,
	}
	if !made.remains {
		made.ID = fmt.Sprintf("FAKE%04d", b.made)
	}
	b.credentials = append(b.credentials, made)
	return *made, nil
}

// Find implements provider.Client.
func (c *client) Find(ctx context.Context, ref provider.Ref) ([]provider.Credential, error) {
	b := c.backend
	call := c.call(Find)
	call.Name, call.ID = ref.Name, ref.ID
	var out []provider.Credential
	if ref.Name == "" {
		return nil, provider.Invalid("a credential to find needs a name")
	}
	err := b.do(ctx, call, func(Fault) error {
		for _, m := range b.selected(c, ref) {
			if !m.hidden && !m.manual {
				out = append(out, b.show(m))
			}
		}
		if len(out) == 0 {
			return b.unseen(c, ref)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// List implements provider.Client.
func (c *client) List(ctx context.Context, owner provider.Owner) iter.Seq2[provider.Credential, error] {
	return func(yield func(provider.Credential, error) bool) {
		b := c.backend
		call := c.call(List)
		call.Owner = owner
		var found []provider.Credential
		err := b.do(ctx, call, func(Fault) error {
			listed, _ := b.listed(c)
			for _, m := range listed {
				if owns(owner, m.owner) && b.stateOf(m).Occupies() {
					found = append(found, b.show(m))
				}
			}
			return nil
		})
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

// Revoke implements provider.Client. It also ends what Find does not show yet.
func (c *client) Revoke(ctx context.Context, ref provider.Ref) error {
	b := c.backend
	call := c.call(Revoke)
	call.Name, call.ID = ref.Name, ref.ID
	if ref.Name == "" {
		return provider.Invalid("a credential to revoke needs a name")
	}
	if isManual(ref.ID) {
		return provider.Invalid("only a user can delete " + ref.ID)
	}
	return b.do(ctx, call, func(f Fault) error {
		if f.Kind == Ignore {
			return nil
		}
		ended := append(b.selected(c, ref), b.obeyed(c, ref)...)
		b.end(func(m *credential) bool { return !m.manual && slices.Contains(ended, m) })
		if len(ended) == 0 {
			return b.unseen(c, ref)
		}
		return nil
	})
}
