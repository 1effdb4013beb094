package apitoken

import (
	"context"
	"time"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/audit"
	"apitoken.dev/operator/internal/ledger"
	"apitoken.dev/operator/internal/plan"
)

// audited returns a context in which every call of an action is about this ApiToken, and
// notes the same for what the pass finds.
func (r *Reconciler) audited(ctx context.Context, p *pass, a plan.Action) context.Context {
	p.audit = r.Audit
	p.subject = audit.Subject{
		Namespace: p.token.Namespace, Name: p.token.Name, UID: string(p.token.UID), Generation: p.token.Generation,
		Why: whyOf(a),
	}
	return audit.With(ctx, p.subject)
}

// whyOf is why an action is done, as far as the action tells.
func whyOf(a plan.Action) audit.Why {
	switch a := a.(type) { //nolint:gochecksumtype // the others call nothing that changes a provider, or tell why for each entry
	case plan.Issue:
		return whyIssued(string(a.Reason))
	case plan.Update, plan.ConfirmEdit:
		return whyIssued(string(plan.IssueSpecChanged))
	case plan.EndOverlap:
		return audit.Why{Reason: audit.ReasonEndRequested, AskedBy: audit.AskedByEnd}
	case plan.Abandon:
		return audit.Why{Reason: audit.ReasonAttemptAbandoned, AskedBy: audit.AskedByRecovery}
	case plan.Purge, plan.Release, plan.RemoveFinalizer:
		return audit.Why{Reason: audit.ReasonDeleted, AskedBy: audit.AskedByDeletion}
	default:
		return audit.Why{}
	}
}

// askers are what asks for a credential, by the reason for which it is issued.
var askers = map[plan.IssueReason]audit.Asker{
	plan.IssueInitial: audit.AskedBySpec, plan.IssueSpecChanged: audit.AskedBySpec,
	plan.IssueScheduled: audit.AskedBySchedule, plan.IssueRotationRequested: audit.AskedByGeneration,
	plan.IssueSecretLost: audit.AskedBySecret, plan.IssueSecretChanged: audit.AskedBySecret,
	plan.IssueHandedOver: audit.AskedByHandover, plan.IssueCredentialMissing: audit.AskedByDrift,
	plan.IssueRestored: audit.AskedByRecovery,
}

// whyIssued is why a credential is issued. A status can hold a reason that this version
// does not know, so only known ones are written.
func whyIssued(reason string) audit.Why {
	asker, known := askers[plan.IssueReason(reason)]
	if !known {
		return audit.Why{}
	}
	return audit.Why{Reason: audit.Reason(reason), AskedBy: asker}
}

// whyEnded is why the credential of an entry is revoked.
func (p *pass) whyEnded(e *v1alpha1.LedgerEntry) audit.Why {
	active := p.inUse()
	switch {
	case p.obs.Token.Deleting:
		return audit.Why{Reason: audit.ReasonDeleted, AskedBy: audit.AskedByDeletion}
	case e.IssuedAt == nil:
		return audit.Why{Reason: audit.ReasonAttemptAbandoned, AskedBy: audit.AskedByRecovery}
	case p.token.Annotations[v1alpha1.AnnotationEnd] == e.Name:
		return audit.Why{Reason: audit.ReasonEndRequested, AskedBy: audit.AskedByEnd}
	case active == nil && p.token.Status.GapSince != nil:
		return audit.Why{Reason: audit.ReasonRoomNeeded, AskedBy: audit.AskedByStrategy}
	case p.ended():
		return audit.Why{Reason: audit.ReasonAccessEnded, AskedBy: audit.AskedByExpiresAt}
	case active == nil:
		return audit.Why{Reason: audit.ReasonAccessEnded, AskedBy: audit.AskedBySchedule}
	default:
		return audit.Why{Reason: audit.ReasonReplaced, AskedBy: whyIssued(p.successor(e, active).Reason).AskedBy}
	}
}

