package plan

import (
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"apitoken.dev/operator/api/v1alpha1"
)

// Report is the input from which the conditions of an ApiToken follow.
type Report struct {
	// Token is the ApiToken that will be written. Its conditions are the current ones.
	Token *v1alpha1.ApiToken
	// Before holds the conditions that are stored in the API server.
	Before      []metav1.Condition
	Observation *Observation
	// Next is the decision that remains after the action. Outcome is why the action was not
	// carried out, or nil.
	Next    Decision
	Outcome Outcome
	// Reported: the conditions already report this failure, or did so a moment ago.
	Reported bool
}

// Condition is the new value of a condition. Without a Status, the condition is removed:
// kstatus expects Reconciling and Stalled to be absent unless they are true.
type Condition struct {
	Type            string
	Status          metav1.ConditionStatus
	Reason, Message string
}

// Conditions returns the conditions that change, and the message of the event to emit if a
// revocation fails. The message is empty if there is no event to emit.
func (r Report) Conditions() (all []Condition, notRevoked string) {
	ready := ReadinessOf(r.Observation)
	all, notRevoked = r.summaryConditions(ready)
	all = append(all, r.issuedCondition(ready))
	if published, changes := r.publishedCondition(ready); changes {
		all = append(all, published)
	}
	return append(all, r.actionCondition(), r.driftCondition()), notRevoked
}

func conditionTrue(kind, reason, message string) Condition {
	return Condition{Type: kind, Status: metav1.ConditionTrue, Reason: reason, Message: message}
}

func conditionFalse(kind, reason, message string) Condition {
	return Condition{Type: kind, Status: metav1.ConditionFalse, Reason: reason, Message: message}
}

// trueOrAbsent returns a condition that is true, or one that is removed.
func trueOrAbsent(kind string, is bool, reason, message string) Condition {
	if is {
		return conditionTrue(kind, reason, message)
	}
	return Condition{Type: kind}
}

// condition returns the condition of an ApiToken that has this type, or nil.
func condition(t *v1alpha1.ApiToken, kind string) *metav1.Condition {
	return conditionIn(t.Status.Conditions, kind)
}

func conditionIn(conditions []metav1.Condition, kind string) *metav1.Condition {
	for i := range conditions {
		if conditions[i].Type == kind {
			return &conditions[i]
		}
	}
	return nil
}

// summaryConditions returns Ready, Reconciling and Stalled.
func (r Report) summaryConditions(ready Readiness) (all []Condition, notRevoked string) {
	if ready.Ready {
		all = append(all, r.readyCondition(ready))
	}
	if r.alreadyReported(ready) {
		return all, ""
	}
	next := r.Next
	notRevoked = r.revocationEvent(next)
	next = r.withRevocationFailure(next, ready)
	next.Message = r.withLastFailure(next)
	next = r.withBlockedAccount(next)
	if !ready.Ready {
		reason := next.Reason
		if reason == v1alpha1.ReasonReady {
			reason = v1alpha1.ReasonPublishing
		}
		all = append(all, conditionFalse(v1alpha1.ConditionReady, reason, Sentences(next.Message, r.stillPublished(ready))))
	}
	return append(all,
		trueOrAbsent(v1alpha1.ConditionReconciling, next.State == Progressing, next.Reason, next.Message),
		trueOrAbsent(v1alpha1.ConditionStalled, next.State == Stalled, next.Reason, next.Message)), notRevoked
}

// alreadyReported reports whether the summary conditions stay as they are: this failure is
// already reported, or another process owns the attempt and reports its progress. Writing
// alternating messages would be a status change each time. Each change triggers a
// reconcile, so a failing action would be retried without backoff.
func (r Report) alreadyReported(ready Readiness) bool {
	was := condition(r.Token, v1alpha1.ConditionReady)
	return (r.Reported || r.Next.Rule == RuleUnderWay) && was != nil &&
		was.ObservedGeneration == r.Token.Generation && (was.Status == metav1.ConditionTrue) == ready.Ready
}

