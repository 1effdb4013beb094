package secretstore

import (
	"maps"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/internal/trim"
)

// CacheLag is how long a write of this process may be missing from its cache
// before the cache is believed again.
const CacheLag = 10 * time.Second

// recent remembers the metadata of Secrets that this process wrote, trimmed as the
// cache does it, until the cache shows them, so that a cache that lags costs no
// read and no mistake. It forgets a write after CacheLag.
type recent struct {
	mu      sync.Mutex
	written map[client.ObjectKey]write
	// purged is when writes that are too old were last forgotten.
	purged time.Duration
}

type write struct {
	meta metav1.ObjectMeta
	at   time.Duration
}

func (r *recent) remember(key client.ObjectKey, meta metav1.ObjectMeta, now time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.written == nil {
		r.written = map[client.ObjectKey]write{}
	}
	if now-r.purged > CacheLag {
		maps.DeleteFunc(r.written, func(_ client.ObjectKey, w write) bool { return now-w.at > CacheLag })
		r.purged = now
	}
	meta = *meta.DeepCopy()
	trim.Secret(&meta)
	r.written[key] = write{meta: meta, at: now}
}

func (r *recent) forget(key client.ObjectKey) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.written, key)
}

// shown notes that the cache showed a version, which may already have left it.
func (r *recent) shown(key client.ObjectKey, version string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if w, ok := r.written[key]; ok && !older(version, w.meta.ResourceVersion) {
		delete(r.written, key)
	}
}

// newer returns what was written when the cache, at version, does not show it yet.
func (r *recent) newer(key client.ObjectKey, version string, now time.Duration) (metav1.ObjectMeta, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	w, ok := r.written[key]
	if !ok {
		return metav1.ObjectMeta{}, false
	}
	if now-w.at > CacheLag || !older(version, w.meta.ResourceVersion) {
		delete(r.written, key)
		return metav1.ObjectMeta{}, false
	}
	return w.meta, true
}

// older reports whether version a was written before b; no version is before any.
func older(a, b string) bool {
	return a == "" || trim.Older(a, b)
}
