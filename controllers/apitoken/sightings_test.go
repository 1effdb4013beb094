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
	s.see(key, []v1alpha1.LedgerEntry{attempt, settled}, time.Second)
	seen := s.see(key, []v1alpha1.LedgerEntry{attempt, changing, settled}, time.Minute)
	if len(seen) != 2 || seen[sighted(&attempt)] != time.Second || seen[sighted(&changing)] != time.Minute {
		t.Errorf("seen are %v", seen)
	}
	if s.see(key, []v1alpha1.LedgerEntry{settled}, time.Hour); len(s.seen) != 0 {
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
