package apitoken

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/audit"
	"apitoken.dev/operator/internal/audit/why"
	"apitoken.dev/operator/internal/plan"
)

// Reasons of the events, in addition to those of the conditions.
const (
	eventIssued    = "Issued"
	eventAdopted   = "Adopted"
	eventAbandoned = "Abandoned"
	eventRevoked   = "Revoked"
	eventRotated   = "Rotated"
	eventFailed    = "RevocationFailed"
	eventRetained  = "Retained"
	eventExpired   = "Expired"
	eventUpdated   = "Updated"
	eventGap       = "RotatedWithGap"
	eventDeleted   = "DeletedByHand"
	eventHanded    = "HandoverNotNeeded"
	eventDrifted   = "CredentialDrifted"
	eventRecovered = "CredentialRecovered"
	eventContested = "SecretContested"
	eventIgnored   = "EndIgnored"
)

// warnings are the events of type Warning.
var warnings = map[string]bool{eventAbandoned: true, eventContested: true, eventIgnored: true, eventFailed: true, eventDrifted: true}

// repeatable are the events that a user can cause with every write of an object. The
// recorder counts each of them as one series per ApiToken.
var repeatable = map[string]bool{eventIgnored: true, eventHanded: true}

// event records an event to emit once the status write succeeds. After a conflict the
// reconcile is retried, which would emit it twice.
func (p *reconciliation) event(reason, action, note string, args ...any) {
	p.events = append(p.events, pendingEvent{reason: reason, action: action, note: note, args: args})
}

// audited returns a context that attributes every provider call of an action to this
// ApiToken. It sets the same subject for what the reconcile finds.
func (r *Reconciler) audited(ctx context.Context, p *reconciliation, a plan.Action) context.Context {
	p.audit = r.Audit
	p.subject = audit.Subject{
		Namespace: p.token.Namespace, Name: p.token.Name, UID: string(p.token.UID), Generation: p.token.Generation,
		Why: why.Acted(a),
	}
	return audit.With(ctx, p.subject)
}

// occurrence is something that can happen to a credential: the reason and action of its
// event, and its name in the audit trail.
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

// happened reports an occurrence. It writes a line of the audit trail at once, and an event
// once the status write succeeds. After a crash in between, the line is written twice, but
// never lost.
func (p *reconciliation) happened(what occurrence, e *v1alpha1.LedgerEntry, cause audit.Why, note string, args ...any) {
	p.found(what.found, e.Name, e.ID, cause)
	p.events = append(p.events, pendingEvent{reason: what.reason, action: what.action, note: note, args: args, credential: e.Name})
}

// found writes a finding about a credential to the audit trail.
func (p *reconciliation) found(what audit.Found, name, id string, cause audit.Why) {
	subject := p.subject
	subject.Why = cause
	p.audit.Found(subject, audit.Finding{What: what, Provider: p.key.Audited(p.facts.DriverType), Credential: name, KeyID: id})
}

// revoked reports that the credential of an entry is gone.
func (p *reconciliation) revoked(e *v1alpha1.LedgerEntry) {
	p.happened(revoked, e, p.whyEnded(e), "%s", plan.Revoked(e))
}

// whyEnded returns why the credential of an entry is revoked, for the audit trail.
func (p *reconciliation) whyEnded(e *v1alpha1.LedgerEntry) audit.Why {
	return why.Ended(p.token, e, p.inUse(), p.obs.Now)
}

// rotated reports that a credential replaced others, which stay valid for their overlap.
func (p *reconciliation) rotated(old []string, name string) {
	now := p.entry(name)
	for _, name := range old {
		e := p.entry(name)
		if now == nil || e == nil || e.RetireAt == nil {
			continue
		}
		cause := why.Issued(now.Reason)
		p.happened(replaced, e, cause, "credential %s was replaced by %s (%s) and will be revoked at %s",
			plan.Named(e), plan.Named(now), cause.Reason, e.RetireAt.UTC().Format(time.RFC3339))
	}
}

// identified reports the id of a credential that was adopted without one.
func (p *reconciliation) identified(name string) {
	if e := p.entry(name); e != nil && e.ID != "" {
		p.happened(identified, e, why.Issued(e.Reason), "adopted credential %s has the id %s at the provider", e.Name, e.ID)
	}
}

// emit emits the recorded events of a reconcile.
func (r *Reconciler) emit(p *reconciliation) {
	events := p.events
	p.events = nil
	if r.Recorder == nil {
		return
	}
	for _, e := range events {
		kind := corev1.EventTypeNormal
		if warnings[e.reason] {
			kind = corev1.EventTypeWarning
		}
		r.Recorder.Eventf(aboutToken(p.token, e.reason), relatedTo(p.token, e.credential), kind, e.reason, e.action, "%s",
			v1alpha1.CutMessage(fmt.Sprintf(e.note, e.args...)))
	}
}

// emitUnknown emits an event about credentials that the provider listed for an ApiToken
// that is being deleted, and that its ledger does not have. It is emitted at once, because
// no status write mentions them.
func (r *Reconciler) emitUnknown(p *reconciliation, names []string) {
	if len(names) == 0 {
		return
	}
	p.event(eventRevoked, "Purge", "revoked credentials that the provider listed for this ApiToken but its status did not: %s", plan.Listed(names))
	r.emit(p)
}

// emitEndIgnored emits an event when the annotation apitoken.dev/end has no effect. It is
// emitted at once, because no status write may follow.
func (r *Reconciler) emitEndIgnored(p *reconciliation) {
	refusal := p.obs.EndIgnored()
	if !r.memory.Ends.IsNew(nameOf(p.token), refusal) {
		return
	}
	was := p.events
	p.events = nil
	p.event(eventIgnored, "End", "%s", refusal)
	if e := p.entry(p.obs.Token.End); e != nil {
		p.events[0].credential = e.Name
	}
	r.emit(p)
	p.events = was
}

// aboutToken returns the object of an event: the ApiToken, without its resourceVersion if
// the event is repeatable. With the resourceVersion, the recorder would start a new series
// for each change of the ApiToken.
func aboutToken(t *v1alpha1.ApiToken, reason string) runtime.Object {
	if !repeatable[reason] {
		return t
	}
	return &corev1.ObjectReference{APIVersion: v1alpha1.GroupVersion.String(), Kind: "ApiToken", Namespace: t.Namespace, Name: t.Name, UID: t.UID}
}

// relatedTo returns a reference to the credential that an event is about. The recorder
// merges events of one reason into one series with the note of the first, unless they refer
// to different objects: two credentials revoked within minutes would be one event.
func relatedTo(t *v1alpha1.ApiToken, credential string) runtime.Object {
	if credential == "" {
		return nil
	}
	return &corev1.ObjectReference{
		APIVersion: v1alpha1.GroupVersion.String(), Kind: "ApiToken", Namespace: t.Namespace, Name: t.Name, UID: t.UID,
		FieldPath: "status.credentials{" + credential + "}",
	}
}
