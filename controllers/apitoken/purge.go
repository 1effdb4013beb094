package apitoken

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/audit"
	"apitoken.dev/operator/internal/connections"
	"apitoken.dev/operator/internal/ledger"
	"apitoken.dev/operator/internal/metrics"
	"apitoken.dev/operator/internal/observe"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/provider"
)

// purge revokes every name of the ledger. When all are settled, the provider is
// asked for anything else of this owner, and only then the finalizer goes.
func (r *Reconciler) purge(ctx context.Context, p *pass, settled bool) plan.Outcome {
	conn, out := r.connect(ctx, p)
	if out != nil {
		return out
	}
	if begun, out := beginPurge(p, conn); out != nil || begun {
		return out // the write brings the next reconcile
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
	if err := r.dropKept(ctx, p); err != nil {
		return failed(err)
	}
	for i := range p.token.Status.Credentials {
		p.revoked(&p.token.Status.Credentials[i])
	}
	return r.removeFinalizer(ctx, p)
}

// purgeLedger revokes every name of the ledger. It returns those that have settled and
// are revoked, and whether an entry was marked as gone.
func (r *Reconciler) purgeLedger(ctx context.Context, p *pass, conn connections.Connection) (ended []string, marked bool, out plan.Outcome) {
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

// beginPurge records that the revocation of every credential begins, before the
// first call, and reports whether it had to. deletionPolicy may become Retain while
// the deletion waits, and what is said of a credential then must be true whenever
// this process stops.
func beginPurge(p *pass, conn connections.Connection) (bool, plan.Outcome) {
	var names []string
	for i := range p.token.Status.Credentials {
		e := &p.token.Status.Credentials[i]
		if !conn.Account.Is(e.Account) {
			return false, plan.AccountChanged{}
		}
		switch e.State {
		case v1alpha1.StateMinting, v1alpha1.StateActive, v1alpha1.StateAbandoned:
			names = append(names, e.Name)
		case v1alpha1.StateRetiring: // it was recorded before
		}
	}
	ledger.Retire(&p.token.Status, p.obs.Now, names...)
	return len(names) > 0, nil
}

// dropEnded drops the credentials that are seen to be gone while the deletion waits
// for others, so that the ledger says what was ended.
func (r *Reconciler) dropEnded(ctx context.Context, p *pass, conn connections.Connection, names []string) plan.Outcome {
	var outs []plan.Outcome
	for _, name := range names {
		gone, out := r.seenEnded(ctx, p, conn, p.entry(name))
		if outs = append(outs, out); gone && out == nil {
			p.drop(name)
		}
	}
	return plan.Join(outs...)
}

// purgeListed revokes what the provider still lists of this owner, which has to be
// seen gone before anything else.
func (r *Reconciler) purgeListed(ctx context.Context, p *pass, conn connections.Connection) plan.Outcome {
	var outs []plan.Outcome
	left := 0
	var unknown []string
	for c, err := range conn.Client.List(ctx, observe.Owner(p.token, r.Cluster)) {
		if err != nil {
			return r.providerFailed(p, "list", err)
		}
		left++
		if p.entry(c.Name) == nil {
			unknown = append(unknown, named(&v1alpha1.LedgerEntry{Name: c.Name, ID: c.ID}))
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

// purgeUnlisted looks for every entry by its name and ID, where the provider's list
// shows its newest credentials only.
func (r *Reconciler) purgeUnlisted(ctx context.Context, p *pass, conn connections.Connection) plan.Outcome {
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

// seenGone reports whether the provider shows nothing under the name of an entry, or
// only what has ended.
func (r *Reconciler) seenGone(ctx context.Context, p *pass, conn connections.Connection, e *v1alpha1.LedgerEntry) (bool, plan.Outcome) {
	found, err := conn.Client.Find(ctx, refOf(e))
	if err != nil {
		return false, r.providerFailed(p, "find", err)
	}
	return len(provider.Occupying(found)) == 0, nil
}

// revoke ends credentials, and drops each that is then seen to be gone.
func (r *Reconciler) revoke(ctx context.Context, p *pass, names []string) plan.Outcome {
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

// revokeEntry ends the credential of an entry, and drops the entry if the credential is
// then seen to be gone. It does nothing more for an entry that a user has to delete, or
// that is marked as gone.
func (r *Reconciler) revokeEntry(ctx context.Context, p *pass, conn connections.Connection, e *v1alpha1.LedgerEntry) plan.Outcome {
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

// seenEnded is seenGone, and then drops what was kept of the credential, which proved that.
func (r *Reconciler) seenEnded(ctx context.Context, p *pass, conn connections.Connection, e *v1alpha1.LedgerEntry) (bool, plan.Outcome) {
	if gone, out := r.seenGone(ctx, p, conn, e); out != nil || !gone {
		return false, out
	}
	return true, failed(r.strategyOf(e).drop(ctx, p, e))
}

// dropKept drops what was kept of every credential of this ApiToken.
func (r *Reconciler) dropKept(ctx context.Context, p *pass) error {
	var errs []error
	for i := range p.token.Status.Credentials {
		e := &p.token.Status.Credentials[i]
		errs = append(errs, r.strategyOf(e).drop(ctx, p, e))
	}
	return errors.Join(errs...)
}

// endEntry ends the credential of a ledger entry, unless the entry says that it is gone.
// An entry that this marks as gone must be written before anything is dropped.
func (r *Reconciler) endEntry(ctx context.Context, p *pass, conn connections.Connection, e *v1alpha1.LedgerEntry) (marked bool, out plan.Outcome) {
	if e.Gone {
		return false, nil
	}
	return r.strategyOf(e).end(ctx, p, conn, e)
}

// release lets the ApiToken go. It keeps the Secret and its credential, unless the
// credential was revoked before deletionPolicy became Retain.
func (r *Reconciler) release(ctx context.Context, p *pass) plan.Outcome {
	seen, err := r.secrets.Read(ctx, p.target)
	if err != nil {
		return failed(err)
	}
	p.see(seen)
	secret, out := r.releaseSecret(ctx, p)
	if out != nil {
		return out
	}
	if err := r.dropKept(ctx, p); err != nil {
		return failed(err)
	}
	for i := range p.token.Status.Credentials {
		e := &p.token.Status.Credentials[i]
		p.found(audit.FoundRetained, e.Name, e.ID, p.subject.Why)
	}
	p.event(eventRetained, "Release", "%s", secret+alsoRetained(p))
	left := len(p.token.Status.Credentials) > 0
	if out := r.removeFinalizer(ctx, p); out != nil {
		return out
	}
	if left {
		metrics.Retained(p.facts.DriverType)
	}
	return nil
}

// releaseSecret keeps the Secret, or deletes it if what it holds was revoked. It
// returns what an event says of it.
func (r *Reconciler) releaseSecret(ctx context.Context, p *pass) (string, plan.Outcome) {
	name, v := p.token.SecretName(), p.seen.View
	switch e := p.entry(v.Credential); {
	case !v.Exists || v.Foreign:
		return "deletionPolicy is Retain, and there is no Secret to keep", nil
	case e == nil && r.wasRevoked(p):
		if err := r.secrets.Delete(ctx, p.target, p.seen); err != nil {
			return fmt.Sprintf("deletionPolicy is Retain, but the credential of Secret %q was revoked before, and the Secret could not be deleted (%s)",
				name, reasonOf(err)), nil
		}
		return fmt.Sprintf("deletionPolicy is Retain, but the credential of Secret %q was revoked before: the Secret is deleted", name), nil
	case e != nil && revoking(p, e):
		return fmt.Sprintf("Secret %q is kept: deletionPolicy is Retain. The operator had begun to revoke its credential %s, which may no longer give access",
			name, plan.Called(e)), writeFailed(r.secrets.Release(ctx, p.target, p.seen))
	default:
		its := "its credential"
		if e != nil {
			its += " " + named(e)
		}
		return fmt.Sprintf("Secret %q and %s are kept: deletionPolicy is Retain, and nothing revokes them now", name, its),
			writeFailed(r.secrets.Release(ctx, p.target, p.seen))
	}
}

// wasRevoked reports whether the ledger had the credential that the Secret names and
// dropped it: it was revoked and seen gone.
func (r *Reconciler) wasRevoked(p *pass) bool {
	v := &p.seen.View
	return v.Credential != "" && v.Facts.Revision <= p.token.Status.Revision && observe.Owns(r.Cluster, p.token)(v.Credential)
}

// revoking reports whether the revocation of a credential may have begun.
func revoking(p *pass, e *v1alpha1.LedgerEntry) bool {
	return e.State == v1alpha1.StateRetiring && (e.RetireAt == nil || !p.obs.Now.Before(e.RetireAt.Time))
}

// alsoRetained names the credentials that may stay live although the Secret does not
// hold them: previous ones in their overlap, and attempts with an unknown outcome.
func alsoRetained(p *pass) string {
	var live, doubtful []string
	for i := range p.token.Status.Credentials {
		switch e := &p.token.Status.Credentials[i]; {
		case e.Name == p.seen.View.Credential:
		case revoking(p, e):
			doubtful = append(doubtful, plan.Called(e))
		default:
			live = append(live, plan.Called(e))
		}
	}
	var said string
	if len(live) > 0 {
		said += ". What the Secret does not hold stays live too, and you revoke it at the provider: " + strings.Join(live, ", ")
	}
	if len(doubtful) > 0 {
		said += ". Check at the provider whether these are revoked, which the operator had begun: " + strings.Join(doubtful, ", ")
	}
	return said
}
