package status

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/cli/hint"
	"apitoken.dev/operator/internal/cli/output"
	"apitoken.dev/operator/internal/cli/tokenstate"
	"apitoken.dev/operator/internal/plan"
)

// nextSteps says what happens next, in the order of time.
func nextSteps(h hint.Hints, t *v1alpha1.ApiToken, now time.Time) []string {
	if !t.DeletionTimestamp.IsZero() {
		return []string{deletionStep(t)}
	}
	var out []string
	for i := range t.Status.Credentials {
		if step := entryStep(&t.Status.Credentials[i], now); step != "" {
			out = append(out, step)
		}
	}
	if r := t.Status.Retry; r != nil && now.Before(r.NotBefore.Time) && !t.Spec.Suspend {
		out = append(out, "the next attempt starts "+output.At(r.NotBefore.DeepCopy(), now))
	}
	out = append(out, rotationSteps(h, t, now)...)
	if end := tokenstate.HardEnd(t); end != nil && now.Before(end.Time) {
		out = append(out, output.At(end, now)+": access ends for good (spec.expiresAt): the Secret is deleted"+endsToo(t))
	}
	return out
}

func deletionStep(t *v1alpha1.ApiToken) string {
	if t.Spec.DeletionPolicy == v1alpha1.DeletionRetain {
		return "the ApiToken is deleted, and nothing is revoked: its Secret and its live credentials stay (deletionPolicy: Retain)"
	}
	if slices.ContainsFunc(t.Status.Credentials, func(e v1alpha1.LedgerEntry) bool { return e.ByHand && !e.Gone }) {
		return "a user is asked to delete each manual credential in the ledger, and every other one is revoked; then the ApiToken is deleted"
	}
	return "every credential in the ledger is revoked and verified gone; then the ApiToken is deleted"
}

// endsToo says what becomes of the credential in use at the hard end.
func endsToo(t *v1alpha1.ApiToken) string {
	if e := tokenstate.Active(t); e != nil {
		return ", and " + endOf(e)
	}
	return ""
}

func entryStep(e *v1alpha1.LedgerEntry, now time.Time) string {
	switch e.State {
	case v1alpha1.StateMinting, v1alpha1.StateAbandoned:
		return "attempt " + e.Name + " is resolved: adopted if the Secret holds it, otherwise revoked"
	case v1alpha1.StateRetiring:
		if e.RetireAt == nil || !now.Before(e.RetireAt.Time) {
			return "now: " + endOf(e) + ", and leaves the ledger once the provider no longer lists it, or lists it as ended"
		}
		return output.At(e.RetireAt, now) + ": " + endOf(e)
	case v1alpha1.StateActive:
		return ""
	}
	return "nothing, while " + e.Name + " is in a state that this version does not know: " + string(e.State)
}

// endOf says who ends a credential: the operator, or a user.
func endOf(e *v1alpha1.LedgerEntry) string {
	if e.ByHand {
		return "a user is asked to delete " + tokenstate.Key(e)
	}
	return tokenstate.Key(e) + " is revoked"
}

// notReplacedSteps says when the credential in use ends, where something is in the way of
// another one.
func notReplacedSteps(t *v1alpha1.ApiToken, e *v1alpha1.LedgerEntry, now time.Time) []string {
	c := meta.FindStatusCondition(t.Status.Conditions, v1alpha1.ConditionStalled)
	if c == nil || c.Status != metav1.ConditionTrue || e.ExpiresAt == nil || !now.Before(e.ExpiresAt.Time) || tokenstate.HardEnd(t) != nil {
		return nil
	}
	return []string{output.At(e.ExpiresAt, now) + ": " + tokenstate.Key(e) + " ends, and is not replaced until a user acts (" + c.Reason + ")"}
}

func rotationSteps(h hint.Hints, t *v1alpha1.ApiToken, now time.Time) []string {
	e := tokenstate.Active(t)
	switch {
	case t.Spec.Suspend:
		return []string{"nothing is issued or rotated while spec.suspend is true: " + h.PluginCommand(t.Namespace, "resume", t.Name)}
	case e == nil:
		return nil
	case t.Status.RotatesAt == nil:
		return notReplacedSteps(t, e, now)
	}
	verb := "a new credential is issued and published"
	if e.ByHand {
		verb = "a user is asked for a new credential"
	}
	out := []string{output.At(t.Status.RotatesAt, now) + ": " + verb}
	if t.Spec.Rotation.Strategy == v1alpha1.RevokeFirst {
		return append(out, "  where the account has no room for both, "+tokenstate.Key(e)+" is revoked first, and there is a gap")
	}
	if t.Annotations[v1alpha1.AnnotationEnd] == e.Name {
		return append(out, "  then "+endOf(e)+" without an overlap: the annotation "+v1alpha1.AnnotationEnd+" names it")
	}
	if overlap := t.Status.Effective.Overlap; overlap != "" {
		if d, err := time.ParseDuration(overlap); err == nil {
			overlap = plan.Short(d)
		}
		out = append(out, "  "+overlap+" later "+endOf(e))
	}
	return out
}
