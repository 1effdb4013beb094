package orphansweep

import (
	"context"
	"sync"
)

// snapshots read the cluster for many providers at once. Each caller gets one that
// was begun after it asked, and all that ask while one is being read share the next.
// An earlier snapshot is never used again: a credential that was recorded after it, and
// listed since, would be in no ledger.
type snapshots struct {
	ctx  context.Context
	read func(context.Context) (*cluster, error)

	mu      sync.Mutex
	next    *snapshot
	reading bool
}

type snapshot struct {
	done chan struct{}
	got  *cluster
	err  error
}

// after returns what the cluster knows at a moment after the call.
func (s *snapshots) after(ctx context.Context) (*cluster, error) {
	s.mu.Lock()
	wanted := s.next
	if wanted == nil {
		wanted = &snapshot{done: make(chan struct{})}
		s.next = wanted
	}
	if !s.reading {
		s.reading = true
		go s.run()
	}
	s.mu.Unlock()
	select {
	case <-wanted.done:
		return wanted.got, wanted.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// run reads until nobody waits.
func (s *snapshots) run() {
	for {
		s.mu.Lock()
		wanted := s.next
		s.next = nil
		s.reading = wanted != nil
		s.mu.Unlock()
		if wanted == nil {
			return
		}
		wanted.got, wanted.err = s.read(s.ctx)
		close(wanted.done)
	}
}
