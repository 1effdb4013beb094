package explore

import (
	"fmt"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/fake"
)

var owner = provider.Owner{Cluster: cluster, Namespace: tokenKey.Namespace, Token: tokenKey.Name}

func (w *world) violate(invariant, format string, args ...any) {
	if w.violation == "" {
		w.violation = invariant + ": " + fmt.Sprintf(format, args...)
	}
}

// check judges S1 to S4 and S6 as things stand.
func (w *world) check() {
	if w.victim != "" && !w.backend.Live(w.victim) {
		w.violate("S6", "%s was revoked, and is somebody else's", w.victim)
	}
	token := w.token()
	w.noteLedger(token)
	live, inFlight := w.theirs(w.backend.LiveOf(owner)), w.theirs(w.minting())
	for _, name := range append(slices.Clone(live), inFlight...) {
		if n := w.backend.MintCount(name); n > 1 {
			w.violate("S1", "%s was minted %d times", name, n)
		}
	}
	if token == nil {
		if len(live) > 0 {
			w.violate("S4", "the ApiToken is gone, and %v is live", live)
		}
		if len(inFlight) > 0 {
			w.violate("S4", "the ApiToken is gone, and %v can still land", inFlight)
		}
		return
	}
	for _, name := range append(slices.Clone(live), inFlight...) {
		if !slices.ContainsFunc(token.Status.Credentials, func(e v1alpha1.LedgerEntry) bool { return e.Name == name }) {
			w.violate("S3", "%s is live or under way and in no ledger", name)
		}
	}
	w.checkSecret(token)
}

// noteLedger keeps account of what is retained on purpose: all that was in the
// ledger of an ApiToken that went with Retain, until a ledger has it again.
func (w *world) noteLedger(token *v1alpha1.ApiToken) {
	if token == nil {
		if w.retains {
			maps.Copy(w.retained, w.ledger)
		}
		return
	}
	w.retains = token.Spec.DeletionPolicy == v1alpha1.DeletionRetain
	clear(w.ledger)
	for i := range token.Status.Credentials {
		name := token.Status.Credentials[i].Name
		w.ledger[name] = true
		delete(w.retained, name)
	}
}

// theirs drops the names that are retained on purpose: nothing answers for them.
func (w *world) theirs(names []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return w.retained[name] })
}

// secretEnds notes that an operator tries to delete the Secret: the time of the
// credential in it is up, and it is revoked whatever becomes of the Secret.
func (w *world) secretEnds() {
	if s := w.secret(); s != nil {
		w.ended[s.Annotations[v1alpha1.AnnotationCredential]] = true
	}
}

// timeIsUp reports whether spec.expiresAt has passed, or, while nothing may be issued,
// the expiry of the credential that this story began with.
func (w *world) timeIsUp(token *v1alpha1.ApiToken) bool {
	if end, err := token.Spec.HardEnd(); err == nil && !end.IsZero() {
		return !w.wall().Before(end)
	}
	enforced := w.driver.Caps.ExpiryEnforcedBy == provider.EnforcedByOperator
	return enforced && token.Spec.Suspend && w.now > token.Spec.ExpiresIn.Duration+long
}

// checkSecret judges S2. A gap is accepted with RevokeFirst, while an old Secret is
// restored, and from the attempt to delete the Secret when the time is up.
func (w *world) checkSecret(token *v1alpha1.ApiToken) {
	gap := token.Status.GapSince != nil && token.Spec.Rotation.Strategy == v1alpha1.RevokeFirst
	if s := w.secret(); s != nil && token.DeletionTimestamp.IsZero() && !w.restored && !gap {
		if name := s.Annotations[v1alpha1.AnnotationCredential]; !w.backend.Live(name) && !w.ended[name] {
			w.violate("S2", "the Secret holds %s, which is not live", name)
		}
	}
}

// minting are the names of Mint requests that can still land.
func (w *world) minting() []string {
	var out []string
	for _, c := range w.backend.InFlight() {
		if c.Verb == fake.Mint {
			out = append(out, c.Name)
		}
	}
	return out
}

// settled judges the end: everything that was wanted is there, and nothing else.
func (w *world) settled() {
	w.restored = false
	w.check()
	token := w.token()
	if token == nil || w.violation != "" {
		return
	}
	if !token.DeletionTimestamp.IsZero() {
		w.violate("convergence", "the ApiToken is deleted and does not go: %s", summary(token))
		return
	}
	switch {
	case w.timeIsUp(token):
		w.settledEnded(token)
	case !token.Spec.Suspend:
		w.settledInUse(token)
	}
}

// settledEnded judges the end of an ApiToken whose time is up.
func (w *world) settledEnded(token *v1alpha1.ApiToken) {
	if live := w.theirs(w.backend.LiveOf(owner)); len(live) > 0 || len(token.Status.Credentials) > 0 {
		w.violate("convergence", "the time is up, and live are %v, ledger: %s", live, summary(token))
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

// settledOn judges the credential in use at the end.
func (w *world) settledOn(token *v1alpha1.ApiToken, e *v1alpha1.LedgerEntry) {
	switch s := w.secret(); {
	case e.ID != w.backend.IDOf(e.Name):
		w.violate("convergence", "the ledger says that %s has the id %q", e.Name, e.ID)
	case !w.givesWhatIsDeclared(token, e.Name):
		w.violate("S5", "%s does not give what is declared", e.Name)
	case s == nil || s.Annotations[v1alpha1.AnnotationCredential] != e.Name:
		w.violate("convergence", "the Secret does not hold the Active credential: %s", summary(token))
	}
}

// leftOver reports whether an entry is of no use any more. One that a restored
// Secret holds is in use.
func (w *world) leftOver(e v1alpha1.LedgerEntry) bool {
	s := w.secret()
	return e.State != v1alpha1.StateActive && (s == nil || s.Annotations[v1alpha1.AnnotationCredential] != e.Name)
}

// restedOutside judges what has come to rest while the namespace is not admitted:
// nothing is issued then, and everything else goes its way.
func (w *world) restedOutside() {
	token := w.token()
	switch {
	case token == nil:
	case !token.DeletionTimestamp.IsZero():
		w.violate("convergence", "the ApiToken is deleted and does not go without admission: %s", summary(token))
	case slices.ContainsFunc(token.Status.Credentials, w.leftOver):
		w.violate("convergence", "without admission the ledger is not cleared: %s", summary(token))
	}
}

// givesWhatIsDeclared judges the credential in use: no more than is declared, and no less.
func (w *world) givesWhatIsDeclared(t *v1alpha1.ApiToken, name string) bool {
	grant, _ := w.backend.GrantOf(name)
	return slices.Equal(grant.Scopes, plan.GrantOf(&t.Spec).Scopes)
}

func summary(t *v1alpha1.ApiToken) string {
	out := ""
	for _, e := range t.Status.Credentials {
		out += fmt.Sprintf("[%s %s] ", e.Name, e.State)
	}
	if c := meta.FindStatusCondition(t.Status.Conditions, v1alpha1.ConditionReady); c != nil {
		out += c.Reason + ": " + c.Message
	}
	return out
}
