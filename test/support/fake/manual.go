package fake

import (
	"fmt"
	"strings"

	"apitoken.dev/operator/internal/provider"
)

// handPrefix is the prefix of the ID of every manual credential.
const handPrefix = "HAND"

func isManual(id string) bool { return strings.HasPrefix(id, handPrefix) }

// MakeManual makes a manual credential, as a user would in the provider's user
// interface, and returns the keys to submit.
func (b *Backend) MakeManual(grant provider.Grant) map[string]provider.Value {
	var made *credential
	b.locked(func() {
		b.made++
		made = &credential{
			Credential: provider.Credential{
				ID: fmt.Sprintf("%s%04d", handPrefix, b.made), CreatedAt: b.now(), ExpiresAt: grant.ExpiresAt,
			},
			account: b.account, grant: grant, manual: true,
		}
		made.secret = SecretOf("manual-" + made.ID)
		b.credentials = append(b.credentials, made)
	})
	return map[string]provider.Value{KeyID: provider.NewValue(made.ID), KeySecret: provider.NewValue(made.secret)}
}

// DeleteManual deletes the manual credential with this ID, as a user would.
func (b *Backend) DeleteManual(id string) {
	b.locked(func() { b.drop(func(m *credential) bool { return m.manual && m.ID == id }) })
}

// DisableManual switches off the manual credential with this ID, as a user can.
func (b *Backend) DisableManual(id string) {
	b.locked(func() {
		for _, m := range b.credentials {
			m.disabled = m.disabled || m.manual && m.ID == id
		}
	})
}

// adopt checks the keys of a manual credential. From then on Live, LiveOf and GrantOf
// include it under the name; Find and List never do. The lock is held.
func (b *Backend) adopt(_ *client, req provider.MintRequest, _ Fault) (credential, error) {
	m := b.holder(req.Submitted)
	if m == nil || !m.manual {
		return credential{}, provider.Invalid("the provider does not accept the keys that were handed over; copy them again")
	}
	m.Name, m.owner = req.Name, req.Owner
	return *m, nil
}
