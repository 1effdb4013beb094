package apitoken

import (
	"context"
	"fmt"

	"apitoken.dev/operator/internal/audit/why"
	"apitoken.dev/operator/internal/ledger"
	"apitoken.dev/operator/internal/plan"
)

// apply carries out one action. Changes to the ledger are made in p.token and
// written by report.
//
//nolint:gocyclo // one case an action, and the compiler's help to forget none
func (r *Reconciler) apply(ctx context.Context, p *pass, d plan.Decision) plan.Outcome {
	ctx = r.audited(ctx, p, d.Action)
	switch a := d.Action.(type) {
	case plan.AddFinalizer:
		return r.patchFinalizer(ctx, p, true)
	case plan.RemoveFinalizer:
		return r.removeFinalizer(ctx, p)
	case plan.Release:
		return r.release(ctx, p)
	case plan.Purge:
		return r.purge(ctx, p, a.Settled)
	case plan.Adopt:
		return r.adopt(p, a.Name, a.Terms)
	case plan.AdoptRestored:
		r.adoptRestored(p, a.Name, a.Terms)
	case plan.AdoptRetiring:
		r.adoptRetiring(p, a)
	case plan.Identify:
		return r.identify(ctx, p, a.Name)
	case plan.Confirm:
		return r.confirm(ctx, p, a.Name)
	case plan.Withdraw:
		return r.withdraw(p, a.Name)
	case plan.Abandon:
		return r.abandon(ctx, p, a)
	case plan.Issue:
		out := r.issue(ctx, p, a)
		rotationFailed(p.facts.DriverType, a.Reason, p.base, out)
		return out
	case plan.Update:
		return r.update(ctx, p)
	case plan.ConfirmEdit:
		return r.confirmEdit(ctx, p)
	case plan.Republish:
		return r.republish(ctx, p)
	case plan.GiveUp:
		giveUp(p, a)
	case plan.TryPublish:
		return r.tryPublish(ctx, p)
	case plan.EndOverlap:
		ledger.Retire(&p.token.Status, p.obs.Now, a.Name)
	case plan.BeginRevoke:
		ledger.Retire(&p.token.Status, p.obs.Now, a.Names...)
	case plan.Retire:
		if a.Expired {
			p.event(eventExpired, "Expire", "the time is up: credential %s is being revoked%s", a.Name, ofSecretAtEnd(p))
		}
		ledger.Retire(&p.token.Status, p.obs.Now, a.Name)
	case plan.Revoke:
		return r.revoke(ctx, p, a.Names)
	case plan.SyncSecret:
		return r.syncSecret(ctx, p, a)
	case plan.DeleteSecret:
		return r.deleteSecret(ctx, p)
	case plan.ReadSecret, plan.FindRestored, plan.CountSlots, plan.Wait:
	default:
		return plan.Failed{Err: fmt.Errorf("no way to carry out %T", d.Action)}
	}
	return nil
}

// adopt makes an attempt Active whose credential the Secret holds.
func (r *Reconciler) adopt(p *pass, name string, terms ledger.Terms) plan.Outcome {
	if p.entry(name) == nil {
		return plan.Failed{Err: fmt.Errorf("credential %s is not in the ledger", name)}
	}
	r.adoptEntry(p, name, terms, "credential %s of an interrupted attempt is in the Secret and in use")
	return nil
}

// adoptEntry makes an entry Active, and says so with the name of the credential.
func (r *Reconciler) adoptEntry(p *pass, name string, terms ledger.Terms, note string) {
	ledger.Adopt(&p.token.Status, name, terms)
	e := p.entry(name)
	p.happened(adopted, e, why.Issued(e.Reason), note, named(e))
	r.activate(p, name)
}

// adoptRestored makes the Secret's credential the first entry of a lost ledger.
func (r *Reconciler) adoptRestored(p *pass, name string, terms ledger.Terms) {
	fixed := ""
	if terms.Fingerprint == plan.Fingerprint(&p.token.Spec) {
		fixed = plan.Fixed(&p.token.Spec, p.facts.Capabilities.Updates)
	}
	ledger.Restore(&p.token.Status, name, string(plan.IssueRestored), fixed, p.obs.Provider.Form != nil, terms)
	r.adoptEntry(p, name, terms, "the status did not know credential %s in the Secret, which is live at the provider: it is in the ledger again, and stays in use")
}

// adoptRetiring takes a newer credential than the ledger knows into it, to be revoked.
func (r *Reconciler) adoptRetiring(p *pass, a plan.AdoptRetiring) {
	ledger.AdoptRetiring(&p.token.Status, a.Name, string(plan.IssueRestored), p.obs.Provider.Form != nil, a.RetireAt, a.Terms)
	if e := p.entry(a.Name); e != nil {
		p.happened(adopted, e, why.Issued(e.Reason),
			"credential %s in the Secret is newer than the status, which was restored: it is replaced and then revoked", named(e))
	}
}

// abandon gives an attempt up that was read, not just written.
func (r *Reconciler) abandon(ctx context.Context, p *pass, a plan.Abandon) plan.Outcome {
	if a.Fence {
		if err := r.secrets.Fence(ctx, p.target, p.seen, a.Name); err != nil {
			return publishFailed(err)
		}
		clearPublishRefused(p)
	}
	p.abandon(a.Name)
	return nil
}

// tryPublish asks the API server whether it would take the Secret now.
func (r *Reconciler) tryPublish(ctx context.Context, p *pass) plan.Outcome {
	if err := r.secrets.TryPublish(ctx, p.target, p.seen); err != nil {
		backOff(p)
		return publishFailed(err)
	}
	clearPublishRefused(p)
	return nil
}

// deleteSecret deletes the Secret at the end of access. Whatever comes of it, the
// credential is revoked next.
func (r *Reconciler) deleteSecret(ctx context.Context, p *pass) plan.Outcome {
	if err := r.secrets.Delete(ctx, p.target, p.seen); err != nil {
		return deleteFailed(p, err)
	}
	seen, err := r.secrets.Read(ctx, p.target)
	if err != nil {
		return failed(err)
	}
	p.published(seen)
	return nil
}

// deleteFailed says why a Secret is still there. A conflict is tried again at once.
func deleteFailed(p *pass, err error) plan.Outcome {
	if superseded(err) {
		return writeFailed(err)
	}
	return plan.NotSent{Err: err, Why: fmt.Sprintf(
		"Secret %q could not be deleted (%s). Its credential is revoked all the same. Allow the deletion, or delete the Secret yourself",
		p.token.SecretName(), reasonOf(err))}
}

// ofSecretAtEnd says what becomes of the Secret of a credential whose time is up.
func ofSecretAtEnd(p *pass) string {
	name := p.token.SecretName()
	switch s := &p.seen.View; {
	case !s.Exists:
		return fmt.Sprintf(", and Secret %q is deleted", name)
	case s.Foreign:
		return ""
	case s.Deleting:
		return fmt.Sprintf(", and Secret %q is being deleted: finalizers keep it (%s)", name, s.HeldBy)
	default:
		return fmt.Sprintf(", and Secret %q could not be deleted", name)
	}
}
