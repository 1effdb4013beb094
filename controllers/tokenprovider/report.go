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
	// lastErrorEvery is how often status.lastError may change.
	lastErrorEvery = time.Minute
)

// verdict is a finding expressed as conditions.
type verdict struct {
	ready           bool
	stalled         bool // a user must change something
	missing         bool // the missing object can appear without an event
	reason, message string
}

// classify returns the verdict on an error of a check.
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
		return verdict{stalled: true, reason: v1alpha1.ReasonDriverMissing, message: sentence(e.Message) + " Run a version of the operator that includes it."}
	case e.Code == provider.CodeInvalid:
		return verdict{stalled: true, reason: v1alpha1.ReasonInvalidSettings, message: sentence(e.Message)}
	case e.Code == provider.CodeUnauthenticated:
		return verdict{stalled: true, reason: v1alpha1.ReasonCredentialsRejected,
			message: sentence(e.Message) + " Put working credentials into the Secret of spec.credentialsSecretRef."}
	case e.Code == provider.CodePermissionDenied:
		// The credentials work: replacing them would not help.
		return verdict{stalled: true, reason: v1alpha1.ReasonCredentialsRejected,
			message: sentence(e.Message) + " Grant the missing right at the provider; the operator checks again within 10 minutes."}
	case e.Code == provider.CodeAccountBlocked:
		return verdict{stalled: true, reason: v1alpha1.ReasonAccountBlocked,
			message: sentence(e.Message) + " Resolve it at the provider; the operator checks again within 10 minutes."}
	default:
		return verdict{reason: v1alpha1.ReasonUnreachable, message: sentence(e.Message) + " The operator retries."}
	}
}

// busy returns the verdict on a provider that asked to wait before it was checked.
func busy(err error, resumes time.Time) verdict {
	return verdict{reason: v1alpha1.ReasonUnreachable,
		message: sentence(provider.AsError(err).Message) + " The credentials are checked at " + resumes.UTC().Format(time.RFC3339) + "."}
}

// sentence ends a text with exactly one full stop.
func sentence(s string) string { return strings.TrimSuffix(s, ".") + "." }

// judge returns the verdict on a finding.
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

// report writes the status if it changed. status.liveCredentials and status.lastError
// change at most once a minute: report returns the wait until their next change, or 0 if
// they are current.
func (r *Reconciler) report(ctx context.Context, o account.Object, found finding, users []user) (time.Duration, error) {
	live := liveCredentials(users)
	v := judge(found)
	base := o.Copy()
	count, countWait := r.count(o, live)
	lastError, errorWait := r.lastError(o)
	wait := sooner(countWait, errorWait)
	o.Status.ObservedGeneration = o.GetGeneration()
	o.Status.LiveCredentials, o.Status.LastError = count, lastError
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
	if !equality.Semantic.DeepEqual(lastError, base.Status.LastError) {
		r.memory.setLastError(o.Key(), r.Clock.Monotonic())
	}
	if turned {
		r.announce(o, v)
	}
	return wait, nil
}

// count returns the number to show and, if that is not the current number, the wait until
// it may change.
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

// lastError returns the error to show and, if that is not the latest error, the wait until
// it may change. The error of an earlier process stays until this process has another one.
func (r *Reconciler) lastError(o account.Object) (*v1alpha1.ProviderError, time.Duration) {
	shown, last := o.Status.LastError, r.Pool.Health(o.Key()).LastError
	if last == nil {
		return shown, 0
	}
	now := &v1alpha1.ProviderError{At: metav1.NewTime(last.At.UTC().Truncate(time.Second)), Operation: last.Operation,
		Code: string(last.Code), Message: v1alpha1.CutMessage(last.Message)}
	if equality.Semantic.DeepEqual(shown, now) {
		return shown, 0
	}
	if at, ok := r.memory.lastErrorAt(o.Key()); ok {
		if wait := at + lastErrorEvery - r.Clock.Monotonic(); wait > 0 {
			return shown, wait
		}
	}
	return now, 0
}

// setConditions sets Ready, and Stalled or Reconciling while they are true.
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

// readinessChanges reports whether a verdict changes the reason of Ready.
func readinessChanges(before account.Object, v verdict) bool {
	was := meta.FindStatusCondition(before.Status.Conditions, v1alpha1.ConditionReady)
	return was == nil || was.Reason != v.reason
}

// audit writes to the audit trail that the provider becomes Ready, or why it is not. Call
// it before the status is written, so that a crash repeats the line instead of losing it.
func (r *Reconciler) audit(o account.Object, v verdict) {
	found := audit.FoundProviderNotReady
	if v.ready {
		found = audit.FoundProviderReady
	}
	r.Audit.Found(audit.Subject{Generation: o.GetGeneration(), UID: string(o.GetUID()),
		Why: audit.Why{Reason: audit.Reason(v.reason), AskedBy: audit.AskedByCheck}},
		audit.Finding{What: found, Provider: o.Key().Audited(o.Status.Driver)})
}

// announce emits an event that says that the provider became Ready, or why it is not.
func (r *Reconciler) announce(after account.Object, v verdict) {
	kind := corev1.EventTypeWarning
	if v.ready {
		kind = corev1.EventTypeNormal
	}
	r.Recorder.Eventf(referenceTo(after), nil, kind, v.reason, "Check", "%s", v1alpha1.CutMessage(v.message))
}

// referenceTo returns a reference without a resourceVersion. The recorder aggregates events
// with the same reason and reference into one series. With the version, every change of the
// status would start a new series, and a provider that keeps failing and recovering would
// get an event each time.
func referenceTo(o account.Object) *corev1.ObjectReference {
	key := o.Key()
	return &corev1.ObjectReference{APIVersion: v1alpha1.GroupVersion.String(), Kind: string(key.Kind), Namespace: key.Namespace, Name: key.Name, UID: o.GetUID()}
}
