package apitoken

import (
	corev1 "k8s.io/api/core/v1"
)

// Reasons of the events, beside those of the conditions.
const (
	eventIssued    = "Issued"
	eventAdopted   = "Adopted"
	eventAbandoned = "Abandoned"
	eventRevoked   = "Revoked"
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
)

// warnings are the events of which the type is Warning.
var warnings = map[string]bool{eventAbandoned: true, eventContested: true, eventFailed: true, eventDrifted: true}

// news is something a user is told. Its note holds names and public identifiers only.
type news struct {
	reason, action, note string
	args                 []any
}

// event tells a user what happened, once the pass has written that it did: a
// pass that is beaten to the write is repeated, and would tell it again.
func (p *pass) event(reason, action, note string, args ...any) {
	p.events = append(p.events, news{reason, action, note, args})
}

// tell passes the events of a pass on.
func (r *Reconciler) tell(p *pass) {
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
		r.Recorder.Eventf(p.token, nil, kind, e.reason, e.action, e.note, e.args...)
	}
}
