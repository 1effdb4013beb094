package apitoken

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/ledger"
	"apitoken.dev/operator/internal/memory"
	"apitoken.dev/operator/internal/plan"
)

// confirm asks the provider how it shows the credential in use, and writes what it
// shows into the ledger. An answer that leaves it open changes nothing, and the provider
// is asked again later.
func (r *Reconciler) confirm(ctx context.Context, p *pass, name string) plan.Outcome {
	e := p.entry(name)
	if e == nil {
		return nil
	}
	conn, out := r.connect(ctx, p)
	if plan.Is[plan.InLine](out) {
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
