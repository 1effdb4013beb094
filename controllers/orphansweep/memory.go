package orphansweep

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/provider"
)

const (
	// maxSightings is how many of them are kept for a set of credentials. A list that is
	// never complete shows none of them to be gone, and the provider writes their names.
	maxSightings = 10 * maxCandidates
	// maxParts is how many lists in a row may go on where the one before was cut. After
	// that the first pages are due again, since a provider's pages may never end.
	maxParts = 24
)

// memory is what is kept between sweeps for one set of credentials. One turn uses it
// at a time.
type memory struct {
	// first is what was seen whose age the provider does not tell.
	first map[sighting]sighted
	// lists counts the lists that were complete. Absent are the credentials in use that
	// the list with that number did not show.
	lists  int
	absent map[string]int
	// cursor is where the next list begins, and parts counts the lists that were cut
	// since the last one that began at the beginning.
	cursor string
	parts  int
}

// goOn notes where the next list begins; "" is the beginning.
func (m *memory) goOn(next string) {
	if m.parts++; next == "" || m.parts == maxParts {
		next, m.parts = "", 0
	}
	m.cursor = next
}

// trim forgets the sightings that are the longest ago, beyond maxSightings.
func (m *memory) trim() {
	if len(m.first) <= maxSightings {
		return
	}
	keys := slices.SortedFunc(maps.Keys(m.first), func(a, b sighting) int { return cmp.Compare(m.first[a].round, m.first[b].round) })
	for _, key := range keys[:len(keys)-maxSightings] {
		delete(m.first, key)
	}
}

// cut returns what a list that did not end has shown. The next sweep goes on behind
// the last page that was taken as a whole, if the list was ended by a limit, its
// deadline or the provider's rate. After any other error, which may be that of a marker
// that the provider no longer knows, and after a list that took no page, it begins at
// the beginning.
func (inv inventory) cut(ctx context.Context, cursor *provider.Cursor, err error) (inventory, error) {
	limited := errors.Is(err, provider.ErrCut) || ctx.Err() != nil || provider.AsError(err).Code == provider.CodeRateLimited
	if next := cursor.Next(); limited && next != cursor.Start() {
		inv.next = next
	}
	if inv.next != "" {
		err = fmt.Errorf("%w; the next sweep goes on behind what was listed", err)
	}
	return inv, err
}

// sighting is a credential that was seen without being in a ledger.
type sighting struct{ name, id string }

type sighted struct {
	// at is when, by the monotonic clock; round is the last one that saw it.
	at    time.Duration
	round int
}

func (s *Sweeper) remembered(minter account.MinterIdentity) *memory {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.memories[minter]
	if m == nil {
		m = &memory{first: map[sighting]sighted{}}
		s.memories[minter] = m
	}
	return m
}
