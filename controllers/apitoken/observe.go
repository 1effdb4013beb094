package apitoken

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/audit"
	"apitoken.dev/operator/internal/credname"
	"apitoken.dev/operator/internal/ledger"
	"apitoken.dev/operator/internal/memory"
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
	ledger.Correct(&token.Status, r.Clock.Now(), p.overlapOf)
	var err error
	if p.facts, err = r.Providers.Facts(ctx, p.key, token.Namespace, plan.GrantOf(&token.Spec)); err != nil {
		return nil, fmt.Errorf("reading the provider: %w", err)
	}
	p.target = secretstore.TargetOf(token, p.facts.Driver, p.facts.Config)
	seen, pending, err := r.secrets.Cached(ctx, p.target)
	if err != nil {
		return nil, err
	}
	p.see(seen)
	p.pending = pending
	if p.ending, err = namespaceEnding(ctx, r.Client, token.Namespace); err != nil {
		return nil, err
	}
	p.obs = plan.Observation{Now: r.Clock.Now(), Provider: r.providerView(p), Failed: r.memory.Failures.Of(name)}
	if p.obs.Provider.Shared, err = r.shared(ctx, p); err != nil {
		return nil, err
	}
	if p.obs.Handover, err = r.handover(ctx, p); err != nil {
		return nil, err
	}
	r.refresh(p)
	return p, nil
}

// settled reports whether no request of an attempt can take effect any more.
func (p *pass) settled(name string) bool {
	return slices.ContainsFunc(p.obs.Ledger, func(e plan.Entry) bool { return e.Name == name && e.Settled })
}

// refresh brings the Observation up to date with the token and the Secret at hand.
func (r *Reconciler) refresh(p *pass) {
	t := p.token
	p.obs.Token = plan.Token{
		Namespace: t.Namespace, Name: t.Name, UID: string(t.UID), Generation: t.Generation,
		Spec:     t.Spec,
		Deleting: !t.DeletionTimestamp.IsZero(), NamespaceEnding: p.ending,
		HasFinalizer: controllerutil.ContainsFinalizer(t, v1alpha1.Finalizer),
		Revision:     t.Status.Revision, Budget: t.Status.MintBudget, Retry: t.Status.Retry,
		PublishRefused: plan.PublishRefused(&t.Status),
		Edited:         editedFor(t),
		End:            t.Annotations[v1alpha1.AnnotationEnd],
		Owns:           r.owns(t.Namespace, t.Name),
	}
	if t.Status.GapSince != nil {
		p.obs.Token.GapSince, p.obs.Token.GapReason = t.Status.GapSince.Time, t.Status.GapReason
	}
	p.obs.Ledger = r.entries(p)
	p.obs.Secret = r.secretView(p)
}

// entries are the ledger's entries with what this process knows of each. An
// entry that is or was Active has had its answer and is settled.
func (r *Reconciler) entries(p *pass) []plan.Entry {
	now := r.Clock.Monotonic()
	settle := MintDeadline + RequestTimeout + max(p.facts.Capabilities.Settle, PublishSettle)
	key := nameOf(p.token)
	out := make([]plan.Entry, 0, len(p.token.Status.Credentials))
	for i := range p.token.Status.Credentials {
		e := plan.Entry{LedgerEntry: p.token.Status.Credentials[i]}
		known := r.memory.Attempts.Of(key, &e.LedgerEntry, now)
		e.Ours, e.SeenFor = known.Ours, known.SeenFor
		e.Rejected = known.Rejection != nil && known.Rejection.Revision == p.token.Status.Revision
		answered := e.IssuedAt != nil || e.State == v1alpha1.StateActive
		if !answered {
			e.SettlesIn = max(0, settle-e.SeenFor)
		}
		e.Settled = e.SettlesIn == 0
		e.ProvesIn = r.memory.Proofs.Wait(key, e.Name, now)
		e.FindsIn = r.memory.Finds.Wait(key, e.Name, now)
		r.memory.Doubts.About(key, &e, now)
		out = append(out, e)
	}
	return out
}

// namespaceEnding reports whether a reader shows the namespace as being deleted.
func namespaceEnding(ctx context.Context, from client.Reader, name string) (bool, error) {
	ns := &metav1.PartialObjectMetadata{}
	ns.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	if err := from.Get(ctx, client.ObjectKey{Name: name}, ns); client.IgnoreNotFound(err) != nil {
		return false, fmt.Errorf("reading the namespace: %w", err)
	}
	return !ns.DeletionTimestamp.IsZero(), nil
}

// owns reports whether a name was made for an ApiToken in this cluster.
func (r *Reconciler) owns(namespace, token string) func(string) bool {
	return func(name string) bool {
		n, err := credname.Parse(name)
		return err == nil && n.OwnedBy(r.Cluster, namespace, token)
	}
}

func (r *Reconciler) providerView(p *pass) plan.Provider {
	f := p.facts
	v := plan.Provider{
		Found: f.Found, OtherKind: f.OtherKind, Deleting: f.Deleting, Ready: f.Ready, Admitted: f.Admitted, Verified: verified(f), Unverified: f.Found && !f.Verified,
		Reason: f.ReadyReason, Message: f.ReadyMessage, Account: f.Account.ID, Former: f.Account.Former, Capabilities: f.Capabilities,
		GrantableScopes: f.GrantableScopes, Form: r.form(p), Repairs: f.Repairs,
	}
	if checker, ok := provider.As[provider.Validator](f.Driver); ok && f.Found {
		if err := checker.Validate(f.Config, r.mintRequest(p, "")); err != nil {
			v.Refusal = refusal(err)
		}
	}
	return v
}

func (r *Reconciler) mintRequest(p *pass, name string) provider.MintRequest {
	grant := plan.GrantOf(&p.token.Spec)
	grant.ExpiresAt = plan.ExpiryFor(&p.token.Spec, r.Clock.Now(), p.facts.Capabilities.MaxLifetime)
	return provider.MintRequest{Name: name, Owner: r.ownerOf(p.token), Description: p.token.Spec.Description, Grant: grant}
}

func (r *Reconciler) ownerOf(t *v1alpha1.ApiToken) provider.Owner {
	return provider.Owner{Cluster: r.Cluster, Namespace: t.Namespace, Token: t.Name}
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
