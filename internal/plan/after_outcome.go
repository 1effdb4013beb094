package plan

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/provider"
)

// The delays until the next reconcile.
const (
	// RequeueSoon is the delay after a reconcile whose changes trigger no watch event.
	RequeueSoon = time.Second
	// MaxRetryDelay is the longest delay between two attempts at a failed action.
	MaxRetryDelay = 2 * time.Minute
	// ProofInterval is how often the operator checks whether a user has acted.
	ProofInterval = time.Minute
)

// rejectedCodes are the codes of errors that a retry does not fix.
var rejectedCodes = map[provider.Code]bool{
	provider.CodeInvalid: true, provider.CodeQuota: true, provider.CodePermissionDenied: true, provider.CodeUnauthenticated: true,
}

// AfterOutcome returns the decision that replaces d, whose action was not carried out.
func AfterOutcome(o *Observation, d Decision, out Outcome) Decision {
	next := revocationFailed(d, outcomeDecision(o, out), out)
	if _, ends := d.Action.(DeleteSecret); ends {
		next.State, next.Reason, next.Message = d.State, d.Reason, Sentences(d.Message, next.Message)
	}
	return next
}

// outcomeDecision returns the decision to wait that follows from an outcome.
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

// failedDecision sets the state and the reason for an outcome that is not Deferred.
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

// revocationFailed sets the reason and the message if d revokes and a call failed.
func revocationFailed(d, next Decision, out Outcome) Decision {
	switch d.Action.(type) { //nolint:gochecksumtype // the others revoke nothing
	case Revoke, Purge:
	default:
		return next
	}
	if !Is[CallFailed](out) && !Is[SecretRefused](out) && !Is[NotSent](out) {
		return next // it waits for a user or is deferred, or continues
	}
	next.Message = NotRevoked + next.Message
	if next.Reason != v1alpha1.ReasonDeleting && next.Reason != v1alpha1.ReasonAccountBlocked {
		next.Reason = v1alpha1.ReasonRevocationFailed
	}
	return next
}

// WaitsForPlace returns the decision to wait for a place at the provider. It returns false if
// nothing must be written: Ready stays true, or already says why it is not.
func WaitsForPlace(t *v1alpha1.ApiToken, o *Observation, d Decision) (Decision, bool) {
	if ready := condition(t, v1alpha1.ConditionReady); ready == nil || ready.Status != metav1.ConditionTrue || ReadinessOf(o).Ready {
		return Decision{}, false
	}
	waits := Decision{Action: Wait{}, State: Progressing, Reason: d.Reason,
		Message: "waiting for a place at the provider: the limit of concurrent calls is reached"}
	if waits.Reason == "" || waits.Reason == v1alpha1.ReasonReady {
		waits.Reason = v1alpha1.ReasonIssuing
	}
	return waits, true
}

// ExplainsNotReady reports whether the status already says why there is no access. Then a
// Deferred outcome is not written. Each write triggers a reconcile, so the two messages
// would replace each other without end.
func ExplainsNotReady(t *v1alpha1.ApiToken, o *Observation) bool {
	ready := condition(t, v1alpha1.ConditionReady)
	return ready != nil && ready.Status == metav1.ConditionFalse && ready.ObservedGeneration == t.Generation &&
		(!o.Token.Deleting || ready.Reason == v1alpha1.ReasonDeleting)
}

// Retry is when an ApiToken is reconciled again without an event.
type Retry struct {
	// After is the delay. 0 means never.
	After time.Duration
	// BackOff: the delay grows with each failure up to Max, and After is ignored. If Max is
	// 0, the delay has no limit.
	BackOff bool
	Max     time.Duration
}

// RetryDone returns when an ApiToken is reconciled again after an action that was carried
// out. Saved means that the status was written, which triggers a reconcile.
func RetryDone(next Decision, saved bool) Retry {
	if _, waits := next.Action.(Wait); !waits && !saved {
		return Retry{After: RequeueSoon}
	}
	return Retry{After: next.After}
}

// RetryFailed returns when an ApiToken is reconciled again after an action that was not
// carried out: after the pause that the provider asks for, or with a growing delay. No
// delay goes beyond the next hard end, end of an overlap, or expiry. After the hard end all
// delays are short, because a credential grants access until it is revoked.
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

// UntilDue returns the time until the next hard end, end of an overlap, or expiry, which
// must not wait for a place at the provider. 0 means never.
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
