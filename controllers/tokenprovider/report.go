package tokenprovider

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/audit"
	"apitoken.dev/operator/internal/connections"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/registry"
)

const (
	// countEvery is how often status.liveCredentials may change.
	countEvery = time.Minute
	// troubleEvery is how often status.lastError may change.
	troubleEvery = time.Minute
)

// verdict is a finding in the terms of conditions.
type verdict struct {
	ready           bool
	stalled         bool // somebody has to change something
	missing         bool // what is missing may appear without an event
	reason, message string
}

// classify says what an error of a check means and what to do about it.
func classify(err error) verdict {
	var missing *connections.MissingCredentialsError
	if errors.As(err, &missing) {
		return verdict{stalled: true, missing: true, reason: v1alpha1.ReasonCredentialsMissing, message: sentence(missing.Error())}
	}
	var deleting *deletingError
	if errors.As(err, &deleting) {
		return verdict{stalled: true, missing: true, reason: v1alpha1.ReasonCredentialsMissing, message: sentence(deleting.Error())}
	}
	if v, ok := refusedMove(err); ok {
		return v
	}
	e := provider.AsError(err)
	switch {
	case errors.Is(err, registry.ErrNoDriver):
		return verdict{stalled: true, reason: v1alpha1.ReasonDriverMissing, message: sentence(e.Message) + " Run a version of the operator that has it."}
	case e.Code == provider.CodeInvalid:
		return verdict{stalled: true, reason: v1alpha1.ReasonInvalidSettings, message: sentence(e.Message)}
	case e.Code == provider.CodeUnauthenticated:
		return verdict{stalled: true, reason: v1alpha1.ReasonCredentialsRejected,
			message: sentence(e.Message) + " Put working credentials into the Secret of spec.credentialsSecretRef."}
	case e.Code == provider.CodePermissionDenied:
		// The credentials work: replacing them would not help.
		return verdict{stalled: true, reason: v1alpha1.ReasonCredentialsRejected,
			message: sentence(e.Message) + " Grant the missing right at the provider; it is noticed within 10 minutes."}
	case e.Code == provider.CodeAccountBlocked:
		return verdict{stalled: true, reason: v1alpha1.ReasonAccountBlocked,
			message: sentence(e.Message) + " Settle it at the provider; it is noticed within 10 minutes."}
	default:
		return verdict{reason: v1alpha1.ReasonUnreachable, message: sentence(e.Message) + " It is tried again."}
	}
}

// busy is the verdict on a provider that asks to wait before it could be checked.
func busy(err error, resumes time.Time) verdict {
	return verdict{reason: v1alpha1.ReasonUnreachable,
		message: sentence(provider.AsError(err).Message) + " The credentials are checked at " + resumes.UTC().Format(time.RFC3339) + "."}
}

// sentence ends a text with one full stop.
func sentence(s string) string { return strings.TrimSuffix(s, ".") + "." }

// judge says what a finding means.
func judge(found finding) verdict {
	if !found.resumes.IsZero() {
		return busy(found.err, found.resumes)
	}
	if found.err != nil {
		return classify(found.err)
	}
	return verdict{ready: true, reason: v1alpha1.ReasonReady,
		message: fmt.Sprintf("The credentials of account %s work.", found.account.ID)}
}

// report writes the status if it changed. It returns when the number of live
// credentials and the last error, which change at most once a minute, have to be
// looked at again; 0: they are as they should be.
func (r *Reconciler) report(ctx context.Context, o account.Object, found finding, users []user) (time.Duration, error) {
	live := liveCredentials(users)
	v := judge(found)
	base := o.Copy()
	count, countWait := r.count(o, live)
	trouble, troubleWait := r.trouble(o)
	wait := sooner(countWait, troubleWait)
	o.Status.ObservedGeneration = o.GetGeneration()
	o.Status.LiveCredentials, o.Status.LastError = count, trouble
	if v.ready {
		o.Status.FormerAccount = formerAccount(o, found.account)
		o.Status.Account, o.Status.Driver, o.Status.Endpoint = found.account.ID, found.endpoint.Driver, found.endpoint.URL
		o.Status.GrantableScopes = slices.Compact(slices.Sorted(slices.Values(found.account.GrantableScopes)))
	}
	setConditions(o, v, inUse(users), metav1.NewTime(r.Clock.Now()))
	if equality.Semantic.DeepEqual(base.Status, o.Status) {
		return wait, nil
	}
	turned := readinessChanges(base, v)
	if turned {
		r.audit(o, v)
	}
	if err := r.Client.Status().Patch(ctx, o.Raw, lockedPatch(base.Raw)); err != nil {
		return 0, err
	}
	if count != base.Status.LiveCredentials {
		r.memory.setCounted(o.Key(), r.Clock.Monotonic())
	}
	if !equality.Semantic.DeepEqual(trouble, base.Status.LastError) {
		r.memory.setTroubled(o.Key(), r.Clock.Monotonic())
	}
	if turned {
		r.announce(o, v)
	}
	return wait, nil
}

