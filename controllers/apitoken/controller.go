// Package apitoken reconciles ApiTokens. There is one way through it: get,
// observe, plan.Next, apply one action, report. What to do is decided in
// internal/plan; this package gathers what the decision needs, carries it out,
// and writes down what came of it.
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
	"apitoken.dev/operator/internal/memory"
	"apitoken.dev/operator/internal/observe"
	"apitoken.dev/operator/internal/places"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/secretstore"
	"apitoken.dev/operator/internal/tracing"
)

// New makes a Reconciler.
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

// Reconcile takes one ApiToken one action further.
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
		tracing.Note(span, "error.type", tracing.Class(plan.Err(out))) // report may turn it into a pause
	}
	return r.report(ctx, p, decision, out)
}

// noteOutcome remembers how the action of a decision ended.
func (r *Reconciler) noteOutcome(p *pass, d plan.Decision, out plan.Outcome) {
	if plan.Is[plan.NoPlace](out) {
		return // it was not tried
	}
	if _, ok := d.Action.(plan.Withdraw); ok {
		return // the attempt noted it when the provider rejected it
	}
	outcome := memory.Outcome{Rule: d.Rule}
	_, outcome.Waits = d.Action.(plan.Wait)
	if out != nil {
		outcome.Failure = fmt.Sprintf("%d %v", p.token.Generation, out)
	}
	var reported bool
	p.obs.Failed, reported = r.memory.Failures.Note(nameOf(p.token), outcome, r.Clock.Monotonic())
	p.retold = p.retold || reported
}

// observe is the only reader: it gathers what a decision needs from caches, and
// what they cannot tell when a decision asks for it (look).
func (r *Reconciler) observe(ctx context.Context, name types.NamespacedName) (*pass, error) {
	token := &v1alpha1.ApiToken{}
	if err := r.Client.Get(ctx, name, token); err != nil {
		if client.IgnoreNotFound(err) == nil {
			r.memory.Forget(name)
			return nil, nil
		}
		return nil, fmt.Errorf("reading the ApiToken: %w", err)
	}
	token = token.DeepCopy()
	p := &pass{token: token, base: token.Status.DeepCopy(), key: account.KeyFor(token)}
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

// maxLooks bounds how often a decision may ask to see more.
const maxLooks = 4

// decide asks the rules, and looks at more when they ask to.
func (r *Reconciler) decide(ctx context.Context, p *pass) (plan.Decision, plan.Outcome) {
	for range maxLooks {
		d := r.Decide(p.obs)
		p.action = d.Action
		looked, out := r.look(ctx, p, d.Action)
		if out != nil || !looked {
			return d, out
		}
	}
	return plan.Decision{}, plan.Failed{Err: fmt.Errorf("the rules asked for more than %d looks", maxLooks)}
}

// look reads what an action asks to see. It reports false for any other action.
func (r *Reconciler) look(ctx context.Context, p *pass, action plan.Action) (bool, plan.Outcome) {
	switch a := action.(type) { //nolint:gochecksumtype // every other action is carried out by apply
	case plan.ReadSecret:
		seen, err := r.secrets.Read(ctx, p.target)
		if err != nil {
			return true, failed(err)
		}
		p.see(seen)
		p.pending, p.obs.Secret = false, r.secretView(p)
		p.obs.Restored = r.memory.Absences.Of(nameOf(p.token), claimOf(p), r.Clock.Monotonic())
		return true, nil
	case plan.FindRestored:
		return true, r.findRestored(ctx, p, a.Name)
	case plan.CountSlots:
		return true, r.countSlots(ctx, p)
	default:
		return false, nil
	}
}

// leave gives the place back. One that did not ask for a place in this reconcile
// needs none, and must not keep others from theirs.
func (r *Reconciler) leave(p *pass) {
	p.place.Release()
	if !p.asked {
		r.Places.Leave(nameOf(p.token))
	}
}
