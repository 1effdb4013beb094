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
	// MintDeadline is the time after its reservation within which an attempt may start Mint
	// or Publish.
	MintDeadline = time.Minute
	// RequestTimeout is the time after MintDeadline within which a request of the attempt
	// may still wait for its response: 30 seconds.
	RequestTimeout = plan.AttemptTime - MintDeadline
)

// Providers connects to providers and describes them. *connections.Pool implements it.
type Providers interface {
	observe.Providers
	Connect(ctx context.Context, key account.Key, place *places.Place) (connections.Connection, error)
	Forget(key account.Key)
}

// Options configure a Reconciler. Decide and Steps are the rules and the order of an
// attempt. Only the explorer replaces them, to prove that it finds the fault.
type Options struct {
	// Client reads from the cache and writes to the API server.
	Client client.Client
	// Live reads from the API server.
	Live      client.Reader
	Providers Providers
	// Places limit the calls in progress at each provider. If nil, there is no limit.
	Places   *places.Places
	Clock    clock.Clock
	Recorder events.EventRecorder
	// Cluster is the identity hash of this cluster.
	Cluster string
	// Random is the source of the random part of credential names. If nil, it is crypto/rand.
	Random io.Reader
	// Decide returns the decision for an observation. If nil, it is plan.Next.
	Decide func(plan.Observation) plan.Decision
	// Steps are the steps of an attempt. If nil, they are Standard.
	Steps []Step
	// EndsOnly makes the Reconciler issue nothing, and ignore ApiTokens that are not being
	// deleted.
	EndsOnly bool
	// Audit is the audit trail. If nil, nothing is audited.
	Audit *audit.Log
	// Tracers provide a trace of each reconcile. If nil, nothing is traced.
	Tracers trace.TracerProvider
}

// Reconciler reconciles ApiTokens.
type Reconciler struct {
	Options
	secrets *secretstore.Store
	// memory is the state that this process keeps between reconciles.
	memory *memory.Memory
	// queue wakes ApiTokens. It is nil until the controller has started.
	queue atomic.Pointer[fairqueue.Queue]
}

// Step is one step of an attempt.
type Step func(*Attempt, context.Context) plan.Outcome

// Attempt issues one credential. It runs in the process that reserved the name.
type Attempt struct {
	r      *Reconciler
	p      *reconciliation
	action plan.Issue
	conn   connections.Connection
	minted provider.Minted
	name   string
	// recorded is the revision that the ledger had before this attempt.
	recorded int64
	// submitted is the credential that a user submitted, for a manual credential.
	submitted secretstore.Submitted

	// began and beganMonotonic are read before the reservation is sent.
	began          time.Time
	beganMonotonic time.Duration
}

// reconciliation is the state of one reconcile: what was read, and the status to write.
type reconciliation struct {
	// token is a copy. Its status is edited in place and written once.
	token *v1alpha1.ApiToken
	// base is the status as the API server has it.
	base *v1alpha1.ApiTokenStatus
	// behind: the cache does not show this process's last write of the ApiToken yet.
	behind bool
	// pending: the cache does not show this process's last write of the Secret yet.
	pending bool
	// ending: the namespace is being deleted.
	ending bool
	// reported: the action failed and the conditions stay unchanged, because they already
	// report this error, or reported another one a moment ago.
	reported bool
	// saved: this reconcile wrote the status.
	saved bool
	// events are emitted after the next status write.
	events []pendingEvent
	// audit is the audit trail; subject is what its lines of this reconcile are about.
	audit   *audit.Log
	subject audit.Subject
	key     account.Key
	facts   account.Facts
	target  secretstore.Target
	seen    secretstore.Snapshot
	obs     plan.Observation
	// action is the last decided action. place is its place at the provider; asked: it
	// needed one.
	action plan.Action
	place  *places.Place
	asked  bool
}

// pendingEvent is an event to emit once the status write succeeds. Its note contains only
// names and public ids.
type pendingEvent struct {
	reason, action, note string
	args                 []any
	// credential is the name of the credential that the event is about; empty for the
	// ApiToken as a whole.
	credential string
}

func nameOf(t *v1alpha1.ApiToken) types.NamespacedName {
	return types.NamespacedName{Namespace: t.Namespace, Name: t.Name}
}

// entry returns the ledger entry with a name, or nil.
func (p *reconciliation) entry(name string) *v1alpha1.LedgerEntry {
	return ledger.Entry(&p.token.Status, name)
}

// inUse returns the ledger entry of the credential in use, or nil.
func (p *reconciliation) inUse() *v1alpha1.LedgerEntry {
	return ledger.Active(&p.token.Status, p.seen.View.Credential)
}

// active is inUse for actions that require a credential in use.
func (p *reconciliation) active() (*v1alpha1.LedgerEntry, error) {
	if e := p.inUse(); e != nil {
		return e, nil
	}
	return nil, errors.New("no credential is in use")
}

// settled reports whether the attempt of an entry has settled.
func (p *reconciliation) settled(name string) bool {
	return slices.ContainsFunc(p.obs.Ledger, func(e plan.Entry) bool { return e.Name == name && e.Settled })
}

// sources returns the sources of the facts: the caches, and the memory of this process.
func (r *Reconciler) sources() *observe.Sources {
	return &observe.Sources{
		Objects: observe.Cached{Reader: r.Client}, Providers: r.Providers, Secrets: r.secrets,
		Memory: r.memory, Clock: r.Clock, Cluster: r.Cluster,
	}
}

// refresh updates the observation with the token and the Secret of this reconcile.
func (r *Reconciler) refresh(p *reconciliation) {
	from := r.sources()
	p.obs.Token, p.obs.Ledger = from.Token(p.token, p.ending), from.Ledger(p.token, &p.facts)
	p.obs.Secret = r.secretView(p)
}

// secretView returns the Secret of this reconcile for the rules, with the pause of a
// contest that this process remembers.
func (r *Reconciler) secretView(p *reconciliation) plan.Secret {
	v := p.seen.View
	if v.Live && v.Exists && !v.MetadataCurrent {
		v.Contest.Pause, v.Contest.Wait = r.memory.Contests.Lost(nameOf(p.token), p.target.Layout(), r.Clock.Monotonic())
	}
	return v
}

// pastDeadline reports whether MintDeadline has passed since a reservation, by the wall clock
// or the monotonic clock.
func (r *Reconciler) pastDeadline(began time.Time, monotonic time.Duration) bool {
	return r.Clock.Now().Sub(began) >= MintDeadline || r.Clock.Monotonic()-monotonic >= MintDeadline
}

// mintRequest returns the request for a credential with a name, as declared now.
func (r *Reconciler) mintRequest(p *reconciliation, name string) provider.MintRequest {
	return observe.Request(p.token, &p.facts, r.Cluster, name, r.Clock.Now())
}
