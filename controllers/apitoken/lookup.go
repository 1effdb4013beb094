package apitoken

import (
	"context"
	"errors"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/log"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/apierror"
	"apitoken.dev/operator/internal/connections"
	"apitoken.dev/operator/internal/ledger"
	"apitoken.dev/operator/internal/memory"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/provider"
)

// findRestored checks whether the credential in the Secret is live at the provider.
func (r *Reconciler) findRestored(ctx context.Context, p *reconciliation, name string) plan.Outcome {
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

// restored sets the answer to FindRestored. It remembers that a credential is absent,
// because the ledger does not record that.
func (r *Reconciler) restored(p *reconciliation, answer *plan.Restored) {
	if p.obs.Restored = answer; !answer.Live {
		answer.AsksIn = r.memory.Absences.Note(nameOf(p.token), r.claimOf(p), answer.Account, r.Clock.Monotonic())
	}
}

// claimOf returns what FindRestored checks in this reconcile.
func (r *Reconciler) claimOf(p *reconciliation) memory.Claim {
	return memory.Claim{
		UID: p.token.UID, Credential: p.seen.View.Credential, Account: p.facts.Account.ID,
		Secret: r.strategyFor(p).probed(p),
	}
}

// countSlots counts the credentials in the account.
func (r *Reconciler) countSlots(ctx context.Context, p *reconciliation) plan.Outcome {
	conn, out := r.connect(ctx, p)
	if out != nil {
		return out
	}
	if out := r.knowsAccount(ctx, p, conn); out != nil {
		return out
	}
	var err error
	// Another ApiToken may have taken a slot before this reconcile got its place.
	if p.obs.Provider.Shared, err = r.sources().Shared(ctx, p.token, &p.facts); err != nil {
		return apierror.Failed(err)
	}
	counter, ok := provider.As[provider.Counter](conn.Client)
	if !ok {
		return plan.Failed{Err: errors.New("this provider has a limited number of slots, but its driver cannot count credentials")}
	}
	all, err := counter.Occupied(ctx)
	if err != nil {
		return r.providerFailed(p, "list", err)
	}
	p.obs.Occupied = &plan.Occupied{Credentials: all}
	return nil
}

// knowsAccount returns Superseded if the account, or the other providers that share it,
// were unknown when the reconcile began. They are known at the next reconcile.
func (r *Reconciler) knowsAccount(ctx context.Context, p *reconciliation, conn connections.Connection) plan.Outcome {
	if conn.AccountKey != p.facts.AccountKey {
		return plan.Superseded{What: "the account was not yet known"}
	}
	_, settled, err := r.Providers.Sharing(ctx, p.key)
	if err != nil {
		return apierror.Failed(fmt.Errorf("reading the providers of an account: %w", err))
	}
	if !settled {
		return plan.Superseded{What: "another provider on the same host may share the account"}
	}
	return nil
}

// identify gets the id of an adopted credential from the provider. If the provider does not
// show it, the lookup is retried later.
func (r *Reconciler) identify(ctx context.Context, p *reconciliation, name string) plan.Outcome {
	e := p.entry(name)
	if e == nil {
		return plan.Failed{Err: fmt.Errorf("credential %s is not in the ledger", name)}
	}
	r.memory.Finds.Tried(nameOf(p.token), name, r.Clock.Monotonic())
	conn, out := r.connect(ctx, p)
	if out != nil {
		return out
	}
	if !conn.Account.Is(e.Account) {
		return plan.AccountChanged{}
	}
	id, expires, out := r.strategyOf(e).identify(ctx, p, conn, e)
	if out != nil || id == "" {
		return out
	}
	ledger.Identify(&p.token.Status, name, id, expires)
	p.identified(name)
	return nil
}

// confirm checks the credential in use for drift and records the drift in the ledger. If
// the check is inconclusive, it changes nothing and is retried later.
func (r *Reconciler) confirm(ctx context.Context, p *reconciliation, name string) plan.Outcome {
	e := p.entry(name)
	if e == nil {
		return nil
	}
	conn, out := r.connect(ctx, p)
	if plan.Is[plan.NoPlace](out) {
		return out // reconciled again when its turn comes
	}
	if out == nil && !conn.Account.Is(e.Account) {
		out = plan.AccountChanged{}
	}
	var drift v1alpha1.CredentialDrift
	if out == nil {
		drift, out = r.strategyOf(e).shown(ctx, p, conn, e)
	}
	token, now := nameOf(p.token), r.Clock.Monotonic()
	switch {
	case out != nil:
		r.memory.Doubts.PutOff(token, name, now)
		log.FromContext(ctx).Info("a credential could not be checked at the provider; it will be checked again later", "name", name, "error", out.String())
		return nil
	case drift != v1alpha1.DriftMissing:
		r.memory.Doubts.Resolve(token)
	case !r.memory.Doubts.Absent(token, name, now):
		return nil // checked again later
	}
	return r.drifted(ctx, p, name, drift)
}

// drifted records a drift in the ledger and emits an event if it changed. If too many
// credentials drift at once, which looks like a mistake of the provider, it only emits an
// event.
func (r *Reconciler) drifted(ctx context.Context, p *reconciliation, name string, drift v1alpha1.CredentialDrift) plan.Outcome {
	e := p.entry(name)
	if e == nil || e.Drift == drift && !p.obs.Provider.Repairs {
		return nil
	}
	if drift == "" {
		r.memory.Doubts.Unmark(nameOf(p.token))
	} else if few, err := r.fewDrift(ctx, p); err != nil {
		return apierror.Failed(err)
	} else if !few {
		r.memory.Doubts.PutOff(nameOf(p.token), name, r.Clock.Monotonic())
		p.event(eventDrifted, "Confirm", "%s", plan.DriftNotRecorded(e, drift))
		r.emit(p) // at once: no status write may follow
		return nil
	}
	if e.Drift == drift {
		return nil
	}
	ledger.MarkDrift(&p.token.Status, name, drift)
	r.refresh(p)
	if found, ok := p.obs.Drift(); ok {
		p.event(eventDrifted, "Confirm", "%s", found.Message)
		return nil
	}
	p.event(eventRecovered, "Confirm", "the provider again shows credential %s as it was issued", plan.Called(e))
	return nil
}

// fewDrift records that the current credential drifts. It reports whether few enough
// credentials of the provider drift that this does not look like a mistake. This is the
// last limit before the ledger changes, for every cause of a check. A credential that was
// recently replaced because it was missing also counts: otherwise Repair would replace one
// after the other until all are replaced.
func (r *Reconciler) fewDrift(ctx context.Context, p *reconciliation) (bool, error) {
	tokens, err := account.Referencing(ctx, r.Client, p.key)
	if err != nil {
		return false, err
	}
	drifting, all := plan.Drifting(tokens, r.Clock.Now())
	return r.memory.Doubts.Mark(p.key, nameOf(p.token), drifting, all, r.Clock.Monotonic()), nil
}
