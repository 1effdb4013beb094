package apitoken

import (
	"context"
	"slices"
	"time"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/connections"
	"apitoken.dev/operator/internal/ledger"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/provider"
)

// The id of a credential that a person made is read from its key: no API shows it.

// storedKey returns the key of an entry: the stored copy, or what the Secret holds
// if it is as the operator wrote it. It reports false when there is neither.
func (r *Reconciler) storedKey(ctx context.Context, p *pass, e *v1alpha1.LedgerEntry) (map[string]provider.Value, provider.Grant, bool, error) {
	kept, ok, err := r.secrets.Kept(ctx, p.target, e.Name)
	if err != nil || ok {
		return kept.Values(), kept.Grant, ok, err
	}
	seen := p.seen
	if !seen.View.Live {
		if seen, err = r.secrets.Read(ctx, p.target); err != nil {
			return nil, provider.Grant{}, false, err
		}
	}
	v := seen.View
	ok = v.Exists && !v.Foreign && v.Intact && v.Credential == e.Name
	return seen.Values(), plan.GrantOf(&p.token.Spec), ok, nil
}

// keyID is the public id that a key carries in itself; empty when it has none.
func keyID(p *pass, values map[string]provider.Value) string {
	driver, ok := provider.As[provider.ByHand](p.facts.Driver)
	if !ok {
		return ""
	}
	return driver.KeyID(values)
}

// identifyByHand reads the id of a credential that a person made from the key
// itself, once the data plane has accepted that.
func (r *Reconciler) identifyByHand(ctx context.Context, p *pass, conn connections.Connection, e *v1alpha1.LedgerEntry) plan.Outcome {
	values, grant, ok, err := r.storedKey(ctx, p, e)
	prober, can := provider.As[provider.Prober](conn.Client)
	if err != nil || !ok || !can {
		return failed(err)
	}
	accepted, err := prober.Accepts(ctx, values, grant)
	operation(p.facts.DriverType, "probe", err)
	if err != nil {
		return r.providerFailed(p, "probe", err)
	}
	if accepted {
		ledger.Identify(&p.token.Status, e.Name, keyID(p, values), time.Time{})
		p.identified(e.Name)
	}
	return nil
}

// toDelete reports whether a person has to delete the credential of an entry. An
// attempt that was cut off has the key that was stored under its name, unless
// another entry has taken that over; without one it got nowhere.
func (r *Reconciler) toDelete(ctx context.Context, p *pass, e *v1alpha1.LedgerEntry) (bool, error) {
	if !e.ByHand || plan.InUse(e) {
		return e.ByHand, nil
	}
	kept, ok, err := r.secrets.Kept(ctx, p.target, e.Name)
	if err != nil || !ok {
		return false, err
	}
	id := keyID(p, kept.Values())
	elsewhere := slices.ContainsFunc(p.token.Status.Credentials, func(other v1alpha1.LedgerEntry) bool {
		return other.Name != e.Name && other.ID == id
	})
	if !elsewhere {
		ledger.Identify(&p.token.Status, e.Name, id, time.Time{})
	}
	return !elsewhere, nil
}
