package explore

import (
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/test/support/fake"
)

var owner = provider.Owner{Cluster: cluster, Namespace: tokenKey.Namespace, Token: tokenKey.Name}

func (w *world) violate(invariant, format string, args ...any) {
	if w.violation == "" {
		w.violation = invariant + ": " + fmt.Sprintf(format, args...)
	}
}

// check checks S1 to S4, S6 and S7 in the current state.
func (w *world) check() {
	if w.victim != "" && !w.backend.Live(w.victim) {
		w.violate("S6", "%s was revoked, and belongs to another owner", w.victim)
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
			w.violate("S4", "the ApiToken is gone, and %v can still take effect", inFlight)
		}
		return
	}
	for _, name := range append(slices.Clone(live), inFlight...) {
		if !slices.ContainsFunc(token.Status.Credentials, func(e v1alpha1.LedgerEntry) bool { return e.Name == name }) {
			w.violate("S3", "%s is live or in progress, and in no ledger", name)
		}
	}
	w.checkSecret(token)
}

// noteLedger records the credentials that are retained on purpose: all that were in the
// ledger of an ApiToken deleted with Retain, until they are in a ledger again.
func (w *world) noteLedger(token *v1alpha1.ApiToken) {
	if token == nil {
		if w.retains {
			for name := range w.ledger {
				w.retained[name] = true
			}
		}
		return
	}
	w.retains = token.Spec.DeletionPolicy == v1alpha1.DeletionRetain
	seen := map[string]time.Duration{}
	for i := range token.Status.Credentials {
		name := token.Status.Credentials[i].Name
		seen[name] = w.now
		if first, known := w.ledger[name]; known {
			seen[name] = first
		}
		delete(w.retained, name)
	}
	w.ledger = seen
}

// theirs removes the names that are retained on purpose: no ledger needs to contain
// them.
func (w *world) theirs(names []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return w.retained[name] })
}

// secretEnds records that an operator tries to delete the Secret: its credential has
// reached its end and is revoked, whether or not the deletion succeeds.
func (w *world) secretEnds() {
	if s := w.secret(); s != nil {
		w.ended[s.Annotations[v1alpha1.AnnotationCredential]] = true
	}
}

// timeIsUp reports whether spec.expiresAt has passed or, while nothing may be issued, the
// expiry of the credential that was in use when the story began.
func (w *world) timeIsUp(token *v1alpha1.ApiToken) bool {
	if end, err := token.Spec.HardEnd(); err == nil && !end.IsZero() {
		return !w.wall().Before(end) || !w.skewed().Before(end) // by either clock
	}
	enforced := w.driver.Caps.ExpiryEnforcedBy == provider.EnforcedByOperator
	return enforced && token.Spec.Suspend && w.now > token.Spec.ExpiresIn.Duration+long
}

// minting returns the names of Mint requests that can still take effect.
func (w *world) minting() []string {
	var out []string
	for _, c := range w.backend.InFlight() {
		if c.Verb == fake.Mint {
			out = append(out, c.Name)
		}
	}
	return out
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
