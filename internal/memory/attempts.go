package memory

import (
	"time"

	"k8s.io/apimachinery/pkg/types"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/trim"
)

// Attempts remember when this process first saw each attempt without an answer and each
// in-place change, and which of them this process began. No timestamp of another process
// decides when an attempt is settled.
type Attempts struct {
	seen  *byToken[sightings]
	began *byToken[begun]
}

// sightings are when each attempt and in-place change of an ApiToken was first seen, and
// the version that See recorded last.
type sightings struct {
	uid     types.UID
	version string
	first   map[string]time.Duration
}

// begun is what this process began last for an ApiToken. It begins another attempt or
// change only after it has dealt with the one before.
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
	// How the reservation is taken back; the pause is counted from At.
	How plan.Rejection
	At  time.Time
	// Failed is the outcome that the ApiToken reports.
	Failed plan.Outcome
}

// Attempt is what this process knows of an attempt without an answer, or of an in-place
// change.
type Attempt struct {
	// Ours: this process began it.
	Ours bool
	// SeenFor is how long ago it was first seen.
	SeenFor time.Duration
	// Rejection is how the provider rejected the attempt; nil if it did not.
	Rejection *Rejection
}

func newAttempts(m *Memory) *Attempts { return &Attempts{perToken[sightings](m), perToken[begun](m)} }

// idOf identifies an attempt without an answer by its name, and an in-place change by its
// mark. It is empty for other entries: those that are or were Active have had their answer.
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

// Begin records that this process begins an attempt, before it writes the reservation, or
// an in-place change, after it wrote the mark.
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

// Of returns what is known of an entry. It is empty unless the entry is an attempt without
// an answer or an in-place change.
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
