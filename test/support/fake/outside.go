package fake

import (
	"fmt"
	"slices"
	"time"

	"apitoken.dev/operator/internal/provider"
)

// Stranger makes n credentials in the account that no operator knows, as
// somebody else does, and returns their names. Delete removes one.
func (b *Backend) Stranger(n int) []string {
	var out []string
	b.locked(func() {
		for range n {
			b.made++
			m := &credential{
				Credential: provider.Credential{
					Name: fmt.Sprintf("stranger-%d", b.made), ID: fmt.Sprintf("FAKE%04d", b.made), CreatedAt: b.now(),
				},
				account: b.account, owner: provider.Owner{Cluster: "a stranger's"},
			}
			m.secret = SecretOf(m.Name)
			b.credentials = append(b.credentials, m)
			out = append(out, m.Name)
		}
	})
	return out
}

// Hold makes a credential of each name that has none, as an earlier process did.
func (b *Backend) Hold(names ...string) {
	b.locked(func() {
		for _, name := range names {
			if slices.ContainsFunc(b.credentials, func(m *credential) bool { return m.Name == name }) {
				continue
			}
			b.made++
			b.credentials = append(b.credentials, &credential{
				Credential: provider.Credential{Name: name, ID: fmt.Sprintf("FAKE%04d", b.made), CreatedAt: b.now()},
				account:    b.account, secret: SecretOf(name),
			})
		}
	})
}

// StateOf describes the credential with an ID, whoever made it; empty when there is none.
func (b *Backend) StateOf(id string) string {
	var out string
	b.locked(func() {
		for _, m := range b.credentials {
			if m.ID == id {
				out = fmt.Sprintf("%+v", *m)
			}
		}
	})
	return out
}

// IDOf returns the ID of the newest credential of a name; empty when there is none.
func (b *Backend) IDOf(name string) string {
	var out string
	b.locked(func() {
		for _, m := range b.credentials {
			if m.Name == name {
				out = m.ID
			}
		}
	})
	return out
}

// Delete removes the credentials of a name, in any account, as somebody else does.
func (b *Backend) Delete(name string) {
	b.locked(func() { b.drop(func(m *credential) bool { return m.Name == name }) })
}

// Disable switches the credentials of a name off, in any account, as somebody
// else does. They are still there.
func (b *Backend) Disable(name string) { b.switched(name, true) }

// Enable switches them on again.
func (b *Backend) Enable(name string) { b.switched(name, false) }

// Deny takes their access from the credentials of a name, in any account, while they are
// shown as Live: as where a data plane never learns of a key.
func (b *Backend) Deny(name string) {
	b.locked(func() {
		for _, m := range b.credentials {
			if m.Name == name {
				m.remains = true
			}
		}
	})
}

func (b *Backend) switched(name string, off bool) {
	b.locked(func() {
		for _, m := range b.credentials {
			if m.Name == name {
				m.disabled = off
			}
		}
	})
}

// Grants makes the credentials of a name give this access, in any account, as somebody
// else does.
func (b *Backend) Grants(name string, grant provider.Grant) {
	b.locked(func() {
		for _, m := range b.credentials {
			if m.Name == name {
				m.grant = grant
			}
		}
	})
}

// End revokes the credentials of a name, in any account, as somebody else does: with
// KeepsEnded they are still shown.
func (b *Backend) End(name string) {
	b.locked(func() { b.end(func(m *credential) bool { return m.Name == name }) })
}

// Skew puts the provider's clock ahead, or behind.
func (b *Backend) Skew(d time.Duration) { b.locked(func() { b.skew = d }) }
