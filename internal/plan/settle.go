package plan

import (
	"fmt"
	"slices"
	"time"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/provider"
)

// Rejection says how to undo the reservation of an attempt that the provider rejected.
type Rejection struct {
	// Refunds: the charge on the mint budget is returned, because the backoff already
	// limits how often a rejected attempt is retried. A submitted credential stays charged.
	Refunds bool
	// AtOnce: the next attempt skips the backoff, because it uses another submitted
	// credential.
	AtOnce bool
	// Pause is how long the provider asks to wait before the next call.
	Pause time.Duration
}

// MintFailed returns what to do with an attempt whose Mint failed. If the provider rejected
// it, the reservation is undone as r says. Otherwise the attempt is abandoned, and only
// r.Pause applies. Manual means that a user submitted the credential.
func MintFailed(err error, attempt Issue, manual bool) (r Rejection, rejected bool) {
	e := provider.AsError(err)
	r.Pause = e.RetryAfter
	if provider.InDoubt(err) {
		return r, false
	}
	r.Refunds, r.AtOnce = attempt.Charged && !manual, RefusesHandover(err, manual)
	return r, true
}

// ExpiredOnArrival returns an error that is in doubt if a minted credential has already expired: it
// cannot be used, but the provider can still show it. Requested is the expiry that was requested.
func ExpiredOnArrival(c provider.Credential, requested, now time.Time) error {
	if c.ExpiresAt.IsZero() || now.Before(c.ExpiresAt) {
		return nil
	}
	return &provider.Error{Code: provider.CodeUnknown, Message: fmt.Sprintf(
		"the provider returned a credential that expired at %s; the operator requested one that is valid until %s",
		c.ExpiresAt.UTC().Format(time.RFC3339), requested.UTC().Format(time.RFC3339))}
}

// RejectedOnArrival is the error of an attempt whose new credential the provider rejects.
func RejectedOnArrival() error {
	return &provider.Error{Code: provider.CodeUnknown, Message: "the provider rejects the credential that it has just issued. " +
		"The credential was not published and will be revoked: check the request in spec.rest.probe of the provider, and its refusedStatuses"}
}

// RefusesHandover reports whether Mint failed because the submitted credential is invalid. A
// retry with the same credential fails again.
func RefusesHandover(err error, manual bool) bool {
	e := provider.AsError(err)
	return manual && e.NotExecuted && e.Code == provider.CodeInvalid
}

// NeedsNoFence reports whether an attempt whose publish failed is abandoned without a fence.
// After an explicit rejection no write can arrive late, and the API server would reject the
// fence as well.
func NeedsNoFence(out Outcome) bool { return Is[SecretRefused](out) }

// UpdateCanRetry reports whether a change in place was certainly not carried out, and the
// same request can succeed later.
func UpdateCanRetry(err error) bool {
	e := provider.AsError(err)
	return e.NotExecuted && (e.Code == provider.CodeRateLimited || e.Code == provider.CodeUnavailable)
}

// RefusesEdit reports whether an error means that the credential which a user edited does
// not work. After any other error that is unknown: the provider could not be reached or
// cannot answer now.
func RefusesEdit(err error) bool {
	code := provider.AsError(err).Code
	return code == provider.CodeUnknown || code == provider.CodeInvalid
}

// replacesCredential reports whether a credential that is issued for this reason replaces
// another one.
func replacesCredential(reason IssueReason, before *v1alpha1.ApiTokenStatus) bool {
	if reason == IssueInitial || reason == IssueRestored {
		return false
	}
	active := func(e v1alpha1.LedgerEntry) bool { return e.State == v1alpha1.StateActive }
	return reason != IssueHandedOver || slices.ContainsFunc(before.Credentials, active) // the first one can be submitted too
}

// Rotated returns the reason of each credential that became Active in after and replaced
// another one.
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

// RotationFailed reports whether an attempt is a rotation that failed. Superseded, NoPlace
// and NeedsUser are no failures: the attempt is repeated, or waits for a user.
func RotationFailed(reason IssueReason, before *v1alpha1.ApiTokenStatus, out Outcome) bool {
	return out != nil && replacesCredential(reason, before) && !Is[Superseded](out) && !Is[NoPlace](out) && !Is[NeedsUser](out)
}
