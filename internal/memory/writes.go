package memory

import (
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/trim"
)

// Writes remember the version that this process wrote last, so that it does not decide on
// what a stale cache shows from before its own write. That only saves work: the reservation
// is what keeps a stale cache from minting.
type Writes struct{ versions *byToken[version] }

type version struct {
	uid types.UID
	rv  string
	// released: the finalizer was removed. When that was the last one, the API server
	// answers with the version of the request, so the one in the cache is not older.
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
