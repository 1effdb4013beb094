package rest

import (
	"context"
	"errors"
	"net/http"

	"apitoken.dev/operator/internal/provider"
)

// client implements provider.Client, provider.Updater and provider.Counter.
type client struct{ *sender }

// gone are the statuses that mean that the credential does not exist.
var gone = []int{http.StatusNotFound, http.StatusGone}

// Mint implements provider.Client. It is one request.
func (c *client) Mint(ctx context.Context, req provider.MintRequest) (provider.Minted, error) {
	const what = "create the credential"
	if err := c.mayAsk(req); err != nil {
		return provider.Minted{}, err
	}
	out := provider.Minted{Secret: map[string]provider.Value{}}
	if d := c.p.settings.UsableAfter; d != nil {
		out.UsableAfter = d.Duration
	}
	err := c.send(ctx, c.p.mint, what, mintData(c.p.settings, req), func(ctx context.Context, vars map[string]any) error {
		item, err := c.p.mintItem.eval(ctx, vars)
		if err == nil {
			err = c.minted(ctx, map[string]any{varItem: item}, req, &out)
		}
		if err != nil {
			return unclear(what, err.Error())
		}
		return nil
	})
	if err != nil {
		return provider.Minted{}, err
	}
	out.Credential.Name, out.Credential.State = req.Name, provider.Live
	return out, nil
}

// minted reads a new credential and its secret.
func (c *client) minted(ctx context.Context, vars map[string]any, req provider.MintRequest, out *provider.Minted) error {
	var err error
	if out.Credential, err = c.describe(ctx, vars, false); err != nil {
		return err
	}
	for key, e := range c.p.secret {
		secret, err := e.word(ctx, vars)
		if err != nil {
			return err
		}
		if secret == "" {
			return errors.New(e.field + " returns nothing")
		}
		out.Secret[key] = provider.NewValue(secret)
	}
	if why := c.differs(out.Credential, req); why != "" {
		return errors.New(why)
	}
	return nil
}

// mayAsk returns an error for a request that must not be sent.
func (c *client) mayAsk(req provider.MintRequest) error {
	if err := req.CheckName(); err != nil {
		return err
	}
	if refusal := refuse(c.p.settings, req.Grant); refusal != nil {
		return provider.NotGranted(refusal)
	}
	return nil
}

// differs returns how a new credential differs from the request; "" if it does not. If the
// operator ends credentials, a later expiry at the vendor is accepted: the vendor's clock
// can be ahead, and its shortest lifetime can be a year.
func (c *client) differs(made provider.Credential, req provider.MintRequest) string {
	ends := byProvider(c.p.settings)
	switch {
	case made.ID == "":
		return "spec.rest.credential.id returns nothing"
	case made.Name != "" && made.Name != req.Name:
		return "the provider answered with a credential of another name"
	case ends && made.ExpiresAt.IsZero():
		return "the provider answered with a credential that does not end"
	case ends && made.ExpiresAt.After(req.Grant.ExpiresAt):
		return "the provider answered with a credential that ends later than asked"
	}
	return ""
}

// Revoke implements provider.Client. A request that identifies the credential by its name
// only cannot end another one, so it is sent even if the list does not show the name.
func (c *client) Revoke(ctx context.Context, ref provider.Ref) error {
	if !c.p.revoke.reads[fieldID] {
		if err := ref.Check(); err != nil {
			return err
		}
		if err := c.revoke(ctx, provider.Credential{Name: ref.Name}); err != nil {
			return err
		}
	}
	return c.source(ref.Name).Revoke(ctx, ref, c.revoke)
}

func (c *client) revoke(ctx context.Context, found provider.Credential) error {
	ref := provider.Ref{Name: found.Name, ID: found.ID}
	err := c.send(ctx, c.p.revoke, "revoke the credential", refData(ref), nil, gone...)
	if errors.Is(err, errAccepted) {
		return nil
	}
	return err
}

func refData(ref provider.Ref) map[string]any {
	return map[string]any{fieldName: ref.Name, fieldID: ref.ID}
}

// Occupied implements provider.Counter: every credential in the account counts, unless it
// has Ended.
func (c *client) Occupied(ctx context.Context) ([]provider.Credential, error) {
	all, err := c.kept(ctx, "")
	return provider.Occupying(all), err
}

// state is the result of credential.disabled and credential.live. Disabled comes first,
// because a disabled credential stays in the ledger.
func (c *client) state(ctx context.Context, vars map[string]any) (provider.State, error) {
	if c.p.disabled != nil {
		if off, err := c.p.disabled.truth(ctx, vars); err != nil || off {
			return provider.Disabled, err
		}
	}
	if c.p.live != nil {
		if live, err := c.p.live.truth(ctx, vars); err != nil || !live {
			return provider.Ended, err
		}
	}
	return provider.Live, nil
}

// Update implements provider.Updater. It reads the credential back, because
// some providers accept a field and ignore it.
func (c *client) Update(ctx context.Context, ref provider.Ref, req provider.MintRequest) (provider.Credential, error) {
	const what = "change the credential"
	if c.p.update == nil {
		return provider.Credential{}, provider.Invalid("spec.rest.update is missing: this provider changes nothing in place")
	}
	req.Name = ref.Name
	if err := c.mayAsk(req); err != nil {
		return provider.Credential{}, err
	}
	before, err := c.source(ref.Name).One(ctx, ref)
	if err != nil {
		return provider.Credential{}, err
	}
	data := mintData(c.p.settings, req)
	data[fieldName], data[fieldID] = before.Name, before.ID
	if err := c.send(ctx, c.p.update, what, data, nil); err != nil {
		return provider.Credential{}, err
	}
	var after provider.Credential
	err = c.show(ctx, provider.Ref{Name: before.Name, ID: before.ID}, func(ctx context.Context, item any) (err error) {
		vars := map[string]any{varItem: item, varWant: want(c.p.settings, req.Grant)}
		applied, err := c.p.applied.truth(ctx, vars)
		if err != nil {
			return unclear(what, err.Error())
		}
		after, err = c.describe(ctx, vars, true)
		switch {
		case err != nil:
			return unclear(what, err.Error())
		case after.Name != before.Name || after.ID != before.ID:
			return unclear(what, "the provider accepted it, and then showed another credential")
		case !applied:
			return unclear(what, "the provider accepted it, but shows something else; spec.rest.update.applied is false")
		}
		return nil
	})
	return after, err
}

// prober is a client of a vendor whose credentials can be tested.
type prober struct{ *client }

// Accepts implements provider.Prober.
func (p *prober) Accepts(ctx context.Context, secret map[string]provider.Value, grant provider.Grant) (bool, error) {
	data := grantData(p.p.settings, grant)
	data[fieldSecret] = revealed(secret) // the request authenticates with this credential
	refused := statuses(p.p.settings.Probe.RefusedStatuses)
	if len(refused) == 0 {
		refused = []int{http.StatusUnauthorized, http.StatusForbidden}
	}
	err := p.send(ctx, p.p.probe, "test the credential", data, nil, refused...)
	if errors.Is(err, errAccepted) {
		return false, nil
	}
	return err == nil, err
}
