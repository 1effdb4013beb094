package apitoken

import (
	"context"
	"errors"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/apierror"
	"apitoken.dev/operator/internal/audit"
	"apitoken.dev/operator/internal/connections"
	"apitoken.dev/operator/internal/ledger"
	"apitoken.dev/operator/internal/metrics"
	"apitoken.dev/operator/internal/observe"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/provider"
)

// purge revokes the credential of every entry. Once all entries are settled, it revokes any
// other credential that the provider lists for this owner, and removes the finalizer last.
func (r *Reconciler) purge(ctx context.Context, p *reconciliation, settled bool) plan.Outcome {
	conn, out := r.connect(ctx, p)
	if out != nil {
		return out
	}
	if begun, out := beginPurge(p, conn); out != nil || begun {
		return out // the status write triggers the next reconcile
	}
	ended, marked, out := r.purgeLedger(ctx, p, conn)
	if out != nil || marked || !settled {
		return plan.Join(out, r.dropEnded(ctx, p, conn, ended))
	}
	if out := r.purgeListed(ctx, p, conn); out != nil {
		return out
	}
	if out := r.purgeUnlisted(ctx, p, conn); out != nil {
		return out
	}
	if err := r.deleteCopies(ctx, p); err != nil {
		return apierror.Failed(err)
	}
	for i := range p.token.Status.Credentials {
		p.revoked(&p.token.Status.Credentials[i])
	}
	return r.removeFinalizer(ctx, p)
}

// purgeLedger revokes the credential of every entry. It returns the names of those that are
// revoked and settled, and whether it marked an entry as gone.
func (r *Reconciler) purgeLedger(ctx context.Context, p *reconciliation, conn connections.Connection) (ended []string, marked bool, out plan.Outcome) {
	var outs []plan.Outcome
	for i := range p.token.Status.Credentials {
		e := &p.token.Status.Credentials[i]
		marks, out := r.endEntry(ctx, p, conn, e)
		outs = append(outs, out)
		if marked = marked || marks; out == nil && !marks && p.settled(e.Name) {
			ended = append(ended, e.Name)
		}
	}
	return ended, marked, plan.Join(outs...)
}

// beginPurge marks every credential as Retiring before the first call of the provider, and
// reports whether it changed an entry. A user can still change deletionPolicy to Retain
// while the deletion waits. The ledger must then show which revocations began, even if this
// process stopped.
func beginPurge(p *reconciliation, conn connections.Connection) (bool, plan.Outcome) {
	if out := p.inAccount(conn); out != nil {
		return false, out
	}
	var names []string
	for i := range p.token.Status.Credentials {
		e := &p.token.Status.Credentials[i]
		switch e.State {
		case v1alpha1.StateMinting, v1alpha1.StateActive, v1alpha1.StateAbandoned:
			names = append(names, e.Name)
		case v1alpha1.StateRetiring: // already recorded
		}
	}
	ledger.Retire(&p.token.Status, p.obs.Now, names...)
	return len(names) > 0, nil
}

// dropEnded drops the entries whose credentials are gone while the deletion waits for
// others, so that the ledger shows which revocations are left.
func (r *Reconciler) dropEnded(ctx context.Context, p *reconciliation, conn connections.Connection, names []string) plan.Outcome {
	var outs []plan.Outcome
	for _, name := range names {
		gone, out := r.seenEnded(ctx, p, conn, p.entry(name))
		if outs = append(outs, out); gone && out == nil {
			p.drop(name)
		}
	}
	return plan.Join(outs...)
}

// purgeListed revokes what the provider still lists for this owner. The purge continues
// only once the list is empty.
func (r *Reconciler) purgeListed(ctx context.Context, p *reconciliation, conn connections.Connection) plan.Outcome {
	var outs []plan.Outcome
	left := 0
	var unknown []string
	for c, err := range conn.Client.List(ctx, observe.Owner(p.token, r.Cluster)) {
		if err != nil {
			return r.providerFailed(p, "list", err)
		}
		left++
		if p.entry(c.Name) == nil {
			unknown = append(unknown, plan.Named(&v1alpha1.LedgerEntry{Name: c.Name, ID: c.ID}))
		}
		outs = append(outs, r.revokeOne(ctx, p, conn, provider.Ref{Name: c.Name, ID: c.ID}))
	}
	if out := plan.Join(outs...); out != nil {
		return out
	}
	if left > 0 {
		r.emitUnknown(p, unknown)
		return plan.Unfinished{Why: plan.StillThere}
	}
	return nil
}

// purgeUnlisted finds every entry by its name and id, if the provider lists only its newest
// credentials.
func (r *Reconciler) purgeUnlisted(ctx context.Context, p *reconciliation, conn connections.Connection) plan.Outcome {
	if p.facts.Capabilities.Listed == 0 {
		return nil
	}
	for i := range p.token.Status.Credentials {
		e := &p.token.Status.Credentials[i]
		if gone, out := r.seenGone(ctx, p, conn, e); out != nil {
			return out
		} else if !gone {
			return plan.Unfinished{Why: plan.StillThere}
		}
	}
	return nil
}

