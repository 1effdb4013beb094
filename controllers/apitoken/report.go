package apitoken

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/secretstore"
)

// again is how soon a pass follows that changed nothing an event would report.
const again = time.Second

// report writes the status, if it changed, and says when to look again.
func (r *Reconciler) report(ctx context.Context, p *pass, d plan.Decision, err error) (ctrl.Result, error) {
	var turn *turnError
	switch {
	case errors.Is(err, errSuperseded):
		return ctrl.Result{RequeueAfter: again}, nil
	case errors.Is(err, errInLine):
		return r.inLine(ctx, p, d)
	case errors.As(err, &turn) && p.toldOfWaiting():
		return ctrl.Result{RequeueAfter: turn.wait}, nil
	}
	err = safe(err)
	if p.token.DeletionTimestamp.IsZero() && p.obs.Token.Deleting {
		return ctrl.Result{}, nil // the finalizer is off: there is nothing left to report on
	}
	if _, ok := d.Action.(plan.AddFinalizer); ok && err == nil {
		return ctrl.Result{}, nil // the change itself brings the next pass
	}
	next := r.next(ctx, p, d, err)
	if err := r.save(ctx, p, next, err); err != nil {
		if errors.Is(superseded(err), errSuperseded) {
			return ctrl.Result{RequeueAfter: again}, nil
		}
		return ctrl.Result{}, &stopError{reason: "the status could not be written: " + reasonOf(err), err: err}
	}
	return r.result(p, next, err)
}

// next says how the ApiToken is left by an action, and what comes next.
func (r *Reconciler) next(ctx context.Context, p *pass, d plan.Decision, err error) plan.Decision {
	if _, waits := d.Action.(plan.Wait); !waits {
		p.obs.Occupied = nil // it was counted before
	}
	if err != nil {
		next := afterFailure(p, d, err)
		log.FromContext(ctx).Info("not done", "rule", d.Rule, "reason", next.Reason, "message", next.Message)
		return next
	}
	r.refresh(p)
	next := r.Decide(p.obs)
	if next.Reason == v1alpha1.ReasonUnreadableValue {
		log.FromContext(ctx).Info("nothing is issued", "reason", next.Reason, "message", next.Message)
	}
	return next
}

// toldOfWaiting reports whether the status says already why there is no access. A wait
// for a turn adds nothing to that: written each time, it would bring the next
// reconcile at once, and the two texts would take turns for ever.
func (p *pass) toldOfWaiting() bool {
	ready := meta.FindStatusCondition(p.token.Status.Conditions, v1alpha1.ConditionReady)
	return ready != nil && ready.Status == metav1.ConditionFalse && ready.ObservedGeneration == p.token.Generation &&
		(!p.obs.Token.Deleting || ready.Reason == v1alpha1.ReasonDeleting)
}

// afterFailure says how the ApiToken is left by an action that failed.
func afterFailure(p *pass, d plan.Decision, err error) plan.Decision {
	next := revocationFailed(d, verdict(p, err), err)
	if _, ends := d.Action.(plan.DeleteSecret); ends {
		next.State, next.Reason, next.Message = d.State, d.Reason, plan.Sentences(d.Message, next.Message)
	}
	return next
}

// result says when to look again: at the time the decision names, soon after
// something that no event will report, and after an error with backoff. No pause
// after an error lasts longer than until the next hard end, overlap or expiry.
func (r *Reconciler) result(p *pass, next plan.Decision, err error) (ctrl.Result, error) {
	var task *personError
	var turn *turnError
	if errors.As(err, &task) || errors.As(err, &turn) {
		return ctrl.Result{RequeueAfter: next.After}, nil
	}
	if err != nil {
		var e *provider.Error
		due := untilDue(p)
		if p.ended() {
			due = retryMost // what is revoked late is live late
		}
		if errors.As(err, &e) && e.RetryAfter > 0 {
			return ctrl.Result{RequeueAfter: sooner(e.RetryAfter, due)}, nil
		}
		r.wakeIn(p, due)
		return ctrl.Result{}, err
	}
	res := ctrl.Result{RequeueAfter: next.After}
	if _, waits := next.Action.(plan.Wait); !waits && !p.saved {
		res.RequeueAfter = again
	}
	if p.pending && (res.RequeueAfter == 0 || res.RequeueAfter > secretstore.CacheLag) {
		res.RequeueAfter = secretstore.CacheLag
	}
	return res, nil
}

