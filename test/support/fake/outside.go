package fake

import (
	"fmt"
	"slices"
	"time"

	"apitoken.dev/operator/internal/provider"
)

// Stranger makes n credentials that are unknown to every operator, as another client
// would, and returns their names. Delete removes one.
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

// Hold makes a credential for each name that has none, as an earlier process would
// have.
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

// StateOf describes the credential with an ID, also one of another client; "" if it
// does not exist.
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

// IDOf returns the ID of the newest credential of a name; "" if there is no such
// credential.
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

// Delete removes the credentials of a name, in any account, as another client would.
func (b *Backend) Delete(name string) {
	b.locked(func() { b.drop(func(m *credential) bool { return m.Name == name }) })
}

// Disable switches the credentials of a name off, in any account, as another client
// would. They still exist.
func (b *Backend) Disable(name string) { b.switched(name, true) }

// Enable switches them on again.
func (b *Backend) Enable(name string) { b.switched(name, false) }

// Deny makes the data plane reject the credentials of a name, in any account, while
// they are shown as Live.
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

// Grants changes the grant of the credentials of a name, in any account, as another
// client would.
func (b *Backend) Grants(name string, grant provider.Grant) {
	b.locked(func() {
		for _, m := range b.credentials {
			if m.Name == name {
				m.grant = grant
			}
		}
	})
}

// End revokes the credentials of a name, in any account, as another client would. With
// KeepsEnded they are still shown.
func (b *Backend) End(name string) {
	b.locked(func() { b.end(func(m *credential) bool { return m.Name == name }) })
}

// Skew sets how far the provider's clock is ahead; negative if it is behind.
func (b *Backend) Skew(d time.Duration) { b.locked(func() { b.skew = d }) }
