package apitoken

import (
	"errors"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/plan"
)

// refusedFields are the fields of a Secret that an API server can refuse, with what to
// do. The first that it names is told. A path it names can hold a key that a user chose,
// so nothing of it is repeated.
var refusedFields = []struct{ field, todo string }{
	{"immutable", "the Secret is immutable: delete it, and a new credential is issued in a new one"},
	{"type", "the Secret has another type than Opaque: delete it, and a new credential is issued in a new one"},
	{"metadata.labels", "correct spec.secret.labels of the ApiToken, or the labels that others put on the Secret"},
	{"metadata.annotations", "correct spec.secret.annotations of the ApiToken, or the annotations that others put on the Secret"},
	{"metadata.name", "correct spec.secret.name of the ApiToken"},
	{"metadata.ownerReferences", "correct the owner references that others put on the Secret"},
	{"metadata.finalizers", "correct the finalizers that others put on the Secret"},
	{"data", "a key cannot be one of a Secret, or all values are larger than 1 MiB: correct the provider's settings"},
}

// refusedField says which field of a Secret the API server refused, and what to do;
// "" when it names none that is known.
func refusedField(err error) string {
	var status apierrors.APIStatus
	if !errors.As(err, &status) || status.Status().Details == nil {
		return ""
	}
	for _, known := range refusedFields {
		for _, cause := range status.Status().Details.Causes {
			rest, ok := strings.CutPrefix(cause.Field, known.field)
			if ok && (rest == "" || rest[0] == '[' || rest[0] == '.') {
				return ": " + known.field + ": " + known.todo
			}
		}
	}
	return ""
}

// notRevoked begins the message of a revocation that could not be done.
const notRevoked = "a credential that should be gone could not be revoked: "

// revocationFailed fills in how a revocation that failed leaves the ApiToken. The event
// is emitted once, not with each attempt: the stored conditions say that it was.
func revocationFailed(p *pass, d, next plan.Decision, err error) plan.Decision {
	switch d.Action.(type) { //nolint:gochecksumtype // the others revoke nothing
	case plan.Revoke, plan.Purge:
	default:
		return next
	}
	var call *callError
	var stop *stopError
	if !errors.As(err, &call) && !errors.As(err, &stop) {
		return next // it waits for a person or for a turn, or looks again
	}
	next.Message = notRevoked + next.Message
	if next.Reason != v1alpha1.ReasonDeleting && next.Reason != v1alpha1.ReasonAccountBlocked {
		next.Reason = v1alpha1.ReasonRevocationFailed
	}
	if !told(p.base.Conditions) {
		p.event(eventFailed, "Revoke", "%s", v1alpha1.CutMessage(next.Message))
	}
	return next
}

// told reports whether conditions say that a revocation failed.
func told(conditions []metav1.Condition) bool {
	for i := range conditions {
		if strings.HasPrefix(conditions[i].Message, notRevoked) {
			return true
		}
	}
	return false
}

// stillNotRevoked keeps a failed revocation visible until the next attempt has ended.
func (c conditions) stillNotRevoked(next plan.Decision) plan.Decision {
	if _, due := next.Action.(plan.Revoke); !due {
		return next
	}
	for _, was := range c.p.token.Status.Conditions {
		if was.Reason == v1alpha1.ReasonRevocationFailed {
			next.State, next.Reason, next.Message = plan.Progressing, was.Reason, was.Message
		}
	}
	return next
}
