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
	// maxSightings bounds the sightings for one set of minting credentials. The provider
	// chooses the names, and only a complete list shows that a credential is gone.
	maxSightings = 10 * maxCandidates
	// maxParts is how many consecutive lists can continue where the previous one was cut.
	// Then a list starts at the first page again, since a provider's pages may never end.
	maxParts = 24
)

// memory is the state between sweeps for one set of minting credentials. Only one turn uses
// it at a time.
type memory struct {
	// first are the sightings of credentials whose age the provider does not show.
	first map[sighting]sighted
	// lists counts the complete lists. absent are the credentials in use that the list of
	// that number did not show.
	lists  int
	absent map[string]int
	// cursor is where the next list starts. parts counts the lists that were cut since the
	// last one that started at the first page.
	cursor string
	parts  int
}

// continueAt sets where the next list starts; "" is the first page.
func (m *memory) continueAt(next string) {
	if m.parts++; next == "" || m.parts == maxParts {
		next, m.parts = "", 0
	}
	m.cursor = next
}

// trim drops the oldest sightings beyond maxSightings.
func (m *memory) trim() {
	if len(m.first) <= maxSightings {
		return
	}
	keys := slices.SortedFunc(maps.Keys(m.first), func(a, b sighting) int { return cmp.Compare(m.first[a].round, m.first[b].round) })
	for _, key := range keys[:len(keys)-maxSightings] {
		delete(m.first, key)
	}
}

// cut returns the inventory of a list that did not end. If a limit, the deadline or the
// provider's rate limit ended the list, the next sweep continues after the last whole page.
// After any other error, which can mean that the provider no longer knows the marker, and
// after a list without a whole page, it starts at the first page.
func (inv inventory) cut(ctx context.Context, cursor *provider.Cursor, err error) (inventory, error) {
	limited := errors.Is(err, provider.ErrCut) || ctx.Err() != nil || provider.AsError(err).Code == provider.CodeRateLimited
	if next := cursor.Next(); limited && next != cursor.Start() {
		inv.next = next
	}
	if inv.next != "" {
		err = fmt.Errorf("%w; the next sweep continues where this list ended", err)
	}
	return inv, err
}

// sighting identifies a credential that was seen and is in no ledger.
type sighting struct{ name, id string }

type sighted struct {
	// at is when it was first seen, by the monotonic clock, and round the last round that
	// saw it.
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
