package apitoken

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"apitoken.dev/operator/api/v1alpha1"
)

// TestSightings: what is without an answer is timed from its first sighting, what has gone
// is forgotten, and what this process began is its own, also after a later attempt of it.
func TestSightings(t *testing.T) {
	key := types.NamespacedName{Namespace: "ml", Name: "training"}
	attempt := v1alpha1.LedgerEntry{Name: "attempt", State: v1alpha1.StateMinting}
	later := v1alpha1.LedgerEntry{Name: "later", State: v1alpha1.StateMinting}
	changing := v1alpha1.LedgerEntry{Name: "active", State: v1alpha1.StateActive, IssuedAt: &metav1.Time{}, Updating: "fingerprint"}
	settled := v1alpha1.LedgerEntry{Name: "old", State: v1alpha1.StateRetiring, IssuedAt: &metav1.Time{}}
	var s sightings
	see := func(version string, now time.Duration, entries ...v1alpha1.LedgerEntry) {
		token := &v1alpha1.ApiToken{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name, ResourceVersion: version}}
		token.Status.Credentials = entries
		s.see(token, now)
	}
	see("8", time.Second, attempt, settled)
	see("10", time.Minute, attempt, changing, settled)
	see("9", time.Minute, settled) // from a cache that lags
	if a, c := s.seenFor(key, &attempt, time.Hour), s.seenFor(key, &changing, time.Hour); a != time.Hour-time.Second || c != time.Hour-time.Minute {
		t.Errorf("the attempt was seen for %s, the change for %s", a, c)
	}
	if unseen := s.seenFor(key, &later, time.Hour); unseen != 0 {
		t.Errorf("what was never seen was seen for %s", unseen)
	}
	if see("11", time.Hour, settled); len(s.seen) != 0 {
		t.Errorf("what has gone is remembered: %v", s.seen)
	}
	if s.ours(key, &attempt) || s.ours(key, &changing) || s.ours(key, &settled) {
		t.Error("what another process began is taken for this one's own")
	}
	s.begin(key, &changing)
	s.begin(key, &later)
	if !s.ours(key, &changing) || !s.ours(key, &later) || s.ours(key, &attempt) || s.ours(key, &settled) {
		t.Error("this process does not know what it began")
	}
	s.forget(key)
	if len(s.seen) != 0 || len(s.began) != 0 {
		t.Errorf("an ApiToken that is gone is remembered: %v, %v", s.seen, s.began)
	}
}
