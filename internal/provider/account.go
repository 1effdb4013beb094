package provider

import "slices"

// Account identifies whose credentials a Client mints.
type Account struct {
	// ID is stable and unique at its vendor, such as an AWS account id. It does not
	// name the server: the operator compares that itself (see Located). UnnamedAccount
	// if the provider does not identify accounts.
	ID string
	// Former are the IDs that earlier versions of the driver gave this account at this
	// server. Ledgers may still hold them.
	Former []string
	// GrantableScopes are the scopes that this account can grant; empty when not known.
	GrantableScopes []string
}

// UnnamedAccount is the ID of every account of a provider that does not identify accounts.
const UnnamedAccount = "unnamed"

// Is reports whether a recorded ID names this account. A record without an ID
// matches every account.
func (a Account) Is(recorded string) bool {
	return recorded == "" || recorded == a.ID || slices.Contains(a.Former, recorded)
}
