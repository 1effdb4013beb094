package apitoken

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"

	"apitoken.dev/operator/api/v1alpha1"
)

// sightings remember when this process first saw each ledger entry, by its own
// monotonic clock. Another process's timestamps are never used to judge an entry.
type sightings struct {
	mu   sync.Mutex
	seen map[types.NamespacedName]map[string]time.Duration
}

// see notes the entries that are new, forgets those that are gone, and returns
// when each was first seen.
func (s *sightings) see(key types.NamespacedName, entries []v1alpha1.LedgerEntry, now time.Duration) map[string]time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.seen[key]
	after := make(map[string]time.Duration, len(entries))
	for i := range entries {
		first, known := before[entries[i].Name]
		if !known {
			first = now
		}
		after[entries[i].Name] = first
	}
	if s.seen == nil {
		s.seen = map[types.NamespacedName]map[string]time.Duration{}
	}
	s.seen[key] = after
	return after
}

// written remembers the version that this process wrote last, so that a cache
// that lags does not make it decide on what it has itself changed. It only saves
// work: the reservation is what keeps a stale cache from minting.
type written struct {
	mu       sync.Mutex
	versions map[types.NamespacedName]version
}

type version struct {
	uid types.UID
	rv  string
}

func (w *written) remember(t *v1alpha1.ApiToken) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.versions == nil {
		w.versions = map[types.NamespacedName]version{}
	}
	w.versions[types.NamespacedName{Namespace: t.Namespace, Name: t.Name}] = version{uid: t.UID, rv: t.ResourceVersion}
}

// after reports whether this process wrote a later version than the one read.
func (w *written) after(name types.NamespacedName, t *v1alpha1.ApiToken) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	last, ok := w.versions[name]
	if !ok {
		return false
	}
	if order, err := resourceversion.CompareResourceVersion(t.ResourceVersion, last.rv); last.uid == t.UID && err == nil && order < 0 {
		return true
	}
	delete(w.versions, name)
	return false
}

// forget drops what is remembered of an ApiToken that is gone.
func (r *Reconciler) forget(name types.NamespacedName) {
	r.sightings.mu.Lock()
	delete(r.sightings.seen, name)
	r.sightings.mu.Unlock()
	r.written.mu.Lock()
	delete(r.written.versions, name)
	r.written.mu.Unlock()
	r.refusals.forget(name)
	r.proofs.forget(name)
	r.finds.forget(name)
	r.claims.forget(name)
	r.absences.forget(name)
	r.contests.forget(name)
}
