package apitoken

import (
	"errors"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
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

// revocationFailed fills in how a revocation that failed leaves the ApiToken.
func revocationFailed(d, next plan.Decision, err error) plan.Decision {
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
	next.Message = plan.NotRevoked + next.Message
	if next.Reason != v1alpha1.ReasonDeleting && next.Reason != v1alpha1.ReasonAccountBlocked {
		next.Reason = v1alpha1.ReasonRevocationFailed
	}
	return next
}

// tellNotRevoked emits the event of a revocation that cannot be done: once, not with each
// attempt, as the stored conditions say that it was.
func (c conditions) tellNotRevoked(next plan.Decision) {
	failed := strings.HasPrefix(next.Message, plan.NotRevoked) && !told(c.p.base.Conditions)
	held := plan.HoldsRevocation(&c.p.obs, next) && !shows(c.p.base.Conditions, next.Reason)
	if failed || held {
		message := plan.NotRevoked + strings.TrimPrefix(next.Message, plan.NotRevoked)
		c.p.event(eventFailed, "Revoke", "%s", v1alpha1.CutMessage(message))
	}
}

// shows reports whether conditions say Stalled for a reason.
func shows(conditions []metav1.Condition, reason string) bool {
	stalled := meta.FindStatusCondition(conditions, v1alpha1.ConditionStalled)
	return stalled != nil && stalled.Reason == reason
}

// told reports whether conditions say that a revocation failed.
func told(conditions []metav1.Condition) bool {
	for i := range conditions {
		if strings.HasPrefix(conditions[i].Message, plan.NotRevoked) {
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

// published also remembers a refused publish, until a write or a dry run has passed, or
// there is nothing left to write.
func (c conditions) published(ready plan.Readiness, failure error) {
	var stop *stopError
	switch {
	case c.p.retold && publishRefused(&c.p.token.Status):
	case errors.As(failure, &stop) && stop.refused:
		c.set(v1alpha1.ConditionPublished, false, v1alpha1.ReasonPublishRefused, stop.reason)
	case c.p.obs.Token.Deleting && !ready.Published:
		c.set(v1alpha1.ConditionPublished, false, v1alpha1.ReasonDeleting, fmt.Sprintf("Secret %q holds no credential that is in use", c.p.token.SecretName()))
	case publishRefused(&c.p.token.Status) && plan.AwaitsWrite(&c.p.obs):
	case ready.Published:
		c.set(v1alpha1.ConditionPublished, true, v1alpha1.ReasonPublished, fmt.Sprintf("Secret %q holds it", c.p.token.SecretName()))
	default:
		reason, message := c.notPublished(ready)
		c.set(v1alpha1.ConditionPublished, false, reason, message)
	}
}

// notPublished says what is wrong with the Secret. What is done about it is said by Ready,
// which follows from the decision.
func (c conditions) notPublished(ready plan.Readiness) (reason, message string) {
	s, name := &c.p.obs.Secret, c.p.token.SecretName()
	switch {
	case s.Exists && s.Foreign:
		return v1alpha1.ReasonSecretNotOwned, fmt.Sprintf("Secret %q belongs to %s", name, s.Owner)
	case s.Exists && s.Deleting:
		return v1alpha1.ReasonSecretDeleting, fmt.Sprintf("Secret %q is being deleted", name)
	case !ready.Issued:
		return v1alpha1.ReasonNotIssued, fmt.Sprintf("there is no live credential that Secret %q could hold", name)
	case !s.Exists:
		return v1alpha1.ReasonSecretMissing, fmt.Sprintf("Secret %q does not exist", name)
	case s.Credential != ready.Active.Name:
		return v1alpha1.ReasonSecretMissing, fmt.Sprintf("Secret %q holds another credential than %s, or none", name, plan.Called(&ready.Active.LedgerEntry))
	case !s.Live && !s.Trusted:
		return v1alpha1.ReasonPublishing, fmt.Sprintf("Secret %q was changed, and has not been read since", name)
	default:
		return v1alpha1.ReasonSecretChanged, fmt.Sprintf("another client added, changed or removed keys of Secret %q", name)
	}
}

func publishRefused(s *v1alpha1.ApiTokenStatus) bool {
	c := meta.FindStatusCondition(s.Conditions, v1alpha1.ConditionPublished)
	return c != nil && c.Status == metav1.ConditionFalse && c.Reason == v1alpha1.ReasonPublishRefused
}

// standing reports whether the conditions already say how the ApiToken is doing. Of several
// actions that fail in turn, each as before, the text of each has been shown, and of one
// whose texts take turns, too. A process that waits for an attempt of another one leaves it
// to that one to say how it goes. With two texts in turn, each would be a change that brings
// the next reconcile at once, and what fails would be tried without a pause.
func (c conditions) standing(ready plan.Readiness, next plan.Decision) bool {
	was := meta.FindStatusCondition(c.p.token.Status.Conditions, v1alpha1.ConditionReady)
	return (c.p.retold || next.Rule == plan.RuleUnderWay) && was != nil &&
		was.ObservedGeneration == c.p.token.Generation && (was.Status == metav1.ConditionTrue) == ready.Ready
}

// clearPublishRefused forgets a refusal, because a write of the Secret or a dry run has
// passed since.
func clearPublishRefused(p *pass) {
	if publishRefused(&p.token.Status) {
		meta.RemoveStatusCondition(&p.token.Status.Conditions, v1alpha1.ConditionPublished)
	}
}
