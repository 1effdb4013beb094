package apitoken

import (
	"errors"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"apitoken.dev/operator/internal/plan"
)

// failed is the outcome of an action that an error ends. The text of an answer of the API
// server may hold anything, so only its reason is shown.
func failed(err error) plan.Outcome {
	var answer apierrors.APIStatus
	switch {
	case err == nil:
		return nil
	case errors.As(err, &answer):
		return plan.NotSent{Why: "the API server did not carry out a request: " + reasonOf(err), Err: err}
	default:
		return plan.Failed{Err: err}
	}
}

// writeFailed is the outcome of a write of an object that was read before.
func writeFailed(err error) plan.Outcome {
	if superseded(err) {
		return plan.Superseded{What: reasonOf(err)}
	}
	return failed(err)
}

// superseded reports whether another client changed the object first.
func superseded(err error) bool {
	return apierrors.IsConflict(err) || apierrors.IsNotFound(err) || apierrors.IsAlreadyExists(err)
}

// publishFailed is the outcome of a write of the Secret.
func publishFailed(err error) plan.Outcome {
	if err == nil || superseded(err) {
		return writeFailed(err)
	}
	why := "the Secret could not be written: " + reasonOf(err) + refusedField(err)
	if apierrors.IsForbidden(err) || apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) || apierrors.IsRequestEntityTooLargeError(err) {
		return plan.SecretRefused{Why: why, Err: err}
	}
	return plan.NotSent{Why: why, Err: err}
}

// reasonOf is the API server's reason for an error, without its text.
func reasonOf(err error) string {
	if reason := apierrors.ReasonForError(err); reason != "" {
		return string(reason)
	}
	return "no answer"
}

// reserveFailed says that nothing was minted: whoever reads the reservation, if
// there is one, gives it up.
func reserveFailed(err error) plan.Outcome {
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return writeFailed(err)
	}
	return plan.NotSent{Why: "the reservation could not be written: " + reasonOf(err), Err: err}
}

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
