package apitoken

import (
	"context"
	"maps"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/fairqueue"
	"apitoken.dev/operator/internal/plan"
)

const (
	// askedAgain is how far apart two answers must be that show no such credential, where
	// no list shows that too. It is also how long such an answer counts as recent, and how
	// long a question waits that was not answered.
	askedAgain = time.Hour
	// atOnce is how long a credential that drifts, or was replaced because it was
	// missing, counts among those that do so at once.
	atOnce = 24 * time.Hour
)

// doubts are credentials in use that may not be at the provider as the ledger has them,
// at most one of each ApiToken. A restart forgets them: the sweep reports them again.
type doubts struct {
	mu   sync.Mutex
	of   map[types.NamespacedName]question
	wake func(types.NamespacedName)
	// marks are when credentials were last found to drift.
	marks map[types.NamespacedName]mark
}

type question struct {
	credential string
	// open: the provider will be asked, at due at the earliest.
	open bool
	due  time.Duration
	// missed: two complete lists in a row did not show it.
	missed bool
	// absent: the provider did not show it either, at first for the first time.
	absent bool
	first  time.Duration
	// confirmed: it is missing, as the provider said at last.
	confirmed bool
	last      time.Duration
}

type mark struct {
	provider account.Key
	at       time.Duration
}

// Doubt has the provider asked about a credential of an ApiToken, after everything else
// that is due there. Missed says that two complete lists in a row did not show it. Doubt
// does not wait.
func (r *Reconciler) Doubt(token types.NamespacedName, credential string, missed bool) {
	if wake := r.doubts.add(token, credential, missed); wake != nil {
		wake(token)
	}
}

// add notes a doubt, and returns how its ApiToken is woken. One that is due later stays so.
func (d *doubts) add(token types.NamespacedName, credential string, missed bool) func(types.NamespacedName) {
	d.mu.Lock()
	defer d.mu.Unlock()
	known := d.get(token, credential)
	known.open, known.missed = true, missed
	d.put(token, known)
	return d.wake
}

// get is what is known of a credential; the lock is held.
func (d *doubts) get(token types.NamespacedName, credential string) question {
	if known := d.of[token]; known.credential == credential {
		return known
	}
	return question{credential: credential}
}

// put remembers what is known; the lock is held.
func (d *doubts) put(token types.NamespacedName, known question) {
	if d.of == nil {
		d.of = map[types.NamespacedName]question{}
	}
	d.of[token] = known
}

// about sets what this process knows of a credential in use.
func (d *doubts) about(token types.NamespacedName, e *plan.Entry, now time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	known := d.get(token, e.Name)
	if e.Doubted = known.open; e.Doubted {
		e.ConfirmsIn = max(0, known.due-now)
	}
	e.Confirmed = known.confirmed && now-known.last < askedAgain
}

// putOff notes that no answer is acted on: the provider is asked again later.
func (d *doubts) putOff(token types.NamespacedName, credential string, now time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	known := d.get(token, credential)
	known.open, known.due, known.confirmed = true, now+askedAgain, false
	d.put(token, known)
}

// absent notes that the provider does not show a credential, or refuses it. It reports
// whether the credential is missing: lists did not show it either, or the provider said
// the same before, long enough ago. If not, it is asked again when it is.
func (d *doubts) absent(token types.NamespacedName, credential string, now time.Duration) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	known := d.get(token, credential)
	if !known.absent {
		known.absent, known.first = true, now
	}
	if known.confirmed = known.missed || now-known.first >= askedAgain; known.confirmed {
		known.open, known.missed, known.last = false, false, now
	} else {
		known.open, known.due = true, known.first+askedAgain
	}
	d.put(token, known)
	return known.confirmed
}

// forget drops what is remembered of an ApiToken: it is gone, or its credential is not
// missing.
func (d *doubts) forget(token types.NamespacedName) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.of, token)
}

// unmark notes that the credential of an ApiToken no longer drifts.
func (d *doubts) unmark(token types.NamespacedName) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.marks, token)
}

// mark notes that the credential of an ApiToken drifts, unless so many of its provider
// do at once that it looks like a mistake. Drifting are those of which the cache shows
// that, which may lag; all is how many credentials the provider has in use.
func (d *doubts) mark(provider account.Key, token types.NamespacedName, drifting map[types.NamespacedName]bool, all int, now time.Duration) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	maps.DeleteFunc(d.marks, func(_ types.NamespacedName, m mark) bool { return now-m.at >= atOnce })
	for other, m := range d.marks {
		if m.provider == provider {
			drifting[other] = true
		}
	}
	drifting[token] = true
	if plan.TooMany(len(drifting), all) {
		return false
	}
	if d.marks == nil {
		d.marks = map[types.NamespacedName]mark{}
	}
	d.marks[token] = mark{provider, now}
	return true
}

// doubtful wakes the ApiTokens of doubted credentials, after all others that wait.
func (r *Reconciler) doubtful(_ context.Context, q fairqueue.Queue) error {
	r.doubts.mu.Lock()
	defer r.doubts.mu.Unlock()
	r.doubts.wake = func(token types.NamespacedName) { fairqueue.Later(q, reconcile.Request{NamespacedName: token}) }
	return nil
}
