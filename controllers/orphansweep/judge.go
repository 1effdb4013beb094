package orphansweep

import (
	"context"
	"slices"
	"strings"
	"time"

	"apitoken.dev/operator/internal/credname"
	"apitoken.dev/operator/internal/provider"
)

// confirmed is how many orphans are looked up one by one; more are no coincidence. The same
// number of retained credentials that seem to have expired is looked up too.
const confirmed = 50

// orphan is a credential that is in no ledger.
type orphan struct {
	provider.Credential
	// spared is why it must not be revoked; empty if it may be.
	spared string
	// expired: by the expiry that the provider shows, it ended long enough ago.
	expired bool
	// retained: a retained Secret holds it and says that it has expired. It is an orphan
	// only if the provider confirms that.
	retained bool
}

// judge returns the orphans of an inventory, sorted by name. Names that the operator did
// not make, and those of another cluster, are ignored.
//
// Without candidates, known may be nil.
//
// A retained Secret counts as a ledger, except in mode Revoke if its credential seems to
// have expired.
func (s *Sweeper) judge(inv inventory, known *cluster, m *memory, round int) []orphan {
	var out []orphan
	for _, c := range inv.candidates {
		hint, retained := known.retained[c.Name]
		if retained && (s.o.Mode != Revoke || !s.expired(c.ExpiresAt) && !s.expired(hint)) {
			continue
		}
		if known.ledger[c.Name] || !s.oldEnough(c.Credential, m, round) {
			continue
		}
		out = append(out, orphan{Credential: c.Credential, retained: retained, spared: known.spares(c.Name, c.parsed)})
	}
	if inv.complete {
		for key, was := range m.first {
			if was.round != round {
				delete(m.first, key)
			}
		}
	}
	m.trim()
	slices.SortFunc(out, func(a, b orphan) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// expired reports whether a known expiry has passed, with a margin for clock differences.
func (s *Sweeper) expired(at time.Time) bool { return !at.IsZero() && s.o.Clock.Now().Sub(at) >= grace }

// confirm drops the orphans that no longer exist: they were revoked, and left their ledger,
// after the provider was listed. It also learns the expiry where only Find shows it. A
// credential that has expired is no longer spared.
func (s *Sweeper) confirm(ctx context.Context, inv inventory, orphans []orphan) ([]orphan, error) {
	var out []orphan
	looked := map[bool]int{} // by whether it is retained
	for _, o := range orphans {
		if looked[o.retained]++; looked[o.retained] <= confirmed {
			found, err := inv.connection.Client.Find(ctx, provider.Ref{Name: o.Name, ID: o.ID, Since: o.CreatedAt})
			if err != nil {
				return nil, provider.AsError(err)
			}
			if found = provider.Occupying(found); len(found) == 0 {
				continue
			}
			o.learn(found)
		}
		if o.expired = s.expired(o.ExpiresAt); o.expired && s.o.Mode == Revoke {
			o.spared = ""
		}
		if o.retained && !o.expired {
			continue
		}
		out = append(out, o)
	}
	return out, nil
}

// learn takes the expiry from the result of Find.
func (o *orphan) learn(found []provider.Credential) {
	for _, c := range found {
		if c.ID == o.ID && !c.ExpiresAt.IsZero() {
			o.ExpiresAt = c.ExpiresAt
		}
	}
}

// oldEnough reports whether a credential is old enough to be in a ledger. If the provider
// does not show its age, the time since this process first saw it counts.
func (s *Sweeper) oldEnough(c provider.Credential, m *memory, round int) bool {
	if !c.CreatedAt.IsZero() {
		return s.o.Clock.Now().Sub(c.CreatedAt) >= grace
	}
	now := s.o.Clock.Monotonic()
	key := sighting{c.Name, c.ID}
	was, ok := m.first[key]
	if !ok {
		was.at = now
	}
	was.round = round
	m.first[key] = was
	return now-was.at >= grace
}

// spares returns why a name must not be revoked, or "".
func (c *cluster) spares(name string, n credname.Name) string {
	if c.inSecret[name] {
		return "a Secret holds it"
	}
	if o, ok := c.ahead(n); ok {
		return "its revision is above the ledger of ApiToken " + o.namespace + "/" + o.name + ", which may have been restored from an older state"
	}
	return ""
}
