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
const confirmed = 50

// orphan is a credential that no ledger knows.
type orphan struct {
	provider.Credential
	// spared says why it is not to be revoked; empty when it may be.
	spared string
}

// judge returns the orphans of an inventory in the order of their names. Names
// that are not ours, or of another cluster, are none of our business.
func (s *Sweeper) judge(inv inventory, known *cluster, seen map[sighting]bool) []orphan {
	var out []orphan
	for _, c := range inv.credentials {
		n, err := credname.Parse(c.Name)
		if err != nil || !n.InCluster(known.hash) || known.ledger[c.Name] {
			continue
		}
		key := sighting{account: inv.account, name: c.Name}
		seen[key] = true
		if !s.oldEnough(key, c.CreatedAt) {
			continue
		}
		out = append(out, orphan{Credential: c, spared: known.spares(c.Name, n)})
	}
	slices.SortFunc(out, func(a, b orphan) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// confirm drops what is gone by now: it was revoked and left its ledger after the
// provider was listed.
func (s *Sweeper) confirm(ctx context.Context, inv inventory, orphans []orphan) ([]orphan, error) {
	var out []orphan
	for i, o := range orphans {
		if i < confirmed {
			found, err := inv.client.Find(ctx, provider.Ref{Name: o.Name, ID: o.ID, Since: o.CreatedAt})
			if err != nil {
				return nil, provider.AsError(err)
			}
			if len(found) == 0 {
				continue
			}
		}
		out = append(out, o)
	}
	return out, nil
}

// oldEnough reports whether a credential had time to get into a ledger. Where the
// provider does not say when it was made, this process has to have seen it for so long.
func (s *Sweeper) oldEnough(key sighting, created time.Time) bool {
	now := s.o.Clock.Monotonic()
	first, ok := s.firstSeen[key]
	if !ok {
		first = now
		s.firstSeen[key] = now
	}
	if created.IsZero() {
		return now-first >= grace
	}
	return s.o.Clock.Now().Sub(created) >= grace
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

// revocable returns the orphans that may be revoked.
func revocable(orphans []orphan) []orphan {
	return slices.DeleteFunc(slices.Clone(orphans), func(o orphan) bool { return o.spared != "" })
}

// tooMany reports whether so many orphans look like a mistake of ours rather than
// like leftovers: more than 5 and more than a tenth of all.
func tooMany(orphans, all int) bool { return orphans > max(5, all/10) }
