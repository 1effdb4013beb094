package apitoken

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/connections"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/provider"
)

// stopError stops a pass with a sentence that is safe to show. Its cause is
// never printed: the text of an API server's or provider's answer may hold anything.
type stopError struct {
	reason string
	// refused: the API server will not take the Secret as it is.
	refused bool
	err     error
}

func (e *stopError) Error() string { return e.reason }

func (e *stopError) Unwrap() error { return e.err }

// errAccountChanged says that the provider has other credentials than the ones
// that a ledger entry was issued with.
var errAccountChanged = errors.New(plan.AccountChanged{}.String())

// publishFailed says what a failed write of the Secret means.
func publishFailed(err error) error {
	if wrapped := superseded(err); errors.Is(wrapped, errSuperseded) {
		return wrapped
	}
	refused := apierrors.IsForbidden(err) || apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) ||
		apierrors.IsRequestEntityTooLargeError(err)
	return &stopError{reason: "the Secret could not be written: " + reasonOf(err) + refusedField(err), refused: refused, err: err}
}

// safe keeps the text of an API server's answer out of conditions and logs.
func safe(err error) error {
	var answer apierrors.APIStatus
	var stop *stopError
	if !errors.As(err, &answer) || errors.As(err, &stop) || errors.Is(err, errSuperseded) {
		return err
	}
	return &stopError{reason: "the API server did not carry out a request: " + reasonOf(err), err: err}
}

// reasonOf is the API server's reason for an error, without its text.
func reasonOf(err error) string {
	if reason := apierrors.ReasonForError(err); reason != "" {
		return string(reason)
	}
	return "no answer"
}

// providerFailed passes an error of a provider on in words that are safe to
// show. Credentials that are not accepted are read again at the next call.
func (r *Reconciler) providerFailed(p *pass, verb string, err error) error {
	if err == nil {
		return nil
	}
	e := provider.AsError(err)
	if e.Code == provider.CodeUnauthenticated {
		r.Providers.Forget(p.key)
	}
	return &callError{verb: verb, cause: e}
}

// callError is a provider's error with the verb that failed.
type callError struct {
	verb  string
	cause *provider.Error
}

func (e *callError) Error() string { return fmt.Sprintf("%s: %s", e.verb, e.cause.Message) }

func (e *callError) Unwrap() error { return e.cause }

// errNoAccess stops a pass that would call a provider for an ApiToken that does not
// exist for it. The rules do not lead there.
var errNoAccess = errors.New("the provider does not serve this namespace, and nothing was ever issued for this ApiToken: the provider is not called")

// turnError says that a call of a provider waits for its turn.
type turnError struct{ wait time.Duration }

func (*turnError) Error() string {
	return plan.Turn{}.String()
}

// connect opens or reuses the connection to the provider. Every call of a provider
// for an ApiToken goes through here, so this is where those that may not call it
// are turned away. It takes a place at the provider first: without one nothing is
// sent, and nothing is reserved.
func (r *Reconciler) connect(ctx context.Context, p *pass) (connections.Connection, error) {
	access := p.obs.Access()
	if access == plan.NoAccess {
		return connections.Connection{}, errNoAccess
	}
	if access == plan.ClaimedAccess {
		if wait := r.memory.Turns.Wait(nameOf(p.token), r.Clock.Monotonic()); wait > 0 {
			return connections.Connection{}, &turnError{wait: wait}
		}
	}
	if err := r.takePlace(p); err != nil {
		return connections.Connection{}, err
	}
	if access == plan.ClaimedAccess {
		if wait := r.memory.Turns.Take(nameOf(p.token), r.Clock.Monotonic()); wait > 0 {
			return connections.Connection{}, &turnError{wait: wait}
		}
	}
	conn, err := r.Providers.Connect(ctx, p.key, p.place)
	if err != nil {
		return connections.Connection{}, r.connectFailed(p, err)
	}
	return conn, nil
}

func (r *Reconciler) connectFailed(p *pass, err error) error {
	var missing *connections.MissingCredentialsError
	if errors.As(err, &missing) {
		reason := missing.Error()
		if p.key.Kind == v1alpha1.KindClusterTokenProvider { // it names a Secret of the operator's namespace
			reason = fmt.Sprintf("the minting credentials of %s %q are missing", p.key.Kind, p.key.Name)
		}
		return &stopError{reason: reason, err: err}
	}
	return r.providerFailed(p, "connect", err)
}

// outcomeOf is what an error says of the action that ended with it.
func outcomeOf(err error) plan.Outcome {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		all := make([]plan.Outcome, 0, len(joined.Unwrap()))
		for _, one := range joined.Unwrap() {
			all = append(all, outcomeOf(one))
		}
		return plan.Join(all...)
	}
	var call *callError
	var stop *stopError
	var task *personError
	var turn *turnError
	switch {
	case errors.Is(err, errSuperseded):
		return plan.Superseded{What: err.Error()}
	case errors.Is(err, errInLine):
		return plan.InLine{}
	case errors.As(err, &task):
		return plan.NeedsPerson{Task: task.message}
	case errors.As(err, &turn):
		return plan.Turn{Wait: turn.wait}
	case errors.Is(err, errAccountChanged):
		return plan.AccountChanged{}
	case errors.Is(err, errLookAgain), errors.Is(err, errTooLate), errors.Is(err, errSameCredential):
		return plan.LookAgain{Why: err.Error()}
	case errors.As(err, &stop) && stop.refused:
		return plan.SecretRefused{Why: stop.reason, Err: stop}
	case errors.As(err, &stop):
		return plan.NotSent{Why: stop.reason, Err: stop}
	case errors.As(err, &call):
		return plan.CallFailed{Verb: call.verb, Cause: call.cause, Unverified: errors.Is(err, account.ErrEndpointUnverified)}
	default:
		return plan.Failed{Err: err}
	}
}

// refusal is what a driver refuses, in any case as a Refusal.
func refusal(err error) *provider.Refusal {
	var r *provider.Refusal
	if errors.As(err, &r) {
		return r
	}
	return &provider.Refusal{Field: "spec", Value: "this declaration", Message: provider.AsError(err).Message}
}
