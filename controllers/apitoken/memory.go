package apitoken

import (
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/trim"
)

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
	// released: the finalizer was removed. When that was the last one, the API server
	// answers with the version of the request, so the one in the cache is not older.
	released bool
}

func (w *written) remember(t *v1alpha1.ApiToken) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.versions == nil {
		w.versions = map[types.NamespacedName]version{}
	}
	w.versions[types.NamespacedName{Namespace: t.Namespace, Name: t.Name}] = version{uid: t.UID, rv: t.ResourceVersion}
}

// release records that this process removed the finalizer of an ApiToken.
func (w *written) release(name types.NamespacedName) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if last, ok := w.versions[name]; ok {
		last.released = true
		w.versions[name] = last
	}
}

// after reports whether this process wrote a later version than the one read.
func (w *written) after(name types.NamespacedName, t *v1alpha1.ApiToken) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	last, ok := w.versions[name]
	if !ok {
		return false
	}
	if last.uid == t.UID && (trim.Older(t.ResourceVersion, last.rv) || last.released && controllerutil.ContainsFinalizer(t, v1alpha1.Finalizer)) {
		return true
	}
	delete(w.versions, name)
	return false
}

// forget drops the version of an ApiToken that the cache no longer shows.
func (w *written) forget(name types.NamespacedName) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.versions, name)
}

// forget drops what is remembered of an ApiToken that is gone, except the version that
// was written last: a cache that lags may still show an earlier one.
func (r *Reconciler) forget(name types.NamespacedName) {
	r.sightings.forget(name)
	r.refusals.forget(name)
	r.proofs.forget(name)
	r.finds.forget(name)
	r.claims.forget(name)
	r.absences.forget(name)
	r.doubts.forget(name)
	r.doubts.unmark(name)
	r.contests.forget(name)
	r.failed.forget(name)
	r.ends.forget(name)
}

// failedRules remember which rules failed last, so that their actions hold up
// nothing that does not rely on them (plan.Observation.Failed).
type failedRules struct {
	mu    sync.Mutex
	rules map[types.NamespacedName]map[string]bool
	told  map[types.NamespacedName]toldFailures
}

// toldFailures are what the conditions were told since something last succeeded.
type toldFailures struct {
	// texts are how each rule failed last.
	texts map[string]string
	// changes counts the texts that differed from the one before, and at is when one was
	// told last.
	changes int
	at      time.Duration
}

// A failure whose text changes is told at once toldFreely times, and then every toldEvery:
// each text is a change of the status that brings the next pass at once, so a provider
// whose answers alternate would be called without a pause.
const (
	toldFreely = 5
	toldEvery  = 10 * time.Second
)

// note records how the action of a decision ended. A repetition gives all that
// failed in the meantime another turn, and a wait says that nothing is left to do.
func (f *failedRules) note(p *pass, d plan.Decision, err error, now time.Duration) {
	if errors.Is(err, errInLine) {
		return // it was not tried
	}
	if _, ok := d.Action.(plan.Withdraw); ok {
		return // the attempt noted it when the provider rejected it
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	key := nameOf(p.token)
	before := f.rules[key]
	after := map[string]bool{}
	if _, waits := d.Action.(plan.Wait); !waits && !before[d.Rule] {
		maps.Copy(after, before)
	}
	if err != nil {
		after[d.Rule] = true
	}
	f.noteText(p, d, err, now)
	p.obs.Failed = after
	switch {
	case len(after) == 0:
		delete(f.rules, key)
	case f.rules == nil:
		f.rules = map[types.NamespacedName]map[string]bool{key: after}
	default:
		f.rules[key] = after
	}
}

// noteText records how a rule failed, and notes in the pass whether that is told
// already, or has to wait. The lock is held.
func (f *failedRules) noteText(p *pass, d plan.Decision, err error, now time.Duration) {
	key := nameOf(p.token)
	if err == nil {
		delete(f.told, key)
		return
	}
	t := f.told[key]
	if t.texts == nil {
		t.texts = map[string]string{}
	}
	text := fmt.Sprintf("%d %v", p.token.Generation, safe(err))
	switch {
	case t.texts[d.Rule] == text:
		p.retold = len(t.texts) > 1
	case t.changes >= toldFreely && now-t.at < toldEvery:
		p.retold = true
	default:
		t.changes, t.at = t.changes+1, now
	}
	t.texts[d.Rule] = text
	if f.told == nil {
		f.told = map[types.NamespacedName]toldFailures{}
	}
	f.told[key] = t
}

// of returns the rules that failed last.
func (f *failedRules) of(key types.NamespacedName) map[string]bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.rules[key] // no map is changed once it is here
}

func (f *failedRules) forget(key types.NamespacedName) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.rules, key)
	delete(f.told, key)
}
