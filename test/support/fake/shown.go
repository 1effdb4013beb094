package fake

import (
	"slices"

	"apitoken.dev/operator/internal/provider"
)

// What the provider shows, and what it keeps to itself. The lock is held in all of these.

// of returns every credential of an account, the oldest first.
func (b *Backend) of(account string) []*credential {
	var out []*credential
	for _, m := range b.credentials {
		if m.account == account {
			out = append(out, m)
		}
	}
	return out
}

// listed returns what the provider lists: the newest, where Capabilities.Listed
// limits it. full says that there may be more than these.
func (b *Backend) listed(c *client) (out []*credential, full bool) {
	for _, m := range b.of(c.account) {
		if !m.hidden && !m.manual {
			out = append(out, m)
		}
	}
	most := c.driver.Caps.Listed
	if most == 0 || len(out) < most {
		return out, false
	}
	return out[len(out)-most:], true
}

// selected returns the credentials of a Ref's name, as far as a client can get at
// them: those that the list shows, or is about to, and the one that has the ID.
func (b *Backend) selected(c *client, ref provider.Ref) []*credential {
	listed, _ := b.listed(c)
	var out []*credential
	for _, m := range b.of(c.account) {
		reached := m.hidden || slices.Contains(listed, m)
		if m.Name == ref.Name && (reached || m.ID == ref.ID) {
			out = append(out, m)
		}
	}
	return out
}

// obeyed returns the credentials of an ID that are of another name than the Ref,
// where the provider trusts its caller.
func (b *Backend) obeyed(c *client, ref provider.Ref) []*credential {
	var out []*credential
	for _, m := range b.of(c.account) {
		if b.ObeysIDs && ref.ID != "" && m.ID == ref.ID && m.Name != ref.Name {
			out = append(out, m)
		}
	}
	return out
}

// unseen is the error for a name that may exist although the list does not show
// it. An ID settles the question, because a credential is read by it; and so does
// a listed credential that is older than the name.
func (b *Backend) unseen(c *client, ref provider.Ref) error {
	listed, full := b.listed(c)
	if !full || ref.ID != "" || !ref.Since.IsZero() && listed[0].CreatedAt.Before(ref.Since) {
		return nil
	}
	return &provider.Error{
		Code:    provider.CodeUnavailable,
		Message: "the provider lists only its newest credentials, and this one may be older; look for it there and delete it",
	}
}

// show is a credential as a client sees it.
func (b *Backend) show(m *credential) provider.Credential {
	out := m.Credential
	out.State = b.stateOf(m)
	if b.ShowsGrants {
		grant := m.grant
		out.Grant = &grant
	}
	return out
}

// stateOf is the state of a credential.
func (b *Backend) stateOf(m *credential) provider.State {
	expired := !m.ExpiresAt.IsZero() && !b.now().Before(m.ExpiresAt)
	switch {
	case m.ended, expired && b.KeepsEnded:
		return provider.Ended
	case b.alive(m):
		return provider.Live
	}
	return provider.Disabled
}

// occupying returns every credential of an account that takes up a slot.
func (b *Backend) occupying(account string) []*credential {
	return slices.DeleteFunc(b.of(account), func(m *credential) bool { return !b.stateOf(m).Occupies() })
}

// end revokes credentials: they are gone, or shown as Ended.
func (b *Backend) end(match func(*credential) bool) {
	if !b.KeepsEnded {
		b.drop(match)
		return
	}
	for _, m := range b.credentials {
		m.ended = m.ended || match(m)
	}
}

func (b *Backend) drop(match func(*credential) bool) {
	b.credentials = slices.DeleteFunc(b.credentials, match)
}
