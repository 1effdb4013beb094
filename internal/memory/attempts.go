package memory

import (
	"time"

	"k8s.io/apimachinery/pkg/types"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/trim"
)

// Attempts remember when this process first saw each attempt with an unknown outcome and
// each change in place, and which of them this process began. So no timestamp of another
// process decides when an attempt is settled.
type Attempts struct {
	seen  *byToken[sightings]
	began *byToken[begun]
}

// sightings are when each attempt and change in place of an ApiToken was first seen, and
// the version that See recorded last.
type sightings struct {
	uid     types.UID
	version string
	first   map[string]time.Duration
}

// begun is what this process began last for an ApiToken. It begins another attempt or
// change only after the previous one is resolved.
type begun struct {
	attempt, change string
	// rejection is the last attempt that the provider rejected.
	rejection Rejection
}

// Rejection is an attempt that the provider explicitly rejected. The process remembers
// it because the write that records it can conflict with another change of the ApiToken.
type Rejection struct {
	Attempt string
	// Revision is the attempt's own, Recorded the ledger's before the attempt.
	Revision, Recorded int64
	// How the reservation is undone. The pause begins at At.
	How plan.Rejection
	At  time.Time
	// Failed is the outcome that the ApiToken reports.
	Failed plan.Outcome
}

// Attempt is what this process knows about an attempt with an unknown outcome, or about a
// change in place.
type Attempt struct {
	// Ours: this process began it.
	Ours bool
	// SeenFor is how long ago it was first seen.
	SeenFor time.Duration
	// Rejection is how the provider rejected the attempt; nil if it did not.
	Rejection *Rejection
}

func newAttempts(m *Memory) *Attempts { return &Attempts{perToken[sightings](m), perToken[begun](m)} }

// idOf identifies an attempt with an unknown outcome by its name, and a change in place by
// its mark. It is empty for other entries: if they are or were Active, the outcome is known.
func idOf(e *v1alpha1.LedgerEntry) string {
	switch {
	case e.IssuedAt == nil && e.State != v1alpha1.StateActive:
		return e.Name
	case e.Updating != "":
		return e.Name + "/" + e.Updating
	default:
		return ""
	}
}

// See records new attempts and changes in the ledger of an ApiToken and drops old ones.
// Pass only versions that the API server has, never a status that is not written yet: if
// the write conflicts, a dropped entry would later seem new. A version older than the last
// one, from a stale cache, is ignored.
func (a *Attempts) See(t *v1alpha1.ApiToken, now time.Duration) {
	a.seen.edit(nameOf(t), func(s *sightings) bool {
		if s.uid == t.UID && trim.Older(t.ResourceVersion, s.version) {
			return true
		}
		first := map[string]time.Duration{}
		for i := range t.Status.Credentials {
			id := idOf(&t.Status.Credentials[i])
			if id == "" {
				continue
			}
			at, known := s.first[id]
			if !known {
				at = now
			}
			first[id] = at
		}
		*s = sightings{uid: t.UID, version: t.ResourceVersion, first: first}
		return len(first) > 0
	})
}

// Begin records that this process begins an attempt or a change in place. Call it before
// writing the reservation of an attempt, and after writing the mark of a change.
func (a *Attempts) Begin(token types.NamespacedName, e *v1alpha1.LedgerEntry) {
	a.began.edit(token, func(b *begun) bool {
		if e.Updating == "" {
			b.attempt = idOf(e)
		} else {
			b.change = idOf(e)
		}
		return true
	})
}

// Reject records that the provider rejected an attempt of this process.
func (a *Attempts) Reject(token types.NamespacedName, why *Rejection) {
	a.began.edit(token, func(b *begun) bool { b.rejection = *why; return true })
}

// Of returns what is known about an entry. It is empty unless the entry is an attempt with
// an unknown outcome or a change in place.
func (a *Attempts) Of(token types.NamespacedName, e *v1alpha1.LedgerEntry, now time.Duration) Attempt {
	id := idOf(e)
	if id == "" {
		return Attempt{}
	}
	began, _ := a.began.get(token)
	out := Attempt{Ours: id == began.attempt || id == began.change, Rejection: a.Rejection(token, e.Name)}
	seen, _ := a.seen.get(token)
	if first, known := seen.first[id]; known {
		out.SeenFor = now - first
	}
	return out
}

// Rejection returns how the provider rejected an attempt of this process; nil if it did not.
func (a *Attempts) Rejection(token types.NamespacedName, attempt string) *Rejection {
	began, _ := a.began.get(token)
	if attempt == "" || began.rejection.Attempt != attempt {
		return nil
	}
	return &began.rejection
}
