package memory

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/plan"
)

// AskInterval is the minimum time between two answers that both show no such credential,
// if no list shows its absence too. It is also how long such an answer counts as recent, and
// the delay before an unanswered question is repeated.
const AskInterval = time.Hour

// Doubts are credentials in use that may be in another state at the provider than in the
// ledger, at most one of each ApiToken. After a restart the sweep reports them again.
type Doubts struct {
	questions *byToken[question]
	// marks are when credentials were last found to drift.
	marks *byToken[mark]
	// mu makes setting a mark and counting the others atomic. It also guards wake.
	mu   sync.Mutex
	wake func(types.NamespacedName)
}

type question struct {
	credential string
	// open: the provider will be asked, not before due.
	open bool
	due  time.Duration
	// missed: two complete lists in a row did not show it.
	missed bool
	// absent: the provider did not show it either, for the first time at first.
	absent bool
	first  time.Duration
	// confirmed: the last answer of the provider was that it is missing.
	confirmed bool
	last      time.Duration
}

type mark struct {
	provider account.Key
	at       time.Duration
}

func newDoubts(m *Memory) *Doubts {
	return &Doubts{questions: perToken[question](m), marks: perToken[mark](m)}
}

// OnDoubt sets the function that is called with the ApiToken of each new doubt.
func (d *Doubts) OnDoubt(wake func(types.NamespacedName)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.wake = wake
}

// Add records a doubt and wakes its ApiToken. missed means that two consecutive complete
// lists did not show the credential. The due time of an open question stays.
func (d *Doubts) Add(token types.NamespacedName, credential string, missed bool) {
	d.edit(token, credential, func(q *question) { q.open, q.missed = true, missed })
	d.mu.Lock()
	wake := d.wake
	d.mu.Unlock()
	if wake != nil {
		wake(token)
	}
}

// edit changes what is known about a credential. If the ApiToken had a doubt about another
// credential, that one is dropped.
func (d *Doubts) edit(token types.NamespacedName, credential string, change func(*question)) {
	d.questions.edit(token, func(q *question) bool {
		if q.credential != credential {
			*q = question{credential: credential}
		}
		change(q)
		return true
	})
}

// About sets what this process knows of a credential in use.
func (d *Doubts) About(token types.NamespacedName, e *plan.Entry, now time.Duration) {
	known, _ := d.questions.get(token)
	if known.credential != e.Name {
		known = question{}
	}
	if e.Doubted = known.open; e.Doubted {
		e.ConfirmsIn = max(0, known.due-now)
	}
	e.Confirmed = known.confirmed && now-known.last < AskInterval
}

// PutOff records that no answer was acted on. The provider is asked again later.
func (d *Doubts) PutOff(token types.NamespacedName, credential string, now time.Duration) {
	d.edit(token, credential, func(q *question) { q.open, q.due, q.confirmed = true, now+AskInterval, false })
}

// Absent records that the provider does not show a credential, or rejects it. It reports
// whether the credential is missing: lists did not show it either, or the provider gave the
// same answer at least AskInterval ago. If not, the provider is asked again after that
// time.
func (d *Doubts) Absent(token types.NamespacedName, credential string, now time.Duration) (missing bool) {
	d.edit(token, credential, func(q *question) {
		if !q.absent {
			q.absent, q.first = true, now
		}
		if q.confirmed = q.missed || now-q.first >= AskInterval; q.confirmed {
			q.open, q.missed, q.last = false, false, now
		} else {
			q.open, q.due = true, q.first+AskInterval
		}
		missing = q.confirmed
	})
	return missing
}

// Resolve drops the doubt about an ApiToken, because its credential is not missing.
func (d *Doubts) Resolve(token types.NamespacedName) { d.questions.forget(token) }

// Unmark records that the credential of an ApiToken no longer drifts.
func (d *Doubts) Unmark(token types.NamespacedName) { d.marks.forget(token) }

// Mark records that the credential of an ApiToken drifts, and returns true. It returns
// false if too many credentials of the provider drift at once (plan.TooMany), which
// suggests a mistake. drifting are those that the cache, which can be stale, shows as
// drifting. all is how many credentials of the provider are in use.
func (d *Doubts) Mark(provider account.Key, token types.NamespacedName, drifting map[types.NamespacedName]bool, all int, now time.Duration) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.marks.filter(func(other types.NamespacedName, m mark) bool {
		recent := now-m.at < plan.DriftPeriod
		if recent && m.provider == provider {
			drifting[other] = true
		}
		return recent
	})
	drifting[token] = true
	if plan.TooMany(len(drifting), all) {
		return false
	}
	d.marks.put(token, mark{provider, now})
	return true
}
