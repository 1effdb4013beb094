// Package apierror turns errors of requests to the API server into outcomes of actions.
// The text of such an error can contain any part of the object, so it is never repeated:
// an outcome has only the reason, and the name of a rejected field.
package apierror

import (
	"errors"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"apitoken.dev/operator/internal/plan"
)

// Failed is the outcome of an action that ended with an error of any kind, or nil. Only the
// text of an error that is not the API server's is shown to users.
func Failed(err error) plan.Outcome {
	var answer apierrors.APIStatus
	switch {
	case err == nil:
		return nil
	case errors.As(err, &answer):
		return plan.NotSent{Why: "a request to the API server failed: " + Reason(err), Err: err}
	default:
		return plan.Failed{Err: err}
	}
}

// WriteFailed is the outcome of a write of an object that was read before.
func WriteFailed(err error) plan.Outcome {
	if Superseded(err) {
		return plan.Superseded{What: Reason(err)}
	}
	return Failed(err)
}

// Superseded reports whether another client changed the object first.
func Superseded(err error) bool {
	return apierrors.IsConflict(err) || apierrors.IsNotFound(err) || apierrors.IsAlreadyExists(err)
}

// PublishFailed is the outcome of a write of the Secret.
func PublishFailed(err error) plan.Outcome {
	if err == nil || Superseded(err) {
		return WriteFailed(err)
	}
	why := "the Secret could not be written: " + Reason(err) + refusedField(err)
	if apierrors.IsForbidden(err) || apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) || apierrors.IsRequestEntityTooLargeError(err) {
		return plan.SecretRefused{Why: why, Err: err}
	}
	return plan.NotSent{Why: why, Err: err}
}

// DeleteFailed is the outcome of a failed deletion of the Secret when access ends. A conflict
// is retried at once.
func DeleteFailed(secret string, err error) plan.Outcome {
	if Superseded(err) {
		return WriteFailed(err)
	}
	return plan.NotSent{Err: err, Why: fmt.Sprintf(
		"Secret %q could not be deleted (%s). Its credential is revoked anyway. Allow the deletion, or delete the Secret yourself",
		secret, Reason(err))}
}

// Reason is the API server's reason for an error, without its text.
func Reason(err error) string {
	if reason := apierrors.ReasonForError(err); reason != "" {
		return string(reason)
	}
	return "no answer"
}

// ReserveFailed is the outcome of a failed reservation. Nothing was minted. If the write
// happened after all, the process that reads the reservation abandons it.
func ReserveFailed(err error) plan.Outcome {
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return WriteFailed(err)
	}
	return plan.NotSent{Why: "the reservation could not be written: " + Reason(err), Err: err}
}

// refusedFields are the fields of a Secret that an API server can reject, and how to
// correct them. The first one that the error names is reported. The path in the error can
// contain a key that a user chose, so it is never repeated.
var refusedFields = []struct{ field, todo string }{
	{"immutable", "the Secret is immutable: delete it, and the operator issues a new credential in a new Secret"},
	{"type", "the type of the Secret is not Opaque: delete the Secret, and the operator issues a new credential in a new one"},
	{"metadata.labels", "correct spec.secret.labels of the ApiToken, or the labels that other clients set on the Secret"},
	{"metadata.annotations", "correct spec.secret.annotations of the ApiToken, or the annotations that other clients set on the Secret"},
	{"metadata.name", "correct spec.secret.name of the ApiToken"},
	{"metadata.ownerReferences", "correct the owner references that other clients set on the Secret"},
	{"metadata.finalizers", "correct the finalizers that other clients set on the Secret"},
	{"data", "a key is not valid in a Secret, or the values exceed 1 MiB in total: correct the provider's settings"},
}

// refusedField returns which field of a Secret the API server rejected and how to correct
// it, or "" if the error names none of refusedFields.
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
