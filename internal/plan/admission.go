package plan

import "apitoken.dev/operator/api/v1alpha1"

// Access says whether a provider may be called for an ApiToken.
type Access int

// The kinds of access.
const (
	// NoAccess: the namespace is not admitted, and nothing was ever issued. No provider is
	// called for the ApiToken.
	NoAccess Access = iota
	// ClaimedAccess: the namespace is not admitted, and only the Secret says that something
	// was issued. The status can be lost or the Secret forged, so calls are allowed, but all
	// other calls come first.
	ClaimedAccess
	// FullAccess: the namespace is admitted, or the ledger says that something was issued.
	FullAccess
)

// Access returns the access of the ApiToken. An ApiToken that has, or had, a credential keeps
// its access when the provider stops admitting the namespace: the credential must be adopted
// and revoked.
func (o *Observation) Access() Access {
	switch {
	case o.Provider.Admitted, len(o.Ledger) > 0, o.Token.Revision > 0:
		return FullAccess
	case o.claims():
		return ClaimedAccess
	default:
		return NoAccess
	}
}

// Counts reports whether an ApiToken counts as a user of its account. In a namespace that is
// not admitted, it counts only with credentials in its ledger.
func Counts(t *v1alpha1.ApiToken, admitted bool) bool {
	return admitted || len(t.Status.Credentials) > 0
}
