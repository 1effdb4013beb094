package explore

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/plan"
)

// settled judges the end: everything that was wanted is there, and nothing else.
func (w *world) settled() {
	w.restored = false
	w.check()
	token := w.token()
	if token == nil || w.violation != "" {
		return
	}
	switch {
	case !token.DeletionTimestamp.IsZero():
		w.violate("convergence", "the ApiToken is deleted and does not go: %s", summary(token))
	case w.timeIsUp(token):
		w.settledEnded(token)
	case !token.Spec.Suspend:
		w.settledInUse(token)
	}
}

// settledEnded judges the end of an ApiToken whose time is up.
func (w *world) settledEnded(token *v1alpha1.ApiToken) {
	live := w.theirs(w.backend.LiveOf(owner))
	switch {
	case len(live) > 0 || len(token.Status.Credentials) > 0:
		w.violate("convergence", "the time is up, and live are %v, ledger: %s", live, summary(token))
	case token.Spec.ExpiresAt != nil && w.secret() != nil:
		w.violate("convergence", "the Secret is there after spec.expiresAt: %s", summary(token))
	}
}

// settledInUse judges the end of an ApiToken that is neither deleted nor suspended.
func (w *world) settledInUse(token *v1alpha1.ApiToken) {
	live := w.theirs(w.backend.LiveOf(owner))
	entries := token.Status.Credentials
	switch {
	case !meta.IsStatusConditionTrue(token.Status.Conditions, v1alpha1.ConditionReady):
		w.violate("convergence", "not Ready in the end: %s", summary(token))
	case len(entries) != 1 || entries[0].State != v1alpha1.StateActive:
		w.violate("convergence", "the ledger does not come to one Active entry: %s", summary(token))
	case !slices.Equal(live, []string{entries[0].Name}):
		w.violate("convergence", "live in the end: %v, ledger: %s", live, summary(token))
	default:
		w.settledOn(token, &entries[0])
	}
}

// settledOn judges the credential in use at the end, and its Secret.
func (w *world) settledOn(token *v1alpha1.ApiToken, e *v1alpha1.LedgerEntry) {
	switch s := w.secret(); {
	case e.ID != w.backend.IDOf(e.Name):
		w.violate("convergence", "the ledger says that %s has the id %q", e.Name, e.ID)
	case !w.givesWhatIsDeclared(token, e.Name):
		w.violate("S5", "%s does not give what is declared", e.Name)
	case s == nil || s.Annotations[v1alpha1.AnnotationCredential] != e.Name:
		w.violate("convergence", "the Secret does not hold the Active credential: %s", summary(token))
	case spoiled(s) || !w.works(s):
		w.violate("convergence", "Ready, and the data of the Secret do not work: %s", summary(token))
	}
}

// leftOver reports whether an entry is of no use any more. One that a restored
// Secret holds is in use, and a new attempt has yet to settle.
func (w *world) leftOver(e v1alpha1.LedgerEntry) bool {
	s := w.secret()
	if attempt := w.both || e.State != v1alpha1.StateRetiring; attempt && w.now-w.ledger[e.Name] < clearedWithin {
		return false
	}
	return e.State != v1alpha1.StateActive && (s == nil || s.Annotations[v1alpha1.AnnotationCredential] != e.Name)
}

// clearedWithin is how long an attempt that was given up may be in the ledger: it
// settles in two and a half minutes, and is looked at every minute.
const clearedWithin = 10 * time.Minute

// rested judges what has come to rest behind obstacles: while the namespace is not
// admitted, or the Secret cannot be written or go, nothing is issued, and
// everything else goes its way.
func (w *world) rested() {
	token := w.token()
	switch {
	case token == nil:
	case !token.DeletionTimestamp.IsZero() && token.Spec.DeletionPolicy != v1alpha1.DeletionRetain:
		w.violate("convergence", "the ApiToken is deleted and does not go behind %v: %s", w.behind(), summary(token))
	case slices.ContainsFunc(token.Status.Credentials, w.leftOver):
		w.violate("convergence", "the ledger is not cleared behind %v: %s", w.behind(), summary(token))
	case w.timeIsUp(token) && len(w.theirs(w.backend.LiveOf(owner))) > 0:
		w.violate("convergence", "spec.expiresAt has passed, and behind %v is live: %s", w.behind(), summary(token))
	}
}

// givesWhatIsDeclared judges the credential in use: no more than is declared, and no less.
func (w *world) givesWhatIsDeclared(t *v1alpha1.ApiToken, name string) bool {
	grant, _ := w.backend.GrantOf(name)
	declared := plan.GrantOf(&t.Spec)
	return slices.Equal(grant.Scopes, declared.Scopes) && slices.Equal(grant.Buckets, declared.Buckets)
}
