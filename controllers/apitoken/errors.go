package apitoken

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/connections"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/provider"
)

// failed is the outcome of an action that an error ends. The text of an answer of the API
// server may hold anything, so only its reason is shown.
func failed(err error) plan.Outcome {
	var answer apierrors.APIStatus
	switch {
	case err == nil:
		return nil
	case errors.As(err, &answer):
		return plan.NotSent{Why: "the API server did not carry out a request: " + reasonOf(err), Err: err}
	default:
		return plan.Failed{Err: err}
	}
}

// writeFailed is the outcome of a write of an object that was read before.
func writeFailed(err error) plan.Outcome {
	if superseded(err) {
		return plan.Superseded{What: reasonOf(err)}
	}
	return failed(err)
}

// superseded reports whether another client changed the object first.
func superseded(err error) bool {
	return apierrors.IsConflict(err) || apierrors.IsNotFound(err) || apierrors.IsAlreadyExists(err)
}

// publishFailed is the outcome of a write of the Secret.
func publishFailed(err error) plan.Outcome {
	if err == nil || superseded(err) {
		return writeFailed(err)
	}
	why := "the Secret could not be written: " + reasonOf(err) + refusedField(err)
	if apierrors.IsForbidden(err) || apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) || apierrors.IsRequestEntityTooLargeError(err) {
		return plan.SecretRefused{Why: why, Err: err}
	}
	return plan.NotSent{Why: why, Err: err}
}

// reasonOf is the API server's reason for an error, without its text.
func reasonOf(err error) string {
	if reason := apierrors.ReasonForError(err); reason != "" {
		return string(reason)
	}
	return "no answer"
}

// providerFailed is the outcome of a call of a provider. Credentials that are not accepted
// are read again at the next call.
func (r *Reconciler) providerFailed(p *pass, verb string, err error) plan.Outcome {
	if err == nil {
		return nil
	}
	e := provider.AsError(err)
	if e.Code == provider.CodeUnauthenticated {
		r.Providers.Forget(p.key)
	}
	if out, ok := failed(err).(plan.NotSent); ok {
		return out // what the call needs could not be read
	}
	return plan.CallFailed{Verb: verb, Cause: e, Unverified: errors.Is(err, account.ErrEndpointUnverified)}
}

// errNoAccess stops a pass that would call a provider for an ApiToken that does not
// exist for it. The rules do not lead there.
var errNoAccess = errors.New("the provider does not serve this namespace, and nothing was ever issued for this ApiToken: the provider is not called")

// connect opens or reuses the connection to the provider. Every call of a provider
// for an ApiToken goes through here, so this is where those that may not call it
// are turned away. It takes a place at the provider first: without one nothing is
// sent, and nothing is reserved.
func (r *Reconciler) connect(ctx context.Context, p *pass) (connections.Connection, plan.Outcome) {
	access := p.obs.Access()
	if access == plan.NoAccess {
		return connections.Connection{}, plan.Failed{Err: errNoAccess}
	}
	if access == plan.ClaimedAccess {
		if wait := r.memory.Turns.Wait(nameOf(p.token), r.Clock.Monotonic()); wait > 0 {
			return connections.Connection{}, plan.Turn{Wait: wait}
		}
	}
	if !r.takePlace(p) {
		return connections.Connection{}, plan.InLine{}
	}
	if access == plan.ClaimedAccess {
		if wait := r.memory.Turns.Take(nameOf(p.token), r.Clock.Monotonic()); wait > 0 {
			return connections.Connection{}, plan.Turn{Wait: wait}
		}
	}
	conn, err := r.Providers.Connect(ctx, p.key, p.place)
	if err != nil {
		return connections.Connection{}, r.connectFailed(p, err)
	}
	return conn, nil
}

func (r *Reconciler) connectFailed(p *pass, err error) plan.Outcome {
	var missing *connections.MissingCredentialsError
	if errors.As(err, &missing) {
		reason := missing.Error()
		if p.key.Kind == v1alpha1.KindClusterTokenProvider { // it names a Secret of the operator's namespace
			reason = fmt.Sprintf("the minting credentials of %s %q are missing", p.key.Kind, p.key.Name)
		}
		return plan.NotSent{Why: reason, Err: err}
	}
	return r.providerFailed(p, "connect", err)
}
