package apitoken

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/audit"
	"apitoken.dev/operator/internal/memory"
	"apitoken.dev/operator/internal/observe"
	"apitoken.dev/operator/internal/places"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/secretstore"
)

// maxLooks bounds how often a decision may ask to see more.
const maxLooks = 4

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

// sources are where the facts of a decision come from: the caches, and what this process
// remembers.
func (r *Reconciler) sources() *observe.Sources {
	return &observe.Sources{
		Objects: observe.Cached{Reader: r.Client}, Providers: r.Providers, Secrets: r.secrets,
		Memory: r.memory, Clock: r.Clock, Cluster: r.Cluster,
	}
}

// settled reports whether no request of an attempt can take effect any more.
func (p *pass) settled(name string) bool {
	return slices.ContainsFunc(p.obs.Ledger, func(e plan.Entry) bool { return e.Name == name && e.Settled })
}

// refresh brings the Observation up to date with the token and the Secret at hand.
func (r *Reconciler) refresh(p *pass) {
	from := r.sources()
	p.obs.Token, p.obs.Ledger = from.Token(p.token, p.ending), from.Ledger(p.token, &p.facts)
	p.obs.Secret = r.secretView(p)
}

// mintRequest is what the provider is asked for in this reconcile.
func (r *Reconciler) mintRequest(p *pass, name string) provider.MintRequest {
	return observe.Request(p.token, &p.facts, r.Cluster, name, r.Clock.Now())
}

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

// findRestored asks whether the credential that the Secret holds is alive.
func (r *Reconciler) findRestored(ctx context.Context, p *pass, name string) plan.Outcome {
	conn, out := r.connect(ctx, p)
	if out != nil {
		return out
	}
	facts := p.seen.View.Facts
	if !conn.Account.Is(facts.Account) {
		return plan.AccountChanged{}
	}
	answer, out := r.strategyLost(p, conn).restored(ctx, p, conn, name)
	if out != nil {
		return out
	}
	r.restored(p, &answer)
	return nil
}

// restored takes an answer to FindRestored, and remembers one that no ledger will hold.
func (r *Reconciler) restored(p *pass, answer *plan.Restored) {
	if p.obs.Restored = answer; !answer.Live {
		answer.AsksIn = r.memory.Absences.Note(nameOf(p.token), claimOf(p), answer.Account, r.Clock.Monotonic())
	}
}

// claimOf is what FindRestored asks about in this reconcile.
func claimOf(p *pass) memory.Claim {
	c := memory.Claim{UID: p.token.UID, Credential: p.seen.View.Credential, Account: p.facts.Account.ID}
	if p.obs.Provider.Form != nil {
		c.Secret = p.seen.Version
	}
	return c
}