// successor is the entry of the credential that replaced the one of an entry, or the next
// one that is still in the ledger. Entries are in the order in which they were reserved.
func (p *pass) successor(e, active *v1alpha1.LedgerEntry) *v1alpha1.LedgerEntry {
	entries, after := p.token.Status.Credentials, false
	for i := range entries {
		if after && entries[i].IssuedAt != nil && entries[i].State != v1alpha1.StateAbandoned {
			return &entries[i]
		}
		after = after || entries[i].Name == e.Name
	}
	return active
}

// occurrence is something that can happen to a credential: its event, and what the audit
// trail calls it.
type occurrence struct {
	reason, action string
	found          audit.Found
}

var (
	issued     = occurrence{eventIssued, "Issue", audit.FoundIssued}
	adopted    = occurrence{eventAdopted, "Adopt", audit.FoundAdopted}
	identified = occurrence{eventAdopted, "Identify", audit.FoundAdopted}
	replaced   = occurrence{eventRotated, "Rotate", audit.FoundRotated}
	updated    = occurrence{eventUpdated, "Update", audit.FoundUpdated}
	abandoned  = occurrence{eventAbandoned, "Abandon", audit.FoundAbandoned}
	revoked    = occurrence{eventRevoked, "Revoke", audit.FoundRevoked}
)

// happened reports what happened to a credential: with a line of the audit trail at once,
// and with an event when the pass has written it. The line comes first, so that a crash
// repeats it and does not lose it.
func (p *pass) happened(what occurrence, e *v1alpha1.LedgerEntry, why audit.Why, note string, args ...any) {
	p.found(what.found, e.Name, e.ID, why)
	p.events = append(p.events, news{reason: what.reason, action: what.action, note: note, args: args, credential: e.Name})
}

// found writes what is known of a credential into the audit trail.
func (p *pass) found(what audit.Found, name, id string, why audit.Why) {
	subject := p.subject
	subject.Why = why
	p.audit.Found(subject, audit.Finding{What: what, Provider: p.key.Audited(p.facts.DriverType), Credential: name, KeyID: id})
}

// abandon gives an attempt up: what the provider may hold of it is revoked later.
func (p *pass) abandon(name string) {
	e := p.entry(name)
	if e == nil {
		return
	}
	ledger.Abandon(&p.token.Status, name)
	p.happened(abandoned, e, audit.Why{Reason: audit.ReasonAttemptAbandoned, AskedBy: audit.AskedByRecovery},
		"attempt %s was given up; what it made, if anything, is revoked once it can no longer take effect", named(e))
}

// drop removes an entry whose credential is seen to be gone.
func (p *pass) drop(name string) {
	if e := p.entry(name); e != nil {
		p.revoked(e)
		ledger.Drop(&p.token.Status, name)
	}
}

// revoked reports that the credential of an entry is gone.
func (p *pass) revoked(e *v1alpha1.LedgerEntry) {
	note := "credential %s is revoked, and the provider shows it no longer, or as ended"
	switch {
	case e.ByHand && e.Gone:
		note = "credential %s is no longer tracked: the provider refuses it, or a person says that it is deleted"
	case e.ByHand:
		note = "attempt %s is no longer tracked: it has no key of its own"
	}
	p.happened(revoked, e, p.whyEnded(e), note, named(e))
}

// rotated reports that a credential replaced others, which live on for their overlap.
func (p *pass) rotated(old []string, name string) {
	now := p.entry(name)
	for _, name := range old {
		e := p.entry(name)
		if now == nil || e == nil || e.RetireAt == nil {
			continue
		}
		why := whyIssued(now.Reason)
		p.happened(replaced, e, why, "credential %s was replaced by %s (%s): it is revoked at %s",
			named(e), named(now), why.Reason, e.RetireAt.UTC().Format(time.RFC3339))
	}
}

// identified reports the id of a credential that was adopted without one.
func (p *pass) identified(name string) {
	if e := p.entry(name); e != nil && e.ID != "" {
		p.happened(identified, e, whyIssued(e.Reason), "credential %s, which was adopted, has the id %s at the provider", e.Name, e.ID)
	}
}

// named is a credential by its name and its public id.
func named(e *v1alpha1.LedgerEntry) string {
	if e.ID == "" {
		return e.Name
	}
	return e.Name + " (" + e.ID + ")"
}