// readyCondition returns Ready with status True. Its reason is the STATUS column of kubectl
// get, so an obstacle that prevents the next rotation is the reason even while the
// ApiToken is Ready.
func (r Report) readyCondition(ready Readiness) Condition {
	message := fmt.Sprintf("Secret %q holds credential %s", r.Token.SecretName(), Called(&ready.Active.LedgerEntry))
	if r.Token.Spec.Suspend {
		return conditionTrue(v1alpha1.ConditionReady, v1alpha1.ReasonSuspended, message+"; nothing replaces it while spec.suspend is true")
	}
	if obstacle, found := r.Observation.NotReplaced(); found {
		return conditionTrue(v1alpha1.ConditionReady, obstacle.Reason, Sentences(message, obstacle.Message))
	}
	return conditionTrue(v1alpha1.ConditionReady, v1alpha1.ReasonReady, message)
}

// stillPublished returns a sentence about the credential that the Secret still holds while
// the declaration is not met, or an empty string.
func (r Report) stillPublished(ready Readiness) string {
	if !ready.Issued || !ready.Published || r.Observation.Token.Deleting || ready.Active.Drift.NoAccess() {
		return ""
	}
	return fmt.Sprintf("Until then Secret %q still holds credential %s", r.Token.SecretName(), Called(&ready.Active.LedgerEntry))
}

// revocationEvent returns the message of the event to emit when a revocation fails. It is
// empty if the stored conditions already report the failure, so that there is one event
// and not one for each attempt.
func (r Report) revocationEvent(next Decision) string {
	failed := strings.HasPrefix(next.Message, NotRevoked) && !reportRevocationFailure(r.Before)
	stalled := conditionIn(r.Before, v1alpha1.ConditionStalled)
	held := HoldsRevocation(r.Observation, next) && (stalled == nil || stalled.Reason != next.Reason)
	if !failed && !held {
		return ""
	}
	return NotRevoked + strings.TrimPrefix(next.Message, NotRevoked)
}

// reportRevocationFailure reports whether one of the conditions is about a failed revocation.
func reportRevocationFailure(conditions []metav1.Condition) bool {
	for i := range conditions {
		if strings.HasPrefix(conditions[i].Message, NotRevoked) {
			return true
		}
	}
	return false
}

// withRevocationFailure keeps a failed revocation in the conditions until the next attempt
// ends.
func (r Report) withRevocationFailure(next Decision, ready Readiness) Decision {
	if _, due := next.Action.(Revoke); !due {
		return next
	}
	for i := range r.Token.Status.Conditions {
		was := &r.Token.Status.Conditions[i]
		if was.Type == v1alpha1.ConditionReady && ready.Ready {
			continue // it becomes true
		}
		if was.Reason == v1alpha1.ReasonRevocationFailed {
			next.State, next.Reason, next.Message = Progressing, was.Reason, was.Message
		}
	}
	return next
}

// lastEnd separates the message of a backoff from the failure of the last attempt.
const lastEnd = "It ended with: "

// failures are the reasons with which an attempt can fail.
var failures = map[string]bool{
	v1alpha1.ReasonProviderError: true, v1alpha1.ReasonProviderRefused: true, v1alpha1.ReasonPublishRefused: true, v1alpha1.ReasonPublishing: true,
}

// withLastFailure returns the message of a decision. During a backoff it includes the failure
// of the last attempt.
func (r Report) withLastFailure(next Decision) string {
	was := condition(r.Token, v1alpha1.ConditionReconciling)
	if next.Reason != v1alpha1.ReasonBackoff || was == nil {
		return next.Message
	}
	if failures[was.Reason] {
		return Sentences(next.Message, lastEnd+was.Message)
	}
	if _, cause, ok := strings.Cut(was.Message, lastEnd); ok && was.Reason == v1alpha1.ReasonBackoff {
		return Sentences(next.Message, lastEnd+cause)
	}
	return next.Message
}

// withBlockedAccount keeps AccountBlocked in the conditions during a backoff. The operator
// retries, but an attempt cannot succeed until a user has unblocked the account.
func (r Report) withBlockedAccount(next Decision) Decision {
	was := condition(r.Token, v1alpha1.ConditionStalled)
	if was != nil && was.Reason == v1alpha1.ReasonAccountBlocked && next.Reason == v1alpha1.ReasonBackoff {
		next.State, next.Reason, next.Message = Stalled, was.Reason, was.Message
	}
	return next
}

