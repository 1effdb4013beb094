package memory

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"apitoken.dev/operator/api/v1alpha1"
)

// TestAttemptsAreTimedFromTheirFirstSighting: entries without an answer are timed until
// they are gone, and this process knows its own, also after it began another one.
func TestAttemptsAreTimedFromTheirFirstSighting(t *testing.T) {
	attempt := v1alpha1.LedgerEntry{Name: "attempt", State: v1alpha1.StateMinting}
	later := v1alpha1.LedgerEntry{Name: "later", State: v1alpha1.StateMinting}
	changing := v1alpha1.LedgerEntry{Name: "active", State: v1alpha1.StateActive, IssuedAt: &metav1.Time{}, Updating: "fingerprint"}
	settled := v1alpha1.LedgerEntry{Name: "old", State: v1alpha1.StateRetiring, IssuedAt: &metav1.Time{}}
	a := New().Attempts
	see := func(version string, now time.Duration, entries ...v1alpha1.LedgerEntry) {
		token := &v1alpha1.ApiToken{ObjectMeta: metav1.ObjectMeta{Namespace: someToken.Namespace, Name: someToken.Name, ResourceVersion: version}}
		token.Status.Credentials = entries
		a.See(token, now)
	}
	seenFor := func(e *v1alpha1.LedgerEntry) time.Duration { return a.Of(someToken, e, time.Hour).SeenFor }
	ours := func(e *v1alpha1.LedgerEntry) bool { return a.Of(someToken, e, time.Hour).Ours }
	see("8", time.Second, attempt, settled)
	see("10", time.Minute, attempt, changing, settled)
	see("9", time.Minute, settled) // from a stale cache
	if first, second := seenFor(&attempt), seenFor(&changing); first != time.Hour-time.Second || second != time.Hour-time.Minute {
		t.Errorf("the attempt was seen for %s, the change for %s", first, second)
	}
	if unseen := seenFor(&later); unseen != 0 {
		t.Errorf("an attempt that was never seen was seen for %s", unseen)
	}
	if see("11", time.Hour, settled); a.seen.len() != 0 {
		t.Error("attempts that are gone are remembered")
	}
	if ours(&attempt) || ours(&changing) || ours(&settled) {
		t.Error("what another process began counts as begun by this one")
	}
	a.Begin(someToken, &changing)
	a.Begin(someToken, &later)
	if !ours(&changing) || !ours(&later) || ours(&attempt) || ours(&settled) {
		t.Error("this process does not know what it began")
	}
}
