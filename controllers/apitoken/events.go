package apitoken

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"apitoken.dev/operator/api/v1alpha1"
)

// Reasons of the events, beside those of the conditions.
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

// warnings are the events of which the type is Warning.
var warnings = map[string]bool{eventAbandoned: true, eventContested: true, eventIgnored: true, eventFailed: true, eventDrifted: true}

// asOftenAsWritten are the events that a user can cause as often as they write. The
// recorder counts each of these as one series of the ApiToken.
var asOftenAsWritten = map[string]bool{eventIgnored: true, eventHanded: true}

// news is something a user is told. Its note holds names and public identifiers only.
type news struct {
	reason, action, note string
	args                 []any
	// credential that it is about; empty: the ApiToken as a whole.
	credential string
}

// event tells a user what happened, once the pass has written that it did: a
// pass that is beaten to the write is repeated, and would tell it again.
func (p *pass) event(reason, action, note string, args ...any) {
	p.events = append(p.events, news{reason: reason, action: action, note: note, args: args})
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
		r.Recorder.Eventf(aboutToken(p.token, e.reason), relatedTo(p.token, e.credential), kind, e.reason, e.action, "%s",
			v1alpha1.CutMessage(fmt.Sprintf(e.note, e.args...)))
	}
}

// namesInEvent is how many credentials an event lists.
const namesInEvent = 5

// tellUnknown tells at once which credentials the provider listed for an ApiToken that
// is being deleted, and no ledger entry did: the pass writes nothing about them.
func (r *Reconciler) tellUnknown(p *pass, names []string) {
	if len(names) == 0 {
		return
	}
	listed := strings.Join(names[:min(len(names), namesInEvent)], ", ")
	if more := len(names) - namesInEvent; more > 0 {
		listed += fmt.Sprintf(" and %d more", more)
	}
	p.event(eventRevoked, "Purge", "the provider listed credentials of this ApiToken that its status did not; they are revoked: %s", listed)
	r.tell(p)
}

// aboutToken refers to the ApiToken; without its version if a user can repeat the event.
// With the version, each change of the ApiToken would make another object of it.
func aboutToken(t *v1alpha1.ApiToken, reason string) runtime.Object {
	if !asOftenAsWritten[reason] {
		return t
	}
	return &corev1.ObjectReference{APIVersion: v1alpha1.GroupVersion.String(), Kind: "ApiToken", Namespace: t.Namespace, Name: t.Name, UID: t.UID}
}

// relatedTo refers to the credential that an event is about. The recorder counts events
// of one reason as one series, with the note of the first, unless they refer to different
// objects: without this, two credentials revoked within minutes would be one event.
func relatedTo(t *v1alpha1.ApiToken, credential string) runtime.Object {
	if credential == "" {
		return nil
	}
	return &corev1.ObjectReference{
		APIVersion: v1alpha1.GroupVersion.String(), Kind: "ApiToken", Namespace: t.Namespace, Name: t.Name, UID: t.UID,
		FieldPath: "status.credentials{" + credential + "}",
	}
}
