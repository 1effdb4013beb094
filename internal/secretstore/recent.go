package secretstore

import (
	"maps"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/internal/trim"
)

// CacheLag is how long the cache may lack a write of this process. After that, the cache is
// right.
const CacheLag = 10 * time.Second

// recent stores the metadata of Secrets that this process wrote, trimmed as in the cache,
// until the cache shows them, or for CacheLag. A cache that lags then causes neither a live
// read nor a wrong decision.
type recent struct {
	mu      sync.Mutex
	written map[client.ObjectKey]write
	// purged is when old writes were last dropped.
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

// shown records that the cache showed a version, even if it has dropped it since.
func (r *recent) shown(key client.ObjectKey, version string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if w, ok := r.written[key]; ok && !older(version, w.meta.ResourceVersion) {
		delete(r.written, key)
	}
}

// newer returns the written metadata if the cache, at version, does not show it yet.
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

// older reports whether version a was written before b. An empty version is older than any.
func older(a, b string) bool {
	return a == "" || trim.Older(a, b)
}
