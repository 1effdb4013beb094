// Package tokenstate tells what the status of an ApiToken says.
package tokenstate

import (
	"cmp"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/cli/terminal"
	"apitoken.dev/operator/internal/ledger"
)

// RotatesAt is when the published credential is replaced; nil while the ApiToken is
// deleted, also where the operator has not written its status since.
func RotatesAt(t *v1alpha1.ApiToken) *metav1.Time {
	if !t.DeletionTimestamp.IsZero() {
		return nil
	}
	return t.Status.RotatesAt
}

// Ready reports whether the Secret holds a live credential for this generation.
func Ready(t *v1alpha1.ApiToken) bool {
	c := meta.FindStatusCondition(t.Status.Conditions, v1alpha1.ConditionReady)
	return c != nil && c.Status == metav1.ConditionTrue && c.ObservedGeneration == t.Generation && t.DeletionTimestamp.IsZero()
}

// ReadyWord is the status of the condition Ready. It is Unknown until the operator has
// observed this generation.
func ReadyWord(t *v1alpha1.ApiToken) string {
	if Ready(t) {
		return string(metav1.ConditionTrue)
	}
	if c := meta.FindStatusCondition(t.Status.Conditions, v1alpha1.ConditionReady); c == nil || c.ObservedGeneration != t.Generation {
		return string(metav1.ConditionUnknown)
	}
	return string(metav1.ConditionFalse)
}

// NotObserved is the reason while the operator has not looked at this generation.
const NotObserved = "NotObserved"

// Reason is the reason of the condition Ready, Deleting, or NotObserved.
func Reason(t *v1alpha1.ApiToken) string {
	c := meta.FindStatusCondition(t.Status.Conditions, v1alpha1.ConditionReady)
	switch {
	case !t.DeletionTimestamp.IsZero():
		return v1alpha1.ReasonDeleting
	case c == nil || c.ObservedGeneration != t.Generation:
		return NotObserved
	default:
		return c.Reason
	}
}

// The states of a view.
const (
	stateReady       = "Ready"
	stateProgressing = "Progressing"
	stateStalled     = "Stalled"
	stateWaiting     = "Waiting"
)

// State sums up the conditions in one word.
func State(t *v1alpha1.ApiToken) string {
	switch {
	case Ready(t):
		return stateReady
	case meta.IsStatusConditionTrue(t.Status.Conditions, v1alpha1.ConditionStalled):
		return stateStalled
	case meta.IsStatusConditionTrue(t.Status.Conditions, v1alpha1.ConditionReconciling):
		return stateProgressing
	default:
		return stateWaiting
	}
}

// Message is the message of the condition Ready, if it is about this generation.
func Message(t *v1alpha1.ApiToken) string {
	c := meta.FindStatusCondition(t.Status.Conditions, v1alpha1.ConditionReady)
	if c == nil || c.ObservedGeneration != t.Generation && t.DeletionTimestamp.IsZero() {
		return ""
	}
	return c.Message
}

// HardEnd is spec.expiresAt; nil if it is absent or cannot be read, which the message says.
func HardEnd(t *v1alpha1.ApiToken) *metav1.Time {
	end, err := t.Spec.HardEnd()
	if err != nil || end.IsZero() {
		return nil
	}
	return &metav1.Time{Time: end}
}

// Key names a credential as people see it at the provider.
func Key(e *v1alpha1.LedgerEntry) string {
	return terminal.OneLine(cmp.Or(e.ID, e.Name))
}

// Active is the entry in use (ledger.Active), for commands that do not read the Secret.
func Active(t *v1alpha1.ApiToken) *v1alpha1.LedgerEntry { return ledger.Active(&t.Status, "") }
