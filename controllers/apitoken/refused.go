package apitoken

import (
	"errors"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"

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

// clearPublishRefused forgets a refusal, because a write of the Secret or a dry run has
// passed since.
func clearPublishRefused(p *pass) {
	if plan.PublishRefused(&p.token.Status) {
		meta.RemoveStatusCondition(&p.token.Status.Conditions, v1alpha1.ConditionPublished)
	}
}
