package fake_test

import (
	"context"
	"errors"
	"iter"
	"sync"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/test/support/conformance"
)

// told makes Find and List tell another state of what is in one.
func (c *brokenClient) told(is, as provider.State) {
	change := func(credential provider.Credential) provider.Credential {
		if credential.State == is {
			credential.State = as
		}
		return credential
	}
	c.find = func(ctx context.Context, ref provider.Ref) ([]provider.Credential, error) {
		found, err := c.Client.Find(ctx, ref)
		for i := range found {
			found[i] = change(found[i])
		}
		return found, err
	}
	c.list = func(ctx context.Context, o provider.Owner) iter.Seq2[provider.Credential, error] {
		return func(yield func(provider.Credential, error) bool) {
			for credential, err := range c.Client.List(ctx, o) {
				if !yield(change(credential), err) {
					return
				}
			}
		}
	}
}

// listsEnded makes List and Occupied show what has ended of all that was minted.
func (c *brokenClient) listsEnded() {
	var mu sync.Mutex
	var names []string
	ended := func(ctx context.Context, o provider.Owner) (out []provider.Credential) {
		mu.Lock()
		defer mu.Unlock()
		for _, name := range names {
			found, _ := c.Client.Find(ctx, provider.Ref{Name: name})
			for _, credential := range found {
				if !credential.State.Occupies() && (o.Cluster == "" || o.Owns(credential.Name)) {
					out = append(out, credential)
				}
			}
		}
		return out
	}
	c.mint = func(ctx context.Context, r provider.MintRequest) (provider.Minted, error) {
		mu.Lock()
		names = append(names, r.Name)
		mu.Unlock()
		return c.Client.Mint(ctx, r)
	}
	c.list = func(ctx context.Context, o provider.Owner) iter.Seq2[provider.Credential, error] {
		return func(yield func(provider.Credential, error) bool) {
			for _, credential := range ended(ctx, o) {
				if !yield(credential, nil) {
					return
				}
			}
			c.Client.List(ctx, o)(yield)
		}
	}
	c.occupied = func(ctx context.Context) ([]provider.Credential, error) {
		all, err := c.Client.(provider.Counter).Occupied(ctx)
		return append(all, ended(ctx, provider.Owner{})...), err
	}
}

// only makes Find and List leave out what is not in a state.
func (c *brokenClient) only(state provider.State) {
	c.find = func(ctx context.Context, ref provider.Ref) (out []provider.Credential, _ error) {
		found, err := c.Client.Find(ctx, ref)
		for _, credential := range found {
			if credential.State == state {
				out = append(out, credential)
			}
		}
		return out, err
	}
}

// when makes Revoke do something else for what is in a state.
func (c *brokenClient) when(state provider.State, instead func() error) {
	c.revoke = func(ctx context.Context, ref provider.Ref) error {
		found, err := c.Client.Find(ctx, provider.Ref{Name: ref.Name})
		if err == nil && len(found) == 1 && found[0].State == state {
			return instead()
		}
		return c.Client.Revoke(ctx, ref)
	}
}

// brokenStates are breaches of drivers that mistake one state for another.
var brokenStates = map[string]breach{
	"mint returns no state": {requirements: []string{"NewIsLive"}, breaks: func(c *brokenClient) {
		c.mint = func(ctx context.Context, r provider.MintRequest) (provider.Minted, error) {
			out, err := c.Client.Mint(ctx, r)
			out.Credential.State = ""
			return out, err
		}
	}},
	"what is live has ended":      {requirements: []string{"NewIsLive", "MintedIsFoundByName"}, breaks: func(c *brokenClient) { c.told(provider.Live, provider.Ended) }},
	"what is live is off":         {requirements: []string{"NewIsLive"}, breaks: func(c *brokenClient) { c.told(provider.Live, provider.Disabled) }},
	"find hides what is not live": {requirements: []string{"RemainsAreFoundAndRevoked", "DisabledIsShown"}, breaks: func(c *brokenClient) { c.only(provider.Live) }},
	"what is off is live":         {requirements: []string{"DisabledIsShown"}, breaks: func(c *brokenClient) { c.told(provider.Disabled, provider.Live) }},
	"what is off has ended":       {which: "ended", requirements: []string{"DisabledIsShown"}, breaks: func(c *brokenClient) { c.told(provider.Disabled, provider.Ended) }},
	"what is off is left alone": {requirements: []string{"DisabledIsRevoked"}, breaks: func(c *brokenClient) {
		c.when(provider.Disabled, func() error { return nil })
	}},
	"what is off takes no slot": {which: "two", requirements: []string{"DisabledTakesItsSlot"}, breaks: func(c *brokenClient) {
		c.occupied = func(ctx context.Context) (out []provider.Credential, _ error) {
			all, err := c.Client.(provider.Counter).Occupied(ctx)
			for _, credential := range all {
				if credential.State == provider.Live {
					out = append(out, credential)
				}
			}
			return out, err
		}
	}},
	"what has ended is off": {which: "ended", requirements: []string{"EndedIsNotListed", "RevokeByName"}, breaks: func(c *brokenClient) {
		c.told(provider.Ended, provider.Disabled)
	}},
	"what has ended is listed":    {which: "ended", requirements: []string{"EndedIsNotListed"}, breaks: func(c *brokenClient) { c.listsEnded() }},
	"what has ended takes a slot": {which: "ended", requirements: []string{"EndedTakesNoSlot"}, breaks: func(c *brokenClient) { c.listsEnded() }},
	"what has ended is not revoked": {which: "ended", requirements: []string{"EndedIsRevoked"}, breaks: func(c *brokenClient) {
		c.when(provider.Ended, func() error { return errors.New("it is revoked already") })
	}},
	"what is off was deleted": {which: "manual", requirements: []string{"SwitchedOffIsNotDeleted"}, breaks: func(c *brokenClient) {
		c.accepts = func(ctx context.Context, secret map[string]provider.Value, g provider.Grant) (bool, error) {
			accepted, err := c.Client.(provider.Prober).Accepts(ctx, secret, g)
			if provider.AsError(err).Code == provider.CodeUnknown && ctx.Err() == nil {
				return false, nil
			}
			return accepted, err
		}
	}},
	"a state that is denied": {which: "ended", requirements: []string{"RevokeByName"}, states: conformance.States{
		NeverDisabled: "so it is said", NeverEnded: "so it is said",
	}},
}
