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
	eventRetained  = "Retained"
	eventExpired   = "Expired"
)

// event tells a user what happened. Notes hold names and public identifiers only.
func (r *Reconciler) event(p *pass, reason, action, note string, args ...any) {
	if r.Recorder == nil {
		return
	}
	kind := corev1.EventTypeNormal
	if reason == eventAbandoned {
		kind = corev1.EventTypeWarning
	}
	r.Recorder.Eventf(p.token, nil, kind, reason, action, note, args...)
}
