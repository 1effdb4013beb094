package tokenprovider

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
)

// unverifiedError reports that an endpoint does not show the credentials of the ledgers.
type unverifiedError struct {
	key account.Key
	// was is the endpoint that was verified last; empty if none is recorded. now is the
	// declared endpoint, and field its path in the spec.
	was, now, field string
	// total counts the entries of the ledgers, and left those that are not shown. missing
	// are the first of these.
	total, left int
	missing     []entry
	// why is another reason why the endpoint is not used.
	why string
}

// Error implements error.
func (e *unverifiedError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: ", e.field)
	if e.was == "" {
		fmt.Fprintf(&b, "%s is used for the first time", e.now)
	} else {
		fmt.Fprintf(&b, "changed from %s to %s", e.was, e.now)
	}
	if e.why != "" {
		b.WriteString(", but " + e.why)
	} else {
		fmt.Fprintf(&b, ", which does not show %d of %d credentials of the ledgers", e.left, e.total)
		called := make([]string, 0, len(e.missing))
		for _, m := range e.missing {
			called = append(called, fmt.Sprintf("%s of ApiToken %s", cmp.Or(m.ID, m.Name), m.token))
		}
		if len(called) > 0 {
			b.WriteString(": " + strings.Join(called, ", "))
		}
		if more := e.left - len(called); more > 0 {
			fmt.Fprintf(&b, " and %d more", more)
		}
	}
	b.WriteString(". Nothing is issued or revoked until it is verified. ")
	b.WriteString(e.fix())
	return b.String()
}

func (e *unverifiedError) fix() string {
	if e.was == "" {
		return "Set it to the server that issued them, or set spec.deletionPolicy: Retain on these ApiTokens and delete them"
	}
	return fmt.Sprintf("If it is another server, change %s back to %s. If that server is gone for good, set spec.deletionPolicy: Retain on these ApiTokens and delete them",
		e.field, e.was)
}

// verifyingError reports that a verification is in progress.
type verifyingError struct {
	unverifiedError
	shown int
}

// Error implements error.
func (e *verifyingError) Error() string {
	return fmt.Sprintf("%s: changed from %s to %s, which is being verified; it has shown %d of %d credentials so far",
		e.field, cmp.Or(e.was, "an unknown endpoint"), e.now, e.shown, e.total)
}

// refusedMove returns the verdict on an account or endpoint that was not accepted.
func refusedMove(err error) (verdict, bool) {
	var account *accountError
	var verifying *verifyingError
	var refused *unverifiedError
	var live *liveError
	switch {
	case errors.As(err, &account):
		return verdict{stalled: true, missing: true, reason: v1alpha1.ReasonProviderAccountChanged, message: sentence(capital(account.Error()))}, true
	case errors.As(err, &verifying):
		return verdict{reason: v1alpha1.ReasonEndpointUnverified, message: sentence(verifying.Error())}, true
	case errors.As(err, &refused):
		return verdict{stalled: true, missing: true, reason: v1alpha1.ReasonEndpointUnverified, message: sentence(refused.Error())}, true
	case errors.As(err, &live):
		return verdict{reason: v1alpha1.ReasonEndpointUnverified,
			message: "The ledgers to verify the endpoint with could not be read from the API server. The operator retries."}, true
	default:
		return verdict{}, false
	}
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
