package apitoken

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/apierror"
	"apitoken.dev/operator/internal/metrics"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/secretstore"
	"apitoken.dev/operator/internal/trim"
)

// report writes the status if it changed, and returns when to reconcile again.
func (r *Reconciler) report(ctx context.Context, p *reconciliation, d plan.Decision, out plan.Outcome) (ctrl.Result, error) {
	switch out := out.(type) { //nolint:gochecksumtype // the others are written to the status
	case plan.Superseded:
		return ctrl.Result{RequeueAfter: plan.RequeueSoon}, nil
	case plan.NoPlace:
		return r.inLine(ctx, p, d)
	case plan.Deferred:
		if plan.ExplainsNotReady(p.token, &p.obs) {
			return ctrl.Result{RequeueAfter: out.Wait}, nil
		}
	}
	if p.token.DeletionTimestamp.IsZero() && p.obs.Token.Deleting {
		return ctrl.Result{}, nil // the finalizer was removed: the ApiToken is gone
	}
	if _, ok := d.Action.(plan.AddFinalizer); ok && out == nil {
		return ctrl.Result{}, nil // the change triggers the next reconcile
	}
	next := r.next(ctx, p, d, out)
	if err := r.save(ctx, p, next, out); err != nil {
		return notSaved(err)
	}
	return r.result(p, next, out)
}

// notSaved ends a reconcile whose status could not be written.
func notSaved(err error) (ctrl.Result, error) {
	if apierror.Superseded(err) {
		return ctrl.Result{RequeueAfter: plan.RequeueSoon}, nil
	}
	return ctrl.Result{}, notDone{plan.NotSent{Why: "the status could not be written: " + apierror.Reason(err), Err: err}}
}

// notDone wraps an outcome as the error of a reconcile, which is logged and counted.
type notDone struct{ out plan.Outcome }

func (e notDone) Error() string { return e.out.String() }

func (e notDone) Unwrap() error { return plan.Err(e.out) }

// next returns the decision to report after an action: the failure, or what comes next.
func (r *Reconciler) next(ctx context.Context, p *reconciliation, d plan.Decision, out plan.Outcome) plan.Decision {
	if _, waits := d.Action.(plan.Wait); !waits {
		p.obs.Occupied = nil // it was counted before the action
	}
	if out != nil {
		next := plan.AfterOutcome(&p.obs, d, out)
		log.FromContext(ctx).Info("action not carried out", "rule", d.Rule, "reason", next.Reason, "message", next.Message)
		return next
	}
	r.refresh(p)
	next := r.Decide(p.obs)
	if next.Unreadable() {
		log.FromContext(ctx).Info("nothing is issued", "reason", next.Reason, "message", next.Message)
	}
	return next
}

// result returns when the ApiToken is reconciled again.
func (r *Reconciler) result(p *reconciliation, next plan.Decision, out plan.Outcome) (ctrl.Result, error) {
	if out == nil {
		retry := plan.RetryDone(next, p.saved)
		if p.pending && (retry.After == 0 || retry.After > secretstore.CacheLag) {
			retry.After = secretstore.CacheLag
		}
		return ctrl.Result{RequeueAfter: retry.After}, nil
	}
	retry := plan.RetryFailed(p.token, &p.obs, next, out)
	if !retry.BackOff {
		return ctrl.Result{RequeueAfter: retry.After}, nil
	}
	r.wakeIn(p, retry.Max)
	return ctrl.Result{}, notDone{out}
}

// wakeIn requeues the ApiToken after a delay. The backoff can requeue it earlier. It does
// nothing if the delay is 0.
func (r *Reconciler) wakeIn(p *reconciliation, due time.Duration) {
	if q := r.queue.Load(); q != nil && due > 0 {
		(*q).AddAfter(ctrl.Request{NamespacedName: nameOf(p.token)}, due)
	}
}

// save writes the status, including conditions, if it changed. The write conflicts if the
// ApiToken changed since it was read.
func (r *Reconciler) save(ctx context.Context, p *reconciliation, next plan.Decision, out plan.Outcome) error {
	r.describe(p, next, out)
	if equality.Semantic.DeepEqual(p.base, &p.token.Status) {
		return nil
	}
	if err := r.Client.Status().Update(ctx, p.token); err != nil {
		return err
	}
	r.wrote(p)
	return nil
}