// seenGone reports whether Find shows no credential for an entry, or only ended ones.
func (r *Reconciler) seenGone(ctx context.Context, p *reconciliation, conn connections.Connection, e *v1alpha1.LedgerEntry) (bool, plan.Outcome) {
	found, err := conn.Client.Find(ctx, account.RefOf(e))
	if err != nil {
		return false, r.providerFailed(p, "find", err)
	}
	return len(provider.Occupying(found)) == 0, nil
}

// revoke revokes the credentials of entries, and drops each entry whose credential is then
// gone.
func (r *Reconciler) revoke(ctx context.Context, p *reconciliation, names []string) plan.Outcome {
	conn, out := r.connect(ctx, p)
	if out != nil {
		return out
	}
	var outs []plan.Outcome
	for _, name := range names {
		outs = append(outs, r.revokeEntry(ctx, p, conn, p.entry(name)))
	}
	return plan.Join(outs...)
}

// revokeEntry revokes the credential of an entry, and drops the entry if the credential is
// then gone. It stops early for a credential that a user must delete, and for an entry that
// was just marked as gone.
func (r *Reconciler) revokeEntry(ctx context.Context, p *reconciliation, conn connections.Connection, e *v1alpha1.LedgerEntry) plan.Outcome {
	if !conn.Account.Is(e.Account) {
		return plan.AccountChanged{}
	}
	marked, out := r.endEntry(ctx, p, conn, e)
	switch {
	case marked, plan.Is[plan.NeedsUser](out):
		return nil
	case out != nil:
		return out
	}
	gone, out := r.seenEnded(ctx, p, conn, e)
	switch {
	case out != nil:
		return out
	case !gone:
		return plan.Unfinished{Why: plan.StillThere}
	}
	p.drop(e.Name)
	return nil
}

// seenEnded is seenGone, and then deletes the stored copy, which was needed as proof until
// now.
func (r *Reconciler) seenEnded(ctx context.Context, p *reconciliation, conn connections.Connection, e *v1alpha1.LedgerEntry) (bool, plan.Outcome) {
	if gone, out := r.seenGone(ctx, p, conn, e); out != nil || !gone {
		return false, out
	}
	return true, apierror.Failed(r.strategyOf(e).deleteCopy(ctx, p, e))
}

// deleteCopies deletes the stored copies of all credentials of this ApiToken.
func (r *Reconciler) deleteCopies(ctx context.Context, p *reconciliation) error {
	var errs []error
	for i := range p.token.Status.Credentials {
		e := &p.token.Status.Credentials[i]
		errs = append(errs, r.strategyOf(e).deleteCopy(ctx, p, e))
	}
	return errors.Join(errs...)
}

// endEntry ends the credential of an entry, unless the entry is marked as gone. If it marks
// the entry as gone, the status must be written before the stored copy is deleted.
func (r *Reconciler) endEntry(ctx context.Context, p *reconciliation, conn connections.Connection, e *v1alpha1.LedgerEntry) (marked bool, out plan.Outcome) {
	if e.Gone {
		return false, nil
	}
	return r.strategyOf(e).end(ctx, p, conn, e)
}

// release removes the finalizer without revoking anything. It keeps the Secret and its
// credential, unless the credential was revoked before deletionPolicy became Retain.
func (r *Reconciler) release(ctx context.Context, p *reconciliation) plan.Outcome {
	seen, err := r.secrets.Read(ctx, p.target)
	if err != nil {
		return apierror.Failed(err)
	}
	p.see(seen)
	secret, out := r.releaseSecret(ctx, p)
	if out != nil {
		return out
	}
	if err := r.deleteCopies(ctx, p); err != nil {
		return apierror.Failed(err)
	}
	for i := range p.token.Status.Credentials {
		e := &p.token.Status.Credentials[i]
		p.found(audit.FoundRetained, e.Name, e.ID, p.subject.Why)
	}
	p.event(eventRetained, "Release", "%s", secret+plan.AlsoRetained(p.token.Status.Credentials, p.seen.View.Credential, p.obs.Now))
	left := len(p.token.Status.Credentials) > 0
	if out := r.removeFinalizer(ctx, p); out != nil {
		return out
	}
	if left {
		metrics.Retained(p.facts.DriverType)
	}
	return nil
}

// releaseSecret keeps the Secret, or deletes it if its credential was revoked. It returns
// the text of the event about it.
func (r *Reconciler) releaseSecret(ctx context.Context, p *reconciliation) (string, plan.Outcome) {
	name, v := p.token.SecretName(), p.seen.View
	e := p.entry(v.Credential)
	switch {
	case !v.Exists || v.Foreign:
		return plan.NoSecretToKeep, nil
	case e == nil && p.obs.WasReserved(v.Credential): // it was revoked, and its entry dropped
		failed := ""
		if err := r.secrets.Delete(ctx, p.target, p.seen); err != nil {
			failed = apierror.Reason(err)
		}
		return plan.SecretNotKept(name, failed), nil
	default:
		return plan.SecretKept(name, e, p.obs.Now), apierror.WriteFailed(r.secrets.Release(ctx, p.target, p.seen))
	}
}
