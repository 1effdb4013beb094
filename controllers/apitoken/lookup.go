package apitoken

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/connections"
	"apitoken.dev/operator/internal/ledger"
	"apitoken.dev/operator/internal/memory"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/provider"
)

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

// countSlots asks what the account has.
func (r *Reconciler) countSlots(ctx context.Context, p *pass) plan.Outcome {
	conn, out := r.connect(ctx, p)
	if out != nil {
		return out
	}
	if out := r.knowsAccount(ctx, p, conn); out != nil {
		return out
	}
	var err error
	// Until now another reconcile may have had the place of this account.
	if p.obs.Provider.Shared, err = r.sources().Shared(ctx, p.token, &p.facts); err != nil {
		return failed(err)
	}
	counter, ok := provider.As[provider.Counter](conn.Client)
	if !ok {
		return plan.Failed{Err: errors.New("this provider has room for few credentials, and its driver cannot count them")}
	}
	all, err := counter.Occupied(ctx)
	if err != nil {
		return r.providerFailed(p, "list", err)
	}
	p.obs.Occupied = &plan.Occupied{Credentials: all}
	return nil
}

// knowsAccount returns Superseded if a pass began without knowing which account
// it is about, or who else has it. The next pass knows more.
func (r *Reconciler) knowsAccount(ctx context.Context, p *pass, conn connections.Connection) plan.Outcome {
	if conn.AccountKey != p.facts.AccountKey {
		return plan.Superseded{What: "the account was not known yet"}
	}
	_, settled, err := r.Providers.Sharing(ctx, p.key)
	if err != nil {
		return failed(fmt.Errorf("reading the providers of an account: %w", err))
	}
	if !settled {
		return plan.Superseded{What: "another provider of the same server may have the account"}
	}
	return nil
}

// identify asks the provider for the id of a credential that was adopted. An
// answer without it changes nothing: it is asked for again later.
func (r *Reconciler) identify(ctx context.Context, p *pass, name string) plan.Outcome {
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

// confirm asks the provider how it shows the credential in use, and writes what it
// shows into the ledger. An answer that leaves it open changes nothing, and the provider
// is asked again later.
func (r *Reconciler) confirm(ctx context.Context, p *pass, name string) plan.Outcome {
	e := p.entry(name)
	if e == nil {
		return nil
	}
	conn, out := r.connect(ctx, p)
	if plan.Is[plan.NoPlace](out) {
		return out // its turn comes
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
		log.FromContext(ctx).Info("the provider could not be asked about a credential; it is asked again later", "name", name, "error", out.String())
		return nil
	case drift != v1alpha1.DriftMissing:
		r.memory.Doubts.Resolve(token)
	case !r.memory.Doubts.Absent(token, name, now):
		return nil // the provider is asked again
	}
	return r.drifted(ctx, p, name, drift)
}

// drifted writes a drift into the ledger, and tells a user of a change. So many at once
// that they look like a mistake of the provider are only reported.
func (r *Reconciler) drifted(ctx context.Context, p *pass, name string, drift v1alpha1.CredentialDrift) plan.Outcome {
	e := p.entry(name)
	if e == nil || e.Drift == drift && !p.obs.Provider.Repairs {
		return nil
	}
	if drift == "" {
		r.memory.Doubts.Unmark(nameOf(p.token))
	} else if few, err := r.few(ctx, p); err != nil {
		return failed(err)
	} else if !few {
		r.memory.Doubts.PutOff(nameOf(p.token), name, r.Clock.Monotonic())
		p.event(eventDrifted, "Confirm", "the provider shows credential %s otherwise than it was issued (%s), and so many others that it looks like a mistake "+
			"of the provider: nothing is changed. Check the account; if the credential is gone, raise spec.rotation.generation", plan.Called(e), drift)
		r.emit(p) // nothing is written that it could wait for
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
	p.event(eventRecovered, "Confirm", "the provider shows credential %s as it was issued again", plan.Called(e))
	return nil
}

// few reports whether the credentials in use at a provider that drift, with the one at
// hand, are so few that they do not look like a mistake, and notes that one. It is the
// last limit before a ledger changes, whatever asked the question. One that was replaced
// lately because it was missing counts too: Repair must not go through all of them.
func (r *Reconciler) few(ctx context.Context, p *pass) (bool, error) {
	tokens, err := account.Referencing(ctx, r.Client, p.key)
	if err != nil {
		return false, err
	}
	drifting, all := driftingOf(tokens, r.Clock.Now())
	return r.memory.Doubts.Mark(p.key, nameOf(p.token), drifting, all, r.Clock.Monotonic()), nil
}

// driftingOf returns the ApiTokens whose credential in use drifts, or replaced one that
// was missing less than a day ago, and how many have one.
func driftingOf(tokens []v1alpha1.ApiToken, now time.Time) (drifting map[types.NamespacedName]bool, all int) {
	drifting = map[types.NamespacedName]bool{}
	for i := range tokens {
		t := &tokens[i]
		e := ledger.Active(&t.Status, "")
		if e == nil || !t.DeletionTimestamp.IsZero() {
			continue
		}
		all++
		repaired := e.Reason == string(plan.IssueCredentialMissing) && e.IssuedAt != nil && now.Sub(e.IssuedAt.Time) < memory.DriftPeriod
		if e.Drift != "" || repaired {
			drifting[nameOf(t)] = true
		}
	}
	return drifting, all
}
