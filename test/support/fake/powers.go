package fake

import (
	"context"
	"slices"

	"apitoken.dev/operator/internal/provider"
)

// Update implements provider.Updater.
func (c *client) Update(ctx context.Context, ref provider.Ref, req provider.MintRequest) (provider.Credential, error) {
	b := c.backend
	call := c.call(Update)
	call.Name, call.ID, call.Owner = ref.Name, ref.ID, req.Owner
	if ref.Name == "" {
		return provider.Credential{}, provider.Invalid("a credential to change needs a name")
	}
	if len(c.driver.Caps.Updates) == 0 {
		return provider.Credential{}, provider.Invalid("this provider changes nothing in place")
	}
	if err := c.driver.grantable(c.config, req); err != nil {
		return provider.Credential{}, err
	}
	var out provider.Credential
	err := b.do(ctx, call, func(f Fault) error {
		for _, m := range b.selected(c, ref) {
			if m.manual || !b.alive(m) || ref.ID != "" && m.ID != ref.ID {
				continue
			}
			if f.Kind != Ignore {
				m.grant, m.ExpiresAt = req.Grant, c.driver.endOf(req.Grant)
			}
			out = b.show(m)
			if !sameGrant(m.grant, req.Grant) {
				return &provider.Error{Code: provider.CodeUnknown, Message: "the provider did not make the credential what was asked for"}
			}
			return nil
		}
		return provider.Invalid("there is no live credential to change under this name and id")
	})
	if err != nil {
		return provider.Credential{}, err
	}
	return out, nil
}

// sameGrant compares two grants; the order of what they list says nothing.
func sameGrant(a, b provider.Grant) bool {
	same := func(x, y []string) bool {
		return slices.Equal(slices.Sorted(slices.Values(x)), slices.Sorted(slices.Values(y)))
	}
	return same(a.Scopes, b.Scopes) && same(a.Buckets, b.Buckets) && same(a.Subaccounts, b.Subaccounts) &&
		same(a.AllowedIPs, b.AllowedIPs) && same(a.DeniedIPs, b.DeniedIPs) && a.ExpiresAt.Equal(b.ExpiresAt)
}

// Occupied implements provider.Counter.
func (c *client) Occupied(ctx context.Context) ([]provider.Credential, error) {
	b := c.backend
	var out []provider.Credential
	err := b.do(ctx, c.call(Occupied), func(Fault) error {
		for _, m := range b.occupying(c.account) {
			if !m.hidden {
				out = append(out, b.show(m))
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Accepts implements provider.Prober: it asks the data plane.
func (c *client) Accepts(ctx context.Context, secret map[string]provider.Value, _ provider.Grant) (bool, error) {
	accepted := false
	err := c.backend.do(ctx, c.call(Accepts), func(Fault) error {
		accepted = c.backend.holder(secret) != nil
		if !accepted && c.backend.switchedOff(secret) {
			return &provider.Error{Code: provider.CodeUnknown, Message: "the credential is switched off, and may be switched on again"}
		}
		return nil
	})
	return accepted && err == nil, err
}

// switchedOff reports whether these keys are those of a credential that may come back.
// The lock is held.
func (b *Backend) switchedOff(secret map[string]provider.Value) bool {
	return slices.ContainsFunc(b.credentials, func(m *credential) bool {
		return m.disabled && !m.ended && m.ID == secret[KeyID].Reveal() && m.secret == secret[KeySecret].Reveal()
	})
}

// holder returns the credential that the data plane takes these keys for. The lock is held.
func (b *Backend) holder(secret map[string]provider.Value) *credential {
	for _, m := range b.credentials {
		if b.alive(m) && m.ID == secret[KeyID].Reveal() && m.secret == secret[KeySecret].Reveal() {
			return m
		}
	}
	return nil
}
