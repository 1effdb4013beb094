package memory

import (
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/trim"
)

// Writes remember the version that this process wrote last, so that no decision is based on
// an older version from a stale cache. That only saves work: the reservation prevents a
// mint from a stale cache.
//
// client.CacheOptions.EnableReadYourWritesConsistency of controller-runtime 0.25 cannot be
// used here, for three reasons. It applies to all kinds, so a write of a Secret would start
// an informer that caches the values of all Secrets. It blocks: a read of one ApiToken
// occupies a worker, and a list waits for the writes of all ApiTokens; Writes requeue
// instead. And it does not notice the removal of the last finalizer, because the API server
// answers that with a version that the cache already shows.
type Writes struct{ versions *byToken[version] }

type version struct {
	uid types.UID
	rv  string
	// released: the finalizer was removed. If it was the last one, the API server answers
	// with the version of the request, so the version in the cache is not older.
	released bool
}

func newWrites(m *Memory) *Writes { return &Writes{perToken[version](m)} }

func (w *Writes) remember(t *v1alpha1.ApiToken) {
	w.versions.put(nameOf(t), version{uid: t.UID, rv: t.ResourceVersion})
}

// After reports whether this process wrote a later version than the one that was read.
func (w *Writes) After(t *v1alpha1.ApiToken) (later bool) {
	w.versions.edit(nameOf(t), func(last *version) bool {
		later = last.uid == t.UID && (trim.Older(t.ResourceVersion, last.rv) || last.released && slices.Contains(t.Finalizers, v1alpha1.Finalizer))
		return later
	})
	return later
}