// wakeIn has the ApiToken reconciled after a while, or earlier if the backoff is
// shorter; 0: never.
func (r *Reconciler) wakeIn(p *pass, due time.Duration) {
	if q := r.queue.Load(); q != nil && due > 0 {
		(*q).AddAfter(ctrl.Request{NamespacedName: nameOf(p.token)}, due)
	}
}

// sooner is the smaller of a delay and another one, of which 0 means never.
func sooner(a, b time.Duration) time.Duration {
	if b > 0 {
		return min(a, b)
	}
	return a
}

// save writes the status with the conditions that follow from what is known, if
// that changes anything. It writes the status only, and only if the ApiToken
// still is as it was read.
func (r *Reconciler) save(ctx context.Context, p *pass, next plan.Decision, failure error) error {
	r.describe(p, next, failure)
	if equality.Semantic.DeepEqual(p.base, &p.token.Status) {
		return nil
	}
	if err := r.Client.Status().Update(ctx, p.token); err != nil {
		return err
	}
	r.wrote(p)
	return nil
}

// describe fills in everything in the status that follows from the ledger, the
// Secret and the decision.
func (r *Reconciler) describe(p *pass, next plan.Decision, failure error) {
	ready := plan.ReadinessOf(&p.obs)
	s := &p.token.Status
	s.ObservedGeneration = p.token.Generation
	s.Secret.Name = p.token.SecretName()
	s.ExpiryEnforcedBy = string(p.facts.Capabilities.ExpiryEnforcedBy)
	r.describeTimes(p, ready)
	s.Columns = columnsOf(p.token)
	c := conditions{p: p, now: metav1.NewTime(p.obs.Now)}
	c.summary(ready, next)
	c.issued(ready)
	c.published(ready, failure)
	c.person()
	c.drifted()
}

// describeTimes fills in when the credential in use ends and is replaced.
func (r *Reconciler) describeTimes(p *pass, ready plan.Readiness) {
	s, spec := &p.token.Status, &p.token.Spec
	s.ExpiresAt, s.RotatesAt, s.Effective = nil, nil, v1alpha1.EffectiveValues{}
	lifetime := plan.Lifetime(spec)
	if e := ready.Active; e != nil {
		s.ExpiresAt, lifetime = e.ExpiresAt, plan.LifetimeOf(spec, &e.LedgerEntry)
		if _, obstacle := p.obs.NotReplaced(); !obstacle && !spec.Suspend && !p.obs.Token.Deleting {
			s.RotatesAt = timeOf(plan.RotationDue(string(p.token.UID), spec, &e.LedgerEntry))
		}
	}
	if lifetime <= 0 {
		return
	}
	s.Effective = v1alpha1.EffectiveValues{ExpiresIn: plan.Short(lifetime), Overlap: plan.Short(plan.Overlap(spec, lifetime))}
	if ready.Active == nil || s.RotatesAt != nil {
		s.Effective.Before = plan.Short(plan.Before(spec, lifetime))
	}
}

// conditions sets the conditions of one pass.
type conditions struct {
	p   *pass
	now metav1.Time
}

func (c conditions) set(kind string, status bool, reason, message string) {
	value := metav1.ConditionFalse
	if status {
		value = metav1.ConditionTrue
	}
	meta.SetStatusCondition(&c.p.token.Status.Conditions, metav1.Condition{
		Type: kind, Status: value, Reason: reason, Message: v1alpha1.CutMessage(message),
		ObservedGeneration: c.p.token.Generation, LastTransitionTime: c.now,
	})
}

// setOrRemove shows a condition only while it holds, as kstatus wants it.
func (c conditions) setOrRemove(kind string, holds bool, reason, message string) {
	if holds {
		c.set(kind, true, reason, message)
		return
	}
	meta.RemoveStatusCondition(&c.p.token.Status.Conditions, kind)
}

// lastEnd stands between the message of a backoff and what the attempt before it ended with.
const lastEnd = "It ended with: "

// failures are the reasons that say what an attempt ended with.
var failures = map[string]bool{
	v1alpha1.ReasonProviderError: true, v1alpha1.ReasonProviderRefused: true, v1alpha1.ReasonPublishRefused: true, v1alpha1.ReasonPublishing: true,
}

