package apitoken

import (
	"slices"
	"time"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/plan"
)

// Every change of a ledger entry's state is made here, in the copy of the status
// that a pass writes.

// entry returns the ledger entry of a name, or nil.
func (p *pass) entry(name string) *v1alpha1.LedgerEntry {
	for i := range p.token.Status.Credentials {
		if p.token.Status.Credentials[i].Name == name {
			return &p.token.Status.Credentials[i]
		}
	}
	return nil
}

// reserve appends a new entry.
func (p *pass) reserve(entry v1alpha1.LedgerEntry) {
	entry.State = v1alpha1.StateMinting
	p.token.Status.Credentials = append(p.token.Status.Credentials, entry)
}

// drop removes an entry: nothing exists under its name, or ever will.
func (p *pass) drop(name string) {
	p.token.Status.Credentials = slices.DeleteFunc(p.token.Status.Credentials, func(e v1alpha1.LedgerEntry) bool { return e.Name == name })
}

// abandon gives an attempt up whose outcome is not known.
func (p *pass) abandon(name string) {
	if e := p.entry(name); e != nil {
		e.State = v1alpha1.StateAbandoned
	}
}

// take writes the terms of an adopted credential into its entry.
func take(e *v1alpha1.LedgerEntry, t plan.Terms) {
	e.ID, e.Account, e.Fingerprint, e.RotationGeneration = t.ID, t.Account, t.Fingerprint, t.RotationGeneration
	e.IssuedAt, e.ExpiresAt, e.LifetimeSeconds = timeOf(t.IssuedAt), timeOf(t.ExpiresAt), int64(t.Lifetime/time.Second)
}

// retire moves entries to Retiring, due now. After this they are never adopted.
func (r *Reconciler) retire(p *pass, names ...string) error {
	for _, name := range names {
		if e := p.entry(name); e != nil {
			e.State, e.RetireAt = v1alpha1.StateRetiring, stamp(&p.obs)
		}
	}
	return nil
}

// activate makes an entry the Active one; any other Active one starts its overlap.
func (r *Reconciler) activate(p *pass, e *v1alpha1.LedgerEntry) {
	status := &p.token.Status
	for i := range status.Credentials {
		old := &status.Credentials[i]
		if old.State != v1alpha1.StateActive || old.Name == e.Name {
			continue
		}
		lifetime := plan.Lifetime(&p.token.Spec)
		if old.ExpiresAt != nil && old.IssuedAt != nil {
			lifetime = old.ExpiresAt.Sub(old.IssuedAt.Time)
		}
		due := p.obs.Now.Add(plan.Overlap(&p.token.Spec, lifetime) + time.Second).Truncate(time.Second)
		if old.ExpiresAt != nil && due.After(old.ExpiresAt.Time) {
			due = old.ExpiresAt.Time
		}
		old.State, old.RetireAt = v1alpha1.StateRetiring, timeOf(due)
	}
	e.State, e.RetireAt = v1alpha1.StateActive, nil
	status.Retry = nil
	r.endGap(p)
	clearPublishRefused(p)
	status.Secret.ResourceVersion = p.seen.Version
}

func peerOf(t *v1alpha1.ApiToken) plan.Peer { return plan.Peer{Namespace: t.Namespace, Name: t.Name} }
