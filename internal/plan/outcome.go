package plan

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"apitoken.dev/operator/internal/provider"
)

// Outcome is why an action was not carried out: exactly one of the types below. A nil
// Outcome means that it was. AfterOutcome says how an Outcome leaves the ApiToken, and Retry
// when it is reconciled again.
//
//sumtype:decl
type Outcome interface {
	outcome()
	// String is a sentence that is safe to show: it holds no text of a provider or of
	// an API server.
	String() string
}

// The outcomes.
type (
	// Superseded says that another client changed an object first. Nothing was done, and
	// the next reconcile reads what there is now.
	Superseded struct{ What string }
	// NoPlace says that there is no place at the provider now. Nothing was sent or reserved,
	// and the ApiToken is reconciled when its turn comes.
	NoPlace struct{}
	// Deferred says that the namespace is not admitted, and that the next call for it is
	// allowed after Wait.
	Deferred struct{ Wait time.Duration }
	// NeedsUser says that a user must do something at the provider first.
	NeedsUser struct{ Task string }
	// AccountChanged says that the provider's credentials belong to another account than the one
	// that issued a credential of the ledger.
	AccountChanged struct{}
	// Unfinished says that the next reconcile continues where this one ended.
	Unfinished struct{ Why string }
	// SecretRefused says that the API server refuses the Secret as it is.
	SecretRefused struct {
		Why string
		Err error
	}
	// NotSent says that the API server did not carry out a request, or there are no credentials
	// with which the provider could be called.
	NotSent struct {
		Why string
		Err error
	}
	// CallFailed says that a call of the provider failed.
	CallFailed struct {
		Verb  string
		Cause *provider.Error
		// Unverified: it was not sent, because the endpoint is not the verified one.
		Unverified bool
	}
	// Failed is any other failure. The text of Err is safe to show.
	Failed struct{ Err error }
	// Several is an action with several parts, of which more than one was not carried out.
	Several struct{ All []Outcome }
)

// What is looked at again.
const (
	StillThere     = "credentials were still there and are revoked now"
	TooLate        = "the attempt took too long and was stopped; it is resolved like one that was interrupted"
	SameCredential = "the credential that was handed over is in use already"
)

func (Superseded) outcome()     {}
func (NoPlace) outcome()        {}
func (Deferred) outcome()       {}
func (NeedsUser) outcome()      {}
func (AccountChanged) outcome() {}
func (Unfinished) outcome()     {}
func (SecretRefused) outcome()  {}
func (NotSent) outcome()        {}
func (CallFailed) outcome()     {}
func (Failed) outcome()         {}
func (Several) outcome()        {}

func (o Superseded) String() string { return "another client changed an object first: " + o.What }

func (NoPlace) String() string { return "there is no place at the provider now" }

func (Deferred) String() string {
	return "the provider does not serve this namespace, and only the Secret says that a credential was issued: it is looked up after all other calls, one a second"
}

func (o NeedsUser) String() string { return o.Task }

func (AccountChanged) String() string {
	return "the provider's credentials belong to another account than the one that issued a credential of this ledger"
}

func (o Unfinished) String() string { return o.Why }

func (o SecretRefused) String() string { return o.Why }

func (o NotSent) String() string { return o.Why }

func (o CallFailed) String() string { return fmt.Sprintf("%s: %s", o.Verb, o.Cause.Message) }

func (o Failed) String() string { return o.Err.Error() }

func (o Several) String() string {
	parts := make([]string, 0, len(o.All))
	for _, one := range o.All {
		parts = append(parts, one.String())
	}
	return strings.Join(parts, "\n")
}

// Join returns the outcome of an action that has several parts; nil: all were carried
// out. An action with a part that was superseded, or that is in line, is as a whole.
func Join(all ...Outcome) Outcome {
	var left []Outcome
	for _, one := range all {
		left = append(left, parts(one)...)
	}
	if one, ok := find[Superseded](left); ok {
		return one
	}
	if one, ok := find[NoPlace](left); ok {
		return one
	}
	switch len(left) {
	case 0:
		return nil
	case 1:
		return left[0]
	default:
		return Several{All: left}
	}
}

// parts are the outcomes that an outcome has.
func parts(out Outcome) []Outcome {
	if out == nil {
		return nil
	}
	if several, ok := out.(Several); ok {
		return several.All
	}
	return []Outcome{out}
}

// find returns the first outcome of a type.
func find[T Outcome](all []Outcome) (T, bool) {
	for _, one := range all {
		if found, ok := one.(T); ok {
			return found, true
		}
	}
	var none T
	return none, false
}

// Is reports whether an outcome is of a type, or has a part that is.
func Is[T Outcome](out Outcome) bool {
	_, ok := find[T](parts(out))
	return ok
}

// Err is the cause of an outcome; nil: it has none. It is for errors.Is and errors.As,
// and never printed: its text may hold anything.
func Err(out Outcome) error {
	var causes []error
	for _, one := range parts(out) {
		switch one := one.(type) { //nolint:gochecksumtype // the others have no cause
		case SecretRefused:
			causes = append(causes, one.Err)
		case NotSent:
			causes = append(causes, one.Err)
		case CallFailed:
			causes = append(causes, one.Cause)
		case Failed:
			causes = append(causes, one.Err)
		}
	}
	return errors.Join(causes...)
}

// WithoutCause is an outcome that can be remembered: without its cause, in which a driver may keep
// a whole answer of the provider.
func WithoutCause(out Outcome) Outcome {
	switch out := out.(type) { //nolint:gochecksumtype // the others have no cause that is an answer
	case CallFailed:
		cause := *out.Cause
		cause.Err = nil
		out.Cause = &cause
		return out
	case NotSent:
		out.Err = nil
		return out
	case Several:
		all := make([]Outcome, 0, len(out.All))
		for _, one := range out.All {
			all = append(all, WithoutCause(one))
		}
		return Several{All: all}
	default:
		return out
	}
}