func (r Report) issuedCondition(ready Readiness) Condition {
	if ready.Issued {
		return conditionTrue(v1alpha1.ConditionIssued, v1alpha1.ReasonIssued, "the provider has issued credential "+Called(&ready.Active.LedgerEntry))
	}
	if left := len(r.Token.Status.Credentials); r.Observation.Token.Deleting && left > 0 {
		return conditionFalse(v1alpha1.ConditionIssued, v1alpha1.ReasonDeleting, fmt.Sprintf("no credential is in use; revocations that are not finished: %d", left))
	}
	return conditionFalse(v1alpha1.ConditionIssued, v1alpha1.ReasonNotIssued, "no live credential")
}

// publishedCondition returns Published, or false if the condition does not change. A refused
// publish stays until a write or a dry run succeeds, or until there is nothing to write.
func (r Report) publishedCondition(ready Readiness) (Condition, bool) {
	refused, isRefused := find[SecretRefused](parts(r.Outcome))
	was := PublishRefused(&r.Token.Status)
	switch {
	case r.Reported && was:
		return Condition{}, false
	case isRefused:
		return conditionFalse(v1alpha1.ConditionPublished, v1alpha1.ReasonPublishRefused, refused.Why), true
	case r.Observation.Token.Deleting && !ready.Published:
		return conditionFalse(v1alpha1.ConditionPublished, v1alpha1.ReasonDeleting,
			fmt.Sprintf("Secret %q holds no credential that is in use", r.Token.SecretName())), true
	case was && AwaitsWrite(r.Observation):
		return Condition{}, false
	case ready.Published:
		return conditionTrue(v1alpha1.ConditionPublished, v1alpha1.ReasonPublished, fmt.Sprintf("Secret %q holds it", r.Token.SecretName())), true
	default:
		reason, message := r.whyNotPublished(ready)
		return conditionFalse(v1alpha1.ConditionPublished, reason, message), true
	}
}

// whyNotPublished returns what is wrong with the Secret. Ready reports what the operator
// does about it.
func (r Report) whyNotPublished(ready Readiness) (reason, message string) {
	s, name := &r.Observation.Secret, r.Token.SecretName()
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
		return v1alpha1.ReasonSecretMissing, fmt.Sprintf("Secret %q does not hold credential %s", name, Called(&ready.Active.LedgerEntry))
	case !s.Live && !s.Trusted:
		return v1alpha1.ReasonPublishing, fmt.Sprintf("Secret %q was changed, and has not been read since", name)
	default:
		return v1alpha1.ReasonSecretChanged, fmt.Sprintf("another client added, changed or removed keys of Secret %q", name)
	}
}

// actionCondition returns ActionRequired: what a user must do at the provider.
func (r Report) actionCondition() Condition {
	task := r.Observation.Task()
	if task == nil {
		task = &Task{}
	}
	return trueOrAbsent(v1alpha1.ConditionActionRequired, task.Message != "", task.Reason, task.Message)
}

// driftCondition returns Drifted: how the provider's view of the credential in use differs
// from the ledger.
func (r Report) driftCondition() Condition {
	drift, drifted := r.Observation.Drift()
	return trueOrAbsent(v1alpha1.ConditionDrifted, drifted, drift.Reason, drift.Message)
}

// PublishRefused reports whether the API server rejected the last publish, and no write of the
// Secret or dry run has succeeded since.
func PublishRefused(s *v1alpha1.ApiTokenStatus) bool {
	c := conditionIn(s.Conditions, v1alpha1.ConditionPublished)
	return c != nil && c.Status == metav1.ConditionFalse && c.Reason == v1alpha1.ReasonPublishRefused
}

// AwaitsProvider reports whether Ready has the reason ProviderNotFound.
func AwaitsProvider(t *v1alpha1.ApiToken) bool {
	ready := condition(t, v1alpha1.ConditionReady)
	return ready != nil && ready.Reason == v1alpha1.ReasonProviderNotFound
}

// Unreadable reports whether the decision is to issue nothing, because this version cannot
// read a value of the declaration.
func (d Decision) Unreadable() bool { return d.Reason == v1alpha1.ReasonUnreadableValue }