// withCause keeps what failed visible while the next attempt waits.
func (c conditions) withCause(next plan.Decision) string {
	was := meta.FindStatusCondition(c.p.token.Status.Conditions, v1alpha1.ConditionReconciling)
	if next.Reason != v1alpha1.ReasonBackoff || was == nil {
		return next.Message
	}
	if failures[was.Reason] {
		return plan.Sentences(next.Message, lastEnd+was.Message)
	}
	if _, cause, ok := strings.Cut(was.Message, lastEnd); ok && was.Reason == v1alpha1.ReasonBackoff {
		return plan.Sentences(next.Message, lastEnd+cause)
	}
	return next.Message
}

// summary sets Ready, Reconciling and Stalled.
func (c conditions) summary(ready plan.Readiness, next plan.Decision) {
	standing := c.standing(ready, next)
	if ready.Ready {
		reason, message := c.holding(ready)
		c.set(v1alpha1.ConditionReady, true, reason, message)
	}
	if standing {
		return
	}
	c.tellNotRevoked(next)
	next = c.stillNotRevoked(next)
	next.Message = c.withCause(next)
	if was := meta.FindStatusCondition(c.p.token.Status.Conditions, v1alpha1.ConditionStalled); was != nil &&
		was.Reason == v1alpha1.ReasonAccountBlocked && next.Reason == v1alpha1.ReasonBackoff {
		// It is tried again, but somebody has to act before it can help.
		next.State, next.Reason, next.Message = plan.Stalled, was.Reason, was.Message
	}
	if !ready.Ready {
		reason := next.Reason
		if reason == v1alpha1.ReasonReady {
			reason = v1alpha1.ReasonPublishing
		}
		c.set(v1alpha1.ConditionReady, false, reason, plan.Sentences(next.Message, c.still(ready)))
	}
	c.setOrRemove(v1alpha1.ConditionReconciling, next.State == plan.Progressing, next.Reason, next.Message)
	c.setOrRemove(v1alpha1.ConditionStalled, next.State == plan.Stalled, next.Reason, next.Message)
}

// holding says what the Secret holds. The column STATUS of kubectl get is the reason
// of Ready, so an ApiToken of which the credential will not be replaced has a reason of its
// own also while it is Ready.
func (c conditions) holding(ready plan.Readiness) (reason, message string) {
	message = fmt.Sprintf("Secret %q holds credential %s", c.p.token.SecretName(), plan.Called(&ready.Active.LedgerEntry))
	if c.p.token.Spec.Suspend {
		return v1alpha1.ReasonSuspended, message + "; while spec.suspend is true no other one replaces it"
	}
	if obstacle, found := c.p.obs.NotReplaced(); found {
		return obstacle.Reason, plan.Sentences(message, obstacle.Message)
	}
	return v1alpha1.ReasonReady, message
}

// still says what the workload has while the declaration is not met.
func (c conditions) still(ready plan.Readiness) string {
	if !ready.Issued || !ready.Published || c.p.obs.Token.Deleting || ready.Active.Drift.NoAccess() {
		return ""
	}
	return fmt.Sprintf("Until then Secret %q still holds credential %s", c.p.token.SecretName(), plan.Called(&ready.Active.LedgerEntry))
}

func (c conditions) issued(ready plan.Readiness) {
	if ready.Issued {
		c.set(v1alpha1.ConditionIssued, true, v1alpha1.ReasonIssued, "the provider has issued credential "+plan.Called(&ready.Active.LedgerEntry))
		return
	}
	if left := len(c.p.token.Status.Credentials); c.p.obs.Token.Deleting && left > 0 {
		c.set(v1alpha1.ConditionIssued, false, v1alpha1.ReasonDeleting, fmt.Sprintf("no credential is in use; revocations that are not finished: %d", left))
		return
	}
	c.set(v1alpha1.ConditionIssued, false, v1alpha1.ReasonNotIssued, "no live credential")
}

// person shows what somebody has to do at the provider.
func (c conditions) person() {
	task := c.p.obs.Task()
	if task == nil {
		task = &plan.Task{}
	}
	c.setOrRemove(v1alpha1.ConditionActionRequired, task.Message != "", task.Reason, task.Message)
}

// drifted shows how the provider shows the credential in use, if not as it was issued.
func (c conditions) drifted() {
	drift, drifted := c.p.obs.Drift()
	c.setOrRemove(v1alpha1.ConditionDrifted, drifted, drift.Reason, drift.Message)
}