// describe sets all fields of the status that are derived from the ledger, the Secret and
// the decision.
func (r *Reconciler) describe(p *reconciliation, next plan.Decision, out plan.Outcome) {
	s := &p.token.Status
	s.ObservedGeneration = p.token.Generation
	s.Secret.Name = p.token.SecretName()
	s.ExpiryEnforcedBy = string(p.facts.Capabilities.ExpiryEnforcedBy)
	times := plan.TimesOf(p.token, &p.obs)
	s.ExpiresAt, s.RotatesAt, s.Effective = times.ExpiresAt, times.RotatesAt, times.Effective
	s.Columns = plan.ColumnsOf(p.token)
	r.describeConditions(p, next, out)
}

// describeConditions sets the conditions. It records an event if a revocation failed.
func (r *Reconciler) describeConditions(p *reconciliation, next plan.Decision, out plan.Outcome) {
	all, notRevoked := plan.Report{
		Token: p.token, Before: p.base.Conditions, Observation: &p.obs, Next: next, Outcome: out, Reported: p.reported,
	}.Conditions()
	if notRevoked != "" {
		p.event(eventFailed, "Revoke", "%s", v1alpha1.CutMessage(notRevoked))
	}
	for _, c := range all {
		if c.Status == "" {
			meta.RemoveStatusCondition(&p.token.Status.Conditions, c.Type)
			continue
		}
		meta.SetStatusCondition(&p.token.Status.Conditions, metav1.Condition{
			Type: c.Type, Status: c.Status, Reason: c.Reason, Message: v1alpha1.CutMessage(c.Message),
			ObservedGeneration: p.token.Generation, LastTransitionTime: metav1.NewTime(p.obs.Now),
		})
	}
}

// inLine ends a reconcile that waits for a place at the provider. It writes the status only
// if the ApiToken is no longer Ready, because its credential expired or does not match the
// declaration.
func (r *Reconciler) inLine(ctx context.Context, p *reconciliation, d plan.Decision) (ctrl.Result, error) {
	result := ctrl.Result{RequeueAfter: plan.UntilDue(p.token, p.obs.Now)}
	waits, write := plan.WaitsForPlace(p.token, &p.obs, d)
	if !write {
		return result, nil
	}
	if err := r.save(ctx, p, waits, nil); err != nil {
		return notSaved(err)
	}
	return result, nil
}

// patchFinalizer adds or removes the finalizer. The write conflicts if the ApiToken changed
// since it was read.
func (r *Reconciler) patchFinalizer(ctx context.Context, p *reconciliation, on bool) plan.Outcome {
	changed, err := trim.SetFinalizer(ctx, r.Client, r.Live, p.token, on)
	if err != nil {
		return apierror.WriteFailed(err)
	}
	if changed {
		r.wrote(p)
	}
	return nil
}

func (r *Reconciler) removeFinalizer(ctx context.Context, p *reconciliation) plan.Outcome {
	if out := r.patchFinalizer(ctx, p, false); out != nil {
		return out
	}
	p.token.DeletionTimestamp = nil
	r.memory.Released(nameOf(p.token))
	return nil
}

// wrote records that the API server has the token as it is in p, and emits the events.
func (r *Reconciler) wrote(p *reconciliation) {
	// Managed fields are half of the object. The API server keeps them if they are not sent.
	p.token.ManagedFields = nil
	rotated(p.facts.DriverType, p.base, &p.token.Status)
	p.base = p.token.Status.DeepCopy()
	p.saved = true
	r.memory.Wrote(p.token, r.Clock.Monotonic())
	r.emit(p)
}

// rotated counts the rotations that a status write recorded.
func rotated(driver string, before, after *v1alpha1.ApiTokenStatus) {
	for _, reason := range plan.Rotated(before, after) {
		metrics.Rotated(driver, string(reason))
	}
}

// see sets the Secret of this reconcile to one that was just read or written. A write
// proves that the API server accepts the Secret.
func (p *reconciliation) see(seen secretstore.Snapshot) {
	p.seen = seen
	if seen.Written {
		clearPublishRefused(p)
	}
}

// published is see for a Secret that this reconcile wrote or checked. It records its
// version.
func (p *reconciliation) published(seen secretstore.Snapshot) {
	p.see(seen)
	p.noteChecked()
}

// noteChecked records the version of the current Secret as checked, if its data is what the
// operator wrote. Nothing else writes this field.
func (p *reconciliation) noteChecked() { p.token.Status.Secret.ResourceVersion = p.seen.Checked() }

// clearPublishRefused removes the condition about a rejected write of the Secret, because a
// later write or dry run succeeded.
func clearPublishRefused(p *reconciliation) {
	if plan.PublishRefused(&p.token.Status) {
		meta.RemoveStatusCondition(&p.token.Status.Conditions, v1alpha1.ConditionPublished)
	}
}
