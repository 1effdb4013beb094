// Package apitoken reconciles ApiTokens. Each reconcile takes the same path: get,
// observe, plan.Next, apply one action, report. internal/plan decides what to do;
// this package gathers the facts for the decision, carries out the action, and writes
// the outcome to the status.
package apitoken

import (
	"context"
	"crypto/rand"
	"fmt"

	"go.opentelemetry.io/otel/trace"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/apierror"
	"apitoken.dev/operator/internal/memory"
	"apitoken.dev/operator/internal/observe"
	"apitoken.dev/operator/internal/places"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/secretstore"
	"apitoken.dev/operator/internal/tracing"
)

// New returns a Reconciler.
func New(o Options) *Reconciler {
	if o.Random == nil {
		o.Random = rand.Reader
	}
	if o.Decide == nil {
		o.Decide = plan.Next
	}
	if o.Steps == nil {
		o.Steps = Standard()
	}
	if o.EndsOnly {
		o.Steps = []Step{(*Attempt).issueNothing}
	}
	if o.Places == nil {
		o.Places = places.New(o.Clock, places.Limits{})
	}
	return &Reconciler{
		Options: o,
		secrets: &secretstore.Store{Client: o.Client, Live: o.Live, Cluster: o.Cluster, Clock: o.Clock},
		memory:  memory.New(),
	}
}

// Reconcile decides on one action for an ApiToken and carries it out.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	ctx, span := tracing.Reconcile(ctx, r.Tracers, "ApiToken", req.Namespace, req.Name)
	result, err := r.reconcile(ctx, req, span)
	tracing.End(span, err)
	return result, err
}

func (r *Reconciler) reconcile(ctx context.Context, req ctrl.Request, span trace.Span) (ctrl.Result, error) {
	p, err := r.observe(ctx, req.NamespacedName)
	if err != nil {
		return ctrl.Result{}, err
	}
	if p == nil {
		r.Places.Leave(req.NamespacedName)
		return ctrl.Result{}, nil
	}
	if p.behind {
		return ctrl.Result{RequeueAfter: secretstore.CacheLag}, nil
	}
	defer r.leave(p)
	if r.EndsOnly && p.token.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, nil
	}
	decision, out := r.decide(ctx, p)
	tracing.Note(span, "apitoken.rule", decision.Rule, "apitoken.reason", decision.Reason,
		"apitoken.driver", p.facts.DriverType, "apitoken.provider", p.key.String())
	if out == nil {
		r.emitEndIgnored(p)
		out = r.apply(ctx, p, decision)
	}
	r.noteOutcome(p, decision, out)
	if out != nil {
		tracing.Note(span, "error.type", tracing.Class(plan.Err(out))) // report may return a delay and no error
	}
	return r.report(ctx, p, decision, out)
}

// noteOutcome records the outcome of an action in the memory of this process.
func (r *Reconciler) noteOutcome(p *reconciliation, d plan.Decision, out plan.Outcome) {
	if plan.Is[plan.NoPlace](out) {
		return // the action was not tried
	}
	if _, ok := d.Action.(plan.Withdraw); ok {
		return // the attempt recorded the outcome when the provider rejected it
	}
	outcome := memory.Outcome{Rule: d.Rule}
	_, outcome.Waits = d.Action.(plan.Wait)
	if out != nil {
		outcome.Failure = fmt.Sprintf("%d %v", p.token.Generation, out)
	}
	var reported bool
	p.obs.Failed, reported = r.memory.Failures.Note(nameOf(p.token), outcome, r.Clock.Monotonic())
	p.reported = p.reported || reported
}

// observe gathers the facts for a decision from caches. It returns nil if the ApiToken does
// not exist. Facts that no cache has are read on demand: see readMore.
func (r *Reconciler) observe(ctx context.Context, name types.NamespacedName) (*reconciliation, error) {
	token := &v1alpha1.ApiToken{}
	if err := r.Client.Get(ctx, name, token); err != nil {
		if client.IgnoreNotFound(err) == nil {
			r.memory.Forget(name)
			return nil, nil
		}
		return nil, fmt.Errorf("reading the ApiToken: %w", err)
	}
	token = token.DeepCopy()
	p := &reconciliation{token: token, base: token.Status.DeepCopy(), key: account.KeyFor(token)}
	if p.behind = r.memory.Writes.After(token); p.behind {
		return p, nil
	}
	r.memory.Attempts.See(token, r.Clock.Monotonic())
	found, err := observe.Gather(ctx, r.sources(), token)
	if err != nil {
		return nil, err
	}
	p.facts, p.target, p.pending, p.ending = found.Facts, found.Target, found.Pending, found.NamespaceEnding
	p.see(found.Seen)
	p.obs = found.Observation
	return p, nil
}

// maxReads limits how many more reads a decision can request.
const maxReads = 4

// decide evaluates the rules, again after each read that they request.
func (r *Reconciler) decide(ctx context.Context, p *reconciliation) (plan.Decision, plan.Outcome) {
	for range maxReads {
		d := r.Decide(p.obs)
		p.action = d.Action
		read, out := r.readMore(ctx, p, d.Action)
		if out != nil || !read {
			return d, out
		}
	}
	return plan.Decision{}, plan.Failed{Err: fmt.Errorf("the rules requested more than %d reads", maxReads)}
}

// readMore carries out an action that only reads. It reports false for any other action.
func (r *Reconciler) readMore(ctx context.Context, p *reconciliation, action plan.Action) (bool, plan.Outcome) {
	switch a := action.(type) { //nolint:gochecksumtype // every other action is carried out by apply
	case plan.ReadSecret:
		seen, err := r.secrets.Read(ctx, p.target)
		if err != nil {
			return true, apierror.Failed(err)
		}
		p.see(seen)
		p.pending, p.obs.Secret = false, r.secretView(p)
		p.obs.Restored = r.memory.Absences.Of(nameOf(p.token), r.claimOf(p), r.Clock.Monotonic())
		return true, nil
	case plan.FindRestored:
		return true, r.findRestored(ctx, p, a.Name)
	case plan.CountSlots:
		return true, r.countSlots(ctx, p)
	default:
		return false, nil
	}
}

// leave releases the place at the provider. An ApiToken that did not need a place in this
// reconcile also leaves the queue for one, so that it does not delay others.
func (r *Reconciler) leave(p *reconciliation) {
	p.place.Release()
	if !p.asked {
		r.Places.Leave(nameOf(p.token))
	}
}
