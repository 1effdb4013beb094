package plan

import "apitoken.dev/operator/api/v1alpha1"

// Access says whether a provider may be called for an ApiToken.
type Access int

// The kinds of access.
const (
	// NoAccess: the namespace is not admitted and nothing was ever issued. The
	// ApiToken does not exist for the provider.
	NoAccess Access = iota
	// ClaimedAccess: the namespace is not admitted, and only the Secret says that
	// something was issued. The status may be lost, or the Secret forged: a call is
	// allowed, and waits for all others.
	ClaimedAccess
	// FullAccess: the namespace is admitted, or the ledger says that something was issued.
	FullAccess
)

// Access returns the access of the ApiToken. Losing admission takes nothing away
// from one that has, or had, a credential: that has to be adopted, ended and revoked.
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

// Counts reports whether an ApiToken takes part in sharing its account: in a
// namespace that is not admitted only if it has credentials there. One in the gap of
// a RevokeFirst rotation takes part like one with credentials.
func Counts(t *v1alpha1.ApiToken, admitted bool) bool {
	return admitted || len(t.Status.Credentials) > 0
}
