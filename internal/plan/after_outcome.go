package plan

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/provider"
)

// The delays until the next reconcile.
const (
	// RequeueSoon is how soon a reconcile follows one that changed nothing an event would report.
	RequeueSoon = time.Second
	// MaxRetryDelay is the longest delay between two attempts at an action that failed.
	MaxRetryDelay = 2 * time.Minute
	// ProofInterval is how often the operator tries whether a user has done something.
	ProofInterval = time.Minute
)

// rejectedCodes are the codes of errors that a repetition does not change.
var rejectedCodes = map[provider.Code]bool{
	provider.CodeInvalid: true, provider.CodeQuota: true, provider.CodePermissionDenied: true, provider.CodeUnauthenticated: true,
}

// AfterOutcome says how the ApiToken is left by a decision that was not carried out.
func AfterOutcome(o *Observation, d Decision, out Outcome) Decision {
	next := revocationFailed(d, outcomeDecision(o, out), out)
	if _, ends := d.Action.(DeleteSecret); ends {
		next.State, next.Reason, next.Message = d.State, d.Reason, Sentences(d.Message, next.Message)
	}
	return next
}

// outcomeDecision says how an outcome leaves the ApiToken.
func outcomeDecision(o *Observation, out Outcome) Decision {
	d := Decision{Action: Wait{}, State: Progressing, Reason: v1alpha1.ReasonProviderError, Message: out.String()}
	all := parts(out)
	if Is[NeedsUser](out) {
		d.State, d.Reason, d.After = Stalled, v1alpha1.ReasonActionRequired, ProofInterval
		return d
	}
	turn, waits := find[Deferred](all)
	if waits {
		d.Reason, d.After = v1alpha1.ReasonResolving, turn.Wait
	} else {
		d = failedDecision(d, out)
	}
	if o.Token.Deleting {
		d.Reason = v1alpha1.ReasonDeleting
	}
	return d
}

// failed fills in the state and the reason for an outcome that is no wait.
func failedDecision(d Decision, out Outcome) Decision {
	all := parts(out)
	call, called := find[CallFailed](all)
	switch {
	case Is[AccountChanged](out):
		d.State, d.Reason = Stalled, v1alpha1.ReasonProviderAccountChanged
		d.Message += ": restore the provider's old credentials, or set spec.deletionPolicy: Retain and delete the ApiToken"
	case anyUnverified(all):
		d.Reason = v1alpha1.ReasonEndpointUnverified
	case Is[Unfinished](out):
		d.Reason = v1alpha1.ReasonResolving
	case Is[SecretRefused](out):
		d.Reason = v1alpha1.ReasonPublishRefused
	case Is[NotSent](out):
		d.Reason = v1alpha1.ReasonPublishing
	case called && call.Cause.Code == provider.CodeAccountBlocked:
		d.State, d.Reason = Stalled, v1alpha1.ReasonAccountBlocked
	case called && rejectedCodes[call.Cause.Code]:
		d.Reason = v1alpha1.ReasonProviderRefused
	}
	return d
}

func anyUnverified(all []Outcome) bool {
	for _, one := range all {
		if call, ok := one.(CallFailed); ok && call.Unverified {
			return true
		}
	}
	return false
}

// revocationFailed fills in how a revocation that failed leaves the ApiToken.
func revocationFailed(d, next Decision, out Outcome) Decision {
	switch d.Action.(type) { //nolint:gochecksumtype // the others revoke nothing
	case Revoke, Purge:
	default:
		return next
	}
	if !Is[CallFailed](out) && !Is[SecretRefused](out) && !Is[NotSent](out) {
		return next // it waits for a person or for a turn, or continues
	}
	next.Message = NotRevoked + next.Message
	if next.Reason != v1alpha1.ReasonDeleting && next.Reason != v1alpha1.ReasonAccountBlocked {
		next.Reason = v1alpha1.ReasonRevocationFailed
	}
	return next
}

// WaitsForPlace says how the ApiToken is left by a decision that has no place at the
// provider. It reports false where nothing must be written: Ready stays true, or says
// already why it is not.
func WaitsForPlace(t *v1alpha1.ApiToken, o *Observation, d Decision) (Decision, bool) {
	if ready := condition(t, v1alpha1.ConditionReady); ready == nil || ready.Status != metav1.ConditionTrue || ReadinessOf(o).Ready {
		return Decision{}, false
	}
	waits := Decision{Action: Wait{}, State: Progressing, Reason: d.Reason,
		Message: "waiting for a turn at the provider, which is used by as many reconciles as it may be"}
	if waits.Reason == "" || waits.Reason == v1alpha1.ReasonReady {
		waits.Reason = v1alpha1.ReasonIssuing
	}
	return waits, true
}

// ExplainsNotReady reports whether the status says already why there is no access. A wait for
// a turn adds nothing to that: written each time, it would bring the next reconcile at
// once, and the two texts would take turns for ever.
func ExplainsNotReady(t *v1alpha1.ApiToken, o *Observation) bool {
	ready := condition(t, v1alpha1.ConditionReady)
	return ready != nil && ready.Status == metav1.ConditionFalse && ready.ObservedGeneration == t.Generation &&
		(!o.Token.Deleting || ready.Reason == v1alpha1.ReasonDeleting)
}

// Retry is when an ApiToken is reconciled again without an event.
type Retry struct {
	// After is the delay; 0: never.
	After time.Duration
	// BackOff: instead of After, the delay grows with each failure, and is never longer
	// than Max; 0: any.
	BackOff bool
	Max     time.Duration
}

// RetryDone is when an ApiToken is reconciled again after an action that was carried
// out, and left it as next says. Saved: the status was written, which brings a reconcile.
func RetryDone(next Decision, saved bool) Retry {
	if _, waits := next.Action.(Wait); !waits && !saved {
		return Retry{After: RequeueSoon}
	}
	return Retry{After: next.After}
}

// RetryFailed is when an ApiToken is reconciled again after an action that was not
// carried out, and left it as next says: after the delay that the provider asks for, or
// else with a delay that grows. No delay is longer than until the next hard end, overlap
// or expiry. After the hard end, every delay is short: a credential that is revoked late
// is live late.
func RetryFailed(t *v1alpha1.ApiToken, o *Observation, next Decision, out Outcome) Retry {
	if Is[NeedsUser](out) || Is[Deferred](out) {
		return Retry{After: next.After}
	}
	due := UntilDue(t, o.Now)
	if o.pastHardEnd() {
		due = MaxRetryDelay
	}
	if call, ok := find[CallFailed](parts(out)); ok && call.Cause.RetryAfter > 0 {
		return Retry{After: soonest(call.Cause.RetryAfter, due)}
	}
	return Retry{BackOff: true, Max: due}
}

// UntilDue is how long until something is due that must not wait for a place at the
// provider: the hard end, the end of an overlap or of a credential. 0: nothing.
func UntilDue(t *v1alpha1.ApiToken, now time.Time) time.Duration {
	var due time.Duration
	at := func(end time.Time) {
		if left := end.Sub(now); !end.IsZero() && left > 0 {
			due = soonest(due, left)
		}
	}
	if end, err := t.Spec.HardEnd(); err == nil {
		at(end)
	}
	for i := range t.Status.Credentials {
		e := &t.Status.Credentials[i]
		if e.RetireAt != nil {
			at(e.RetireAt.Time)
		}
		if e.ExpiresAt != nil {
			at(e.ExpiresAt.Time)
		}
	}
	return due
}
