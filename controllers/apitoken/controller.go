// Package apitoken reconciles ApiTokens. There is one way through it: get,
// observe, plan.Next, apply one action, report. What to do is decided in
// internal/plan; this package gathers what the decision needs, carries it out,
// and writes down what came of it.
package apitoken

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/audit"
	"apitoken.dev/operator/internal/clock"
	"apitoken.dev/operator/internal/connections"
	"apitoken.dev/operator/internal/fairqueue"
	"apitoken.dev/operator/internal/memory"
	"apitoken.dev/operator/internal/observe"
	"apitoken.dev/operator/internal/places"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/secretstore"
	"apitoken.dev/operator/internal/tracing"
)

// The times of the protocol; see docs/architecture.md.
const (
	// MintDeadline is how long after its reservation an attempt may start Mint or Publish.
	MintDeadline = time.Minute
	// RequestTimeout is how long after that a request of the attempt may still
	// wait for its answer before this process gives it up: 30 seconds.
	RequestTimeout = plan.AttemptTime - MintDeadline
)

// Providers gives access to providers; *connections.Pool implements it.
type Providers interface {
	observe.Providers
	Connect(ctx context.Context, key account.Key, place *places.Place) (connections.Connection, error)
	Forget(key account.Key)
}

// Options are what a Reconciler is made of. Decide and Steps are the rules and
// the order of an attempt; only the explorer replaces them, to prove that it
// notices.
type Options struct {
	// Client reads from the cache and writes.
	Client client.Client
	// Live reads from the API server itself.
	Live      client.Reader
	Providers Providers
	// Places are what reconciles wait for before they call a provider; as many as
	// they want when nil.
	Places   *places.Places
	Clock    clock.Clock
	Recorder events.EventRecorder
	// Cluster is the identity hash of this cluster.
	Cluster string
	// Random is read for the nonces of names; nil: crypto/rand.
	Random io.Reader
	// Decide is plan.Next when nil.
	Decide func(plan.Observation) plan.Decision
	// Steps is Standard when nil.
	Steps []Step
	// EndsOnly makes it issue nothing, and do nothing for ApiTokens that are not being deleted.
	EndsOnly bool
	// Audit is the audit trail; none when nil.
	Audit *audit.Log
	// Tracers make a trace of each pass; none when nil.
	Tracers trace.TracerProvider
}

// Reconciler reconciles ApiTokens.
type Reconciler struct {
	Options
	secrets *secretstore.Store
	// memory is what this process remembers between two reconciles.
	memory *memory.Memory
	// queue wakes ApiTokens; nil until the controller has started.
	queue atomic.Pointer[fairqueue.Queue]
}

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
	if plan.Is[plan.InLine](out) {
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