// count returns the number to show and, when that is not the true one yet, how
// long until it may be.
func (r *Reconciler) count(o account.Object, live int) (int32, time.Duration) {
	shown := o.Status.LiveCredentials
	if int(shown) == live {
		return shown, 0
	}
	if at, ok := r.memory.countedAt(o.Key()); ok {
		if wait := at + countEvery - r.Clock.Monotonic(); wait > 0 {
			return shown, wait
		}
	}
	return int32(live), 0 //nolint:gosec // G115: ledgers are at most 32 long, and a cluster holds far fewer than 2^26 ApiTokens
}

// trouble returns the error to show and, when that is not the last one yet, how
// long until it may be. What an earlier process saw stays until this one sees more.
func (r *Reconciler) trouble(o account.Object) (*v1alpha1.ProviderError, time.Duration) {
	shown, last := o.Status.LastError, r.Pool.Health(o.Key()).LastError
	if last == nil {
		return shown, 0
	}
	now := &v1alpha1.ProviderError{At: metav1.NewTime(last.At.UTC().Truncate(time.Second)), Operation: last.Operation,
		Code: string(last.Code), Message: v1alpha1.CutMessage(last.Message)}
	if equality.Semantic.DeepEqual(shown, now) {
		return shown, 0
	}
	if at, ok := r.memory.troubledAt(o.Key()); ok {
		if wait := at + troubleEvery - r.Clock.Monotonic(); wait > 0 {
			return shown, wait
		}
	}
	return now, 0
}

// setConditions writes Ready, and Stalled or Reconciling while they hold.
func setConditions(o account.Object, v verdict, needing []string, now metav1.Time) {
	set := func(kind string, holds bool, reason, message string) {
		status := metav1.ConditionFalse
		if holds {
			status = metav1.ConditionTrue
		}
		meta.SetStatusCondition(&o.Status.Conditions, metav1.Condition{Type: kind, Status: status, Reason: reason,
			Message: v1alpha1.CutMessage(message), ObservedGeneration: o.GetGeneration(), LastTransitionTime: now})
	}
	set(v1alpha1.ConditionReady, v.ready, v.reason, v.message)
	waiting := o.Deleting() && len(needing) > 0
	switch {
	case waiting:
		set(v1alpha1.ConditionStalled, true, v1alpha1.ReasonInUse, inUseMessage(needing))
	case v.stalled:
		set(v1alpha1.ConditionStalled, true, v.reason, v.message)
	default:
		meta.RemoveStatusCondition(&o.Status.Conditions, v1alpha1.ConditionStalled)
	}
	if v.ready || v.stalled {
		meta.RemoveStatusCondition(&o.Status.Conditions, v1alpha1.ConditionReconciling)
	} else {
		set(v1alpha1.ConditionReconciling, true, v.reason, v.message)
	}
}

// readinessChanges reports whether a verdict is another one than the status has.
func readinessChanges(before account.Object, v verdict) bool {
	was := meta.FindStatusCondition(before.Status.Conditions, v1alpha1.ConditionReady)
	return was == nil || was.Reason != v.reason
}

// audit writes into the audit trail that the provider becomes Ready, or why it is not. It
// is called before the status is written, so that a crash repeats the line and does not
// lose it.
func (r *Reconciler) audit(o account.Object, v verdict) {
	found := audit.FoundProviderNotReady
	if v.ready {
		found = audit.FoundProviderReady
	}
	r.Audit.Found(audit.Subject{Generation: o.GetGeneration(), UID: string(o.GetUID()),
		Why: audit.Why{Reason: audit.Reason(v.reason), AskedBy: audit.AskedByCheck}},
		audit.Finding{What: found, Provider: o.Key().Audited(o.Status.Driver)})
}

// announce tells in an event that the provider became Ready or why it is not.
func (r *Reconciler) announce(after account.Object, v verdict) {
	kind := corev1.EventTypeWarning
	if v.ready {
		kind = corev1.EventTypeNormal
	}
	r.Recorder.Eventf(referenceTo(after), nil, kind, v.reason, "Check", "%s", v1alpha1.CutMessage(v.message))
}

// referenceTo refers to a provider without its version. The recorder counts events of one
// reason about one object as one series. With the version in the reference, every change
// of the status would make another object of it, and a provider that fails and recovers
// again and again would have an event each time.
func referenceTo(o account.Object) *corev1.ObjectReference {
	key := o.Key()
	return &corev1.ObjectReference{APIVersion: v1alpha1.GroupVersion.String(), Kind: string(key.Kind), Namespace: key.Namespace, Name: key.Name, UID: o.GetUID()}
}
