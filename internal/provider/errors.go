package provider

import (
	"errors"
	"regexp"
	"time"
)

// Code classifies an error of a provider.
type Code string

// The codes of provider errors.
const (
	// CodeUnauthenticated: the minting credentials were not accepted (HTTP 401).
	CodeUnauthenticated Code = "Unauthenticated"
	// CodePermissionDenied: the minting credentials lack a permission (HTTP 403).
	CodePermissionDenied Code = "PermissionDenied"
	// CodeInvalid: the provider rejects this request.
	CodeInvalid Code = "Invalid"
	// CodeQuota: a limit of the account is reached.
	CodeQuota Code = "QuotaExceeded"
	// CodeAccountBlocked: the account cannot be used until its owner acts, because of
	// a bill or a suspension.
	CodeAccountBlocked Code = "AccountBlocked"
	// CodeRateLimited: too many requests; try again after RetryAfter.
	CodeRateLimited Code = "RateLimited"
	// CodeUnavailable: no answer, or a server error.
	CodeUnavailable Code = "Unavailable"
	// CodeUnknown: anything else.
	CodeUnknown Code = "Unknown"
)

// Error is an error of a provider, with a sentence that is safe to show.
type Error struct {
	Code Code
	// NotExecuted says that the request certainly had no effect and never will.
	NotExecuted bool
	// RetryAfter is the wait that the provider asked for; 0: none.
	RetryAfter time.Duration
	// Message is a sentence in our words, without secrets and without raw provider text.
	Message string
	// Err is the cause, for errors.Is and errors.As; it is never printed.
	Err error
}

// Error implements error. It leaves Err out, because a cause can contain secrets.
func (e *Error) Error() string { return string(e.Code) + ": " + e.Message }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// InDoubt reports whether the request that failed with err may have been, or may still
// be, carried out. Every error except an explicit rejection is in doubt.
func InDoubt(err error) bool {
	if err == nil {
		return false
	}
	var e *Error
	return !errors.As(err, &e) || !e.NotExecuted
}

// AsError returns err as an *Error. An error of another type becomes CodeUnknown
// with a fixed sentence, because its text can contain anything. A Fault keeps its
// sentence, even if a driver returns it unchanged.
func AsError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	if f := FaultIn(err); f != nil {
		return &Error{Code: CodeUnavailable, Err: err, Message: "the call failed: " + f.Sentence("")}
	}
	return &Error{Code: CodeUnknown, Message: "the provider call failed with an unknown error", Err: err}
}

// RefusalReason says why a declaration cannot be granted.
type RefusalReason string

// The reasons of a Refusal.
const (
	RefusedScope    RefusalReason = "ScopeNotGrantable"
	RefusedLifetime RefusalReason = "LifetimeTooLong"
	RefusedBuckets  RefusalReason = "TooManyBuckets"
	RefusedBucket   RefusalReason = "BucketNotGrantable"
	RefusedNarrow   RefusalReason = "RestrictionNotSupported"
)

// Refusal says what a provider cannot grant, and what to declare instead.
type Refusal struct {
	Reason RefusalReason
	// Field of the ApiToken, such as spec.scopes[1].
	Field string
	// Value that was declared.
	Value string
	// Message says what is allowed and what to do.
	Message string
}

// Error implements error.
func (r *Refusal) Error() string { return r.Field + ": " + r.Value + ": " + r.Message }

// Invalid says that a setting or a request cannot be used as it is, and was not sent.
func Invalid(message string) *Error {
	return &Error{Code: CodeInvalid, NotExecuted: true, Message: message}
}

// word matches a provider's code.
var word = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)

// Word returns a provider's own code, such as insufficient_balance, if it is one
// word of letters, digits, _ . and -, and not too long; otherwise "". Any
// other text must not be shown.
func Word(s string) string {
	if !word.MatchString(s) {
		return ""
	}
	return s
}
