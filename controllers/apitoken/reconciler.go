package apitoken

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/audit"
	"apitoken.dev/operator/internal/clock"
	"apitoken.dev/operator/internal/connections"
	"apitoken.dev/operator/internal/fairqueue"
	"apitoken.dev/operator/internal/ledger"
	"apitoken.dev/operator/internal/memory"
	"apitoken.dev/operator/internal/observe"
	"apitoken.dev/operator/internal/places"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/secretstore"
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

// Step is one step of an attempt.
type Step func(*Attempt, context.Context) plan.Outcome

// Attempt is one credential on its way, in the process that reserved its name.
type Attempt struct {
	r      *Reconciler
	p      *pass
	action plan.Issue
	conn   connections.Connection
	minted provider.Minted
	name   string
	// recorded is the revision that the ledger had before this attempt.
	recorded int64
	// handed is what a user submitted, for a manual credential.
	handed secretstore.Submitted

	// began is taken before the reservation is sent, by both clocks.
	began          time.Time
	beganMonotonic time.Duration
}

// pass is one reconciliation: what was read, and the status as it will be written.
type pass struct {
	// token is a copy; its status is edited in place and written once.
	token *v1alpha1.ApiToken
	// base is the status as the API server has it.
	base *v1alpha1.ApiTokenStatus
	// behind: the cache does not show this process's own last write yet.
	behind bool
	// pending: the cache does not show this process's own last write of the Secret yet.
	pending bool
	// ending: the namespace is being deleted.
	ending bool
	// retold: the action failed, and the conditions stay as they are: the text was told
	// before, or another one a moment ago.
	retold bool
	// saved: the status was written in this pass.
	saved bool
	// events are emitted with the next status write.
	events []pendingEvent
	// audit is the audit trail, subject what its lines of this pass are about.
	audit   *audit.Log
	subject audit.Subject
	key     account.Key
	facts   account.Facts
	target  secretstore.Target
	seen    secretstore.Snapshot
	obs     plan.Observation
	// action is what was decided last, place the place at the provider for it. Asked:
	// one was asked for.
	action plan.Action
	place  *places.Place
	asked  bool
}

// pendingEvent is an event to emit once the status write succeeds. Its note holds names and public identifiers only.
type pendingEvent struct {
	reason, action, note string
	args                 []any
	// credential that it is about; empty: the ApiToken as a whole.
	credential string
}

func nameOf(t *v1alpha1.ApiToken) types.NamespacedName {
	return types.NamespacedName{Namespace: t.Namespace, Name: t.Name}
}

// entry returns the ledger entry of a name, or nil.
func (p *pass) entry(name string) *v1alpha1.LedgerEntry { return ledger.Entry(&p.token.Status, name) }

// inUse returns the ledger entry that the workload should be using, or nil.
func (p *pass) inUse() *v1alpha1.LedgerEntry {
	return ledger.Active(&p.token.Status, p.seen.View.Credential)
}

// active is inUse for actions that the rules choose only while there is one.
func (p *pass) active() (*v1alpha1.LedgerEntry, error) {
	if e := p.inUse(); e != nil {
		return e, nil
	}
	return nil, errors.New("no credential is in use")
}

// settled reports whether no request of an attempt can take effect any more.
func (p *pass) settled(name string) bool {
	return slices.ContainsFunc(p.obs.Ledger, func(e plan.Entry) bool { return e.Name == name && e.Settled })
}

// sources are where the facts of a decision come from: the caches, and what this process
// remembers.
func (r *Reconciler) sources() *observe.Sources {
	return &observe.Sources{
		Objects: observe.Cached{Reader: r.Client}, Providers: r.Providers, Secrets: r.secrets,
		Memory: r.memory, Clock: r.Clock, Cluster: r.Cluster,
	}
}

// refresh brings the Observation up to date with the token and the Secret of this reconcile.
func (r *Reconciler) refresh(p *pass) {
	from := r.sources()
	p.obs.Token, p.obs.Ledger = from.Token(p.token, p.ending), from.Ledger(p.token, &p.facts)
	p.obs.Secret = r.secretView(p)
}

// secretView is the Secret of this reconcile, with what this process remembers of it.
func (r *Reconciler) secretView(p *pass) plan.Secret {
	v := p.seen.View
	if v.Live && v.Exists && !v.MetadataCurrent {
		v.Contest.Pause, v.Contest.Wait = r.memory.Contests.Lost(nameOf(p.token), p.target.Layout(), r.Clock.Monotonic())
	}
	return v
}

// mintRequest is what the provider is asked for in this reconcile.
func (r *Reconciler) mintRequest(p *pass, name string) provider.MintRequest {
	return observe.Request(p.token, &p.facts, r.Cluster, name, r.Clock.Now())
}
