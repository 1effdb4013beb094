package orphansweep

import (
	"context"
	"slices"
	"strings"
	"time"

	"apitoken.dev/operator/internal/credname"
	"apitoken.dev/operator/internal/provider"
)

// confirmed is how many orphans are looked up one by one; more are no coincidence.
// As many retained credentials are looked up that seem to have expired.
const confirmed = 50

// orphan is a credential that no ledger knows.
type orphan struct {
	provider.Credential
	// spared says why it is not to be revoked; empty when it may be.
	spared string
	// expired: the provider shows that it has ended long enough ago.
	expired bool
	// retained: a Secret that its ApiToken left behind holds it, and says that it has
	// expired. It is an orphan only if the provider says so too.
	retained bool
}

// judge returns the orphans of an inventory in the order of their names. Names
// that are not ours, or of another cluster, are none of our business.
//
// known may be nil if the inventory has no candidates.
//
// A retained Secret is a ledger. One whose credential seems to have expired is looked
// at when orphans are revoked.
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

// expired reports whether a known expiry is past, with room for clocks that differ.
func (s *Sweeper) expired(at time.Time) bool { return !at.IsZero() && s.o.Clock.Now().Sub(at) >= grace }

// confirm drops what is gone by now: it was revoked and left its ledger after the
// provider was listed. It also learns the expiry where only Find shows it. Whatever
// spares a credential ends with it.
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

// learn takes the expiry from what Find shows.
func (o *orphan) learn(found []provider.Credential) {
	for _, c := range found {
		if c.ID == o.ID && !c.ExpiresAt.IsZero() {
			o.ExpiresAt = c.ExpiresAt
		}
	}
}

// oldEnough reports whether a credential had time to get into a ledger. Where the
// provider does not say when it was made, this process has to have seen it for so long.
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

// spares says why a name must not be revoked, or nothing.
func (c *cluster) spares(name string, n credname.Name) string {
	if c.inSecret[name] {
		return "a Secret holds it"
	}
	if o, ok := c.ahead(n); ok {
		return "its number is above the ledger of ApiToken " + o.namespace + "/" + o.name + ", which may have been restored from an older state"
	}
	return ""
}
