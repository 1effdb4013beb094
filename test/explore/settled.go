package explore

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/plan"
)

// settled checks the final state: everything that is declared exists, and nothing else.
func (w *world) settled() {
	w.restored = false
	w.check()
	token := w.token()
	if token == nil || w.violation != "" {
		return
	}
	switch {
	case !token.DeletionTimestamp.IsZero():
		w.violate("convergence", "the deleted ApiToken still exists: %s", summary(token))
	case w.timeIsUp(token):
		w.settledEnded(token)
	case !token.Spec.Suspend:
		w.settledInUse(token)
	}
}

// settledEnded checks the final state of an ApiToken that has reached its end.
func (w *world) settledEnded(token *v1alpha1.ApiToken) {
	live := w.theirs(w.backend.LiveOf(owner))
	switch {
	case len(live) > 0 || len(token.Status.Credentials) > 0:
		w.violate("convergence", "after the end, these credentials are live: %v, ledger: %s", live, summary(token))
	case token.Spec.ExpiresAt != nil && w.secret() != nil:
		w.violate("convergence", "the Secret still exists after spec.expiresAt: %s", summary(token))
	}
}

// settledInUse checks the final state of an ApiToken that is neither deleted nor
// suspended.
func (w *world) settledInUse(token *v1alpha1.ApiToken) {
	live := w.theirs(w.backend.LiveOf(owner))
	entries := token.Status.Credentials
	switch {
	case !meta.IsStatusConditionTrue(token.Status.Conditions, v1alpha1.ConditionReady):
		w.violate("convergence", "not Ready at the end: %s", summary(token))
	case len(entries) != 1 || entries[0].State != v1alpha1.StateActive:
		w.violate("convergence", "the ledger does not end with one Active entry: %s", summary(token))
	case !slices.Equal(live, []string{entries[0].Name}):
		w.violate("convergence", "live at the end: %v, ledger: %s", live, summary(token))
	default:
		w.settledOn(token, &entries[0])
	}
}

// settledOn checks the credential in use at the end, and its Secret.
func (w *world) settledOn(token *v1alpha1.ApiToken, e *v1alpha1.LedgerEntry) {
	switch s := w.secret(); {
	case e.ID != w.backend.IDOf(e.Name):
		w.violate("convergence", "the ledger has the wrong ID for %s: %q", e.Name, e.ID)
	case !w.givesWhatIsDeclared(token, e.Name):
		w.violate("S5", "%s does not grant what is declared", e.Name)
	case s == nil || s.Annotations[v1alpha1.AnnotationCredential] != e.Name:
		w.violate("convergence", "the Secret does not hold the Active credential: %s", summary(token))
	case spoiled(s) || !w.works(s):
		w.violate("convergence", "Ready, but the provider rejects the data of the Secret: %s", summary(token))
	}
}

// leftOver reports whether an entry should be gone. The credential in a restored Secret
// is in use, and a new attempt has not settled yet.
func (w *world) leftOver(e v1alpha1.LedgerEntry) bool {
	s := w.secret()
	if attempt := w.both || e.State != v1alpha1.StateRetiring; attempt && w.now-w.ledger[e.Name] < clearedWithin {
		return false
	}
	return e.State != v1alpha1.StateActive && (s == nil || s.Annotations[v1alpha1.AnnotationCredential] != e.Name)
}

// clearedWithin is how long an abandoned attempt may stay in the ledger: it settles in
// two and a half minutes, and is retried every minute.
const clearedWithin = 10 * time.Minute

// rested checks the resting state behind obstacles: while the namespace is not admitted,
// or the Secret cannot be written or deleted, nothing is issued, and everything else
// continues.
func (w *world) rested() {
	token := w.token()
	switch {
	case token == nil:
	case !token.DeletionTimestamp.IsZero() && token.Spec.DeletionPolicy != v1alpha1.DeletionRetain:
		w.violate("convergence", "behind %v, the deleted ApiToken still exists: %s", w.behind(), summary(token))
	case slices.ContainsFunc(token.Status.Credentials, w.leftOver):
		w.violate("convergence", "behind %v, the ledger is not cleared: %s", w.behind(), summary(token))
	case w.timeIsUp(token) && len(w.theirs(w.backend.LiveOf(owner))) > 0:
		w.violate("convergence", "behind %v, credentials are live after spec.expiresAt: %s", w.behind(), summary(token))
	}
}

// givesWhatIsDeclared reports whether the credential in use grants exactly what is
// declared.
func (w *world) givesWhatIsDeclared(t *v1alpha1.ApiToken, name string) bool {
	grant, _ := w.backend.GrantOf(name)
	declared := plan.GrantOf(&t.Spec)
	return slices.Equal(grant.Scopes, declared.Scopes) && slices.Equal(grant.Buckets, declared.Buckets)
}
