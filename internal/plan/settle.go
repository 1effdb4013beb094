package plan

import (
	"slices"
	"time"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/provider"
)

// Rejection says how the reservation of an attempt is taken back that made nothing.
type Rejection struct {
	// Refunds: the charge is given back, because the backoff already limits how often a
	// rejected attempt is retried. A submitted credential stays charged.
	Refunds bool
	// AtOnce: the next attempt does not wait for the backoff, because it is made with
	// another submitted credential.
	AtOnce bool
	// Pause is how long the provider asks to be left alone.
	Pause time.Duration
}

// MintFailed says what becomes of an attempt whose Mint failed. An explicit rejection
// takes the reservation back; after any other error the attempt is given up, and the
// provider is left alone for Pause. Manual: the credential was submitted.
func MintFailed(err error, attempt Issue, manual bool) (r Rejection, rejected bool) {
	e := provider.AsError(err)
	r.Pause = e.RetryAfter
	if provider.InDoubt(err) {
		return r, false
	}
	r.Refunds, r.AtOnce = attempt.Charged && !manual, RefusesHandover(err, manual)
	return r, true
}

// RefusesHandover reports whether an error of Mint refuses the credential that was
// submitted: the same one is refused each time.
func RefusesHandover(err error, manual bool) bool {
	e := provider.AsError(err)
	return manual && e.NotExecuted && e.Code == provider.CodeInvalid
}

// NeedsNoFence reports whether an attempt is given up whose credential was not
// published. After an explicit refusal this process will not publish it, so no fence is
// needed, and the API server that refuses a publish would refuse a fence too.
func NeedsNoFence(out Outcome) bool { return Is[SecretRefused](out) }

// UpdateCanRetry reports whether a change in place was certainly not carried out, for a reason
// that goes away by itself. The same request may work later.
func UpdateCanRetry(err error) bool {
	e := provider.AsError(err)
	return e.NotExecuted && (e.Code == provider.CodeRateLimited || e.Code == provider.CodeUnavailable)
}

// RefusesEdit reports whether an error of a provider says that a credential that a user
// edited does not work. Any other error says that the provider was not reached, or cannot
// be asked now.
func RefusesEdit(err error) bool {
	code := provider.AsError(err).Code
	return code == provider.CodeUnknown || code == provider.CodeInvalid
}

// replaces reports whether a credential that is issued for a reason takes the place of
// another one.
func replacesCredential(reason IssueReason, before *v1alpha1.ApiTokenStatus) bool {
	if reason == IssueInitial || reason == IssueRestored {
		return false
	}
	active := func(e v1alpha1.LedgerEntry) bool { return e.State == v1alpha1.StateActive }
	return reason != IssueHandedOver || slices.ContainsFunc(before.Credentials, active) // the first one may be handed over too
}

// Rotated returns, for each credential that a written status made the one in use in
// place of another, the reason for which it was issued.
func Rotated(before, after *v1alpha1.ApiTokenStatus) []IssueReason {
	was := map[string]bool{}
	for i := range before.Credentials {
		was[before.Credentials[i].Name] = before.Credentials[i].State == v1alpha1.StateActive
	}
	var out []IssueReason
	for i := range after.Credentials {
		e := &after.Credentials[i]
		if reason := IssueReason(e.Reason); e.State == v1alpha1.StateActive && !was[e.Name] && replacesCredential(reason, before) {
			out = append(out, reason)
		}
	}
	return out
}

// RotationFailed reports whether an attempt is a rotation that failed. One that was
// superseded or is in line is repeated and did not fail, and neither did one for which a
// person has not acted yet.
func RotationFailed(reason IssueReason, before *v1alpha1.ApiTokenStatus, out Outcome) bool {
	return out != nil && replacesCredential(reason, before) && !Is[Superseded](out) && !Is[NoPlace](out) && !Is[NeedsUser](out)
}
