package plan

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"apitoken.dev/operator/internal/provider"
)

// Outcome is why an action was not carried out: exactly one of the types below. It is nil
// if the action was carried out. AfterOutcome returns the decision that follows from an
// Outcome, and RetryFailed when the ApiToken is reconciled again.
//
//sumtype:decl
type Outcome interface {
	outcome()
	// String returns a sentence for conditions and logs. It contains no text that a provider
	// or an API server sent.
	String() string
}

// The outcomes.
type (
	// Superseded means that another client changed an object first. Nothing was done, and
	// the next reconcile reads the new state.
	Superseded struct{ What string }
	// NoPlace means that all places at the provider are in use. Nothing was sent or
	// reserved. The ApiToken is reconciled when it gets a place.
	NoPlace struct{}
	// Deferred means that the namespace is not admitted, and that the next call for it is
	// allowed after Wait.
	Deferred struct{ Wait time.Duration }
	// NeedsUser means that a user must act at the provider first.
	NeedsUser struct{ Task string }
	// AccountChanged means that the minting credentials do not belong to the account that
	// issued a credential of the ledger.
	AccountChanged struct{}
	// Unfinished means that the next reconcile continues where this one stopped.
	Unfinished struct{ Why string }
	// SecretRefused means that the API server rejected the Secret.
	SecretRefused struct {
		Why string
		Err error
	}
	// NotSent means that a request to the API server failed, or that there are no minting
	// credentials to call the provider with.
	NotSent struct {
		Why string
		Err error
	}
	// CallFailed means that a call to the provider failed.
	CallFailed struct {
		Verb  string
		Cause *provider.Error
		// Unverified: the call was not sent, because the endpoint is not the verified one.
		Unverified bool
	}
	// Failed is any other failure. The text of Err is shown to users.
	Failed struct{ Err error }
	// Several means that more than one part of the action was not carried out.
	Several struct{ All []Outcome }
)

// The reasons of Unfinished.
const (
	StillThere     = "the provider still had credentials, which are revoked now"
	TooLate        = "the attempt exceeded its deadline and was stopped; the next reconcile resolves it"
	SameCredential = "the submitted credential is already in use"
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

func (NoPlace) String() string { return "all places at the provider are in use" }

func (Deferred) String() string {
	return "the provider does not admit this namespace, and only the Secret says that a credential was issued: it is looked up after all other calls, one a second"
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

// Join returns the outcome of an action that has several parts, or nil if all were carried
// out. Superseded or NoPlace in one part is the outcome of the whole action.
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

// parts returns the parts of an outcome, or the outcome itself.
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

// Is reports whether an outcome, or one of its parts, is a T.
func Is[T Outcome](out Outcome) bool {
	_, ok := find[T](parts(out))
	return ok
}

// Err returns the cause of an outcome, or nil. Use it with errors.Is and errors.As. Never print
// it: its text can contain anything, including a secret.
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

// WithoutCause returns the outcome without its cause, so that it can be stored. A driver may
// keep a whole response of the provider in the cause.
func WithoutCause(out Outcome) Outcome {
	switch out := out.(type) { //nolint:gochecksumtype // the causes of the others hold no response
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
