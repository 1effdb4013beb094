package apitoken

import (
	"context"
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/trim"
)

// sightings remember when this process first saw each attempt without an answer and
// each change in place, by its own monotonic clock, and what it began itself. No other
// process's timestamp decides when an attempt is settled.
type sightings struct {
	mu    sync.Mutex
	seen  map[types.NamespacedName]sighting
	began map[types.NamespacedName]begun
}

// sighting is the last version that was seen of an ApiToken, and when each of its attempts
// and changes in place was first seen.
type sighting struct {
	uid     types.UID
	version string
	first   map[string]time.Duration
}

// begun is what this process began last for an ApiToken. Of either kind it begins another
// one only after it has dealt with the one before.
type begun struct {
	attempt, change string
	// rejection is the last attempt that the provider rejected.
	rejection rejection
}

// sighted is what is remembered of an entry: an attempt without an answer by its name, a
// change in place by the mark; empty: nothing. What is or was Active has had its answer.
func sighted(e *v1alpha1.LedgerEntry) string {
	switch {
	case e.IssuedAt == nil && e.State != v1alpha1.StateActive:
		return e.Name
	case e.Updating != "":
		return e.Name + "/" + e.Updating
	default:
		return ""
	}
}

// see notes what is new in the ledger of an ApiToken and forgets what is gone. It takes
// versions that the API server has, never a status that is still to be written: the write
// can conflict, and what it would have dropped would then seem new. A version older than
// the last one, from a cache that lags, changes nothing.
func (s *sightings) see(t *v1alpha1.ApiToken, now time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := nameOf(t)
	before := s.seen[key]
	if before.uid == t.UID && trim.Older(t.ResourceVersion, before.version) {
		return
	}
	after := sighting{uid: t.UID, version: t.ResourceVersion, first: map[string]time.Duration{}}
	for i := range t.Status.Credentials {
		what := sighted(&t.Status.Credentials[i])
		if what == "" {
			continue
		}
		first, known := before.first[what]
		if !known {
			first = now
		}
		after.first[what] = first
	}
	if len(after.first) == 0 {
		delete(s.seen, key)
		return
	}
	if s.seen == nil {
		s.seen = map[types.NamespacedName]sighting{}
	}
	s.seen[key] = after
}

// seenFor returns how long ago an attempt without an answer, or a change in place, was
// first seen.
func (s *sightings) seenFor(key types.NamespacedName, e *v1alpha1.LedgerEntry, now time.Duration) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	first, known := s.seen[key].first[sighted(e)]
	if !known {
		return 0
	}
	return now - first
}

// begin notes that this process began an attempt, before it writes the reservation, or a
// change in place, after it wrote the mark.
func (s *sightings) begin(key types.NamespacedName, e *v1alpha1.LedgerEntry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.note(key, func(b *begun) {
		if e.Updating == "" {
			b.attempt = sighted(e)
		} else {
			b.change = sighted(e)
		}
	})
}

// note changes what is remembered of what this process began. The lock is held.
func (s *sightings) note(key types.NamespacedName, change func(*begun)) {
	if s.began == nil {
		s.began = map[types.NamespacedName]begun{}
	}
	b := s.began[key]
	change(&b)
	s.began[key] = b
}

// ours reports whether this process began the attempt, or the change in place.
func (s *sightings) ours(key types.NamespacedName, e *v1alpha1.LedgerEntry) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	what, b := sighted(e), s.began[key]
	return what != "" && (what == b.attempt || what == b.change)
}

// forget drops what is remembered of an ApiToken that is gone.
func (s *sightings) forget(key types.NamespacedName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.seen, key)
	delete(s.began, key)
}

// follow notes sightings from the cache, in every process. A standby that takes over has
// then known each attempt for as long as it was in its cache, and does not start to wait
// again. It reads no Secret and writes nothing.
func (r *Reconciler) follow(mgr ctrl.Manager) error {
	return mgr.Add(inEveryProcess(func(ctx context.Context) error {
		informer, err := mgr.GetCache().GetInformer(ctx, &v1alpha1.ApiToken{}, cache.BlockUntilSynced(false))
		if err != nil {
			return fmt.Errorf("following ApiTokens: %w", err)
		}
		note := func(o any) {
			if t, ok := o.(*v1alpha1.ApiToken); ok {
				r.sightings.see(t, r.Clock.Monotonic())
			}
		}
		following, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
			AddFunc:    note,
			UpdateFunc: func(_, o any) { note(o) },
			DeleteFunc: func(o any) {
				if name, err := toolscache.DeletionHandlingObjectToName(o); err == nil {
					r.sightings.forget(name.AsNamespacedName())
				}
			},
		})
		if err != nil {
			return fmt.Errorf("following ApiTokens: %w", err)
		}
		if toolscache.WaitForCacheSync(ctx.Done(), following.HasSynced) {
			mgr.GetLogger().V(1).Info("following the ledgers of all ApiTokens")
		}
		return nil
	}))
}

// inEveryProcess is a runnable that does not wait to become leader.
type inEveryProcess func(context.Context) error

// Start implements manager.Runnable.
func (f inEveryProcess) Start(ctx context.Context) error { return f(ctx) }

// NeedLeaderElection implements manager.LeaderElectionRunnable.
func (inEveryProcess) NeedLeaderElection() bool { return false }
