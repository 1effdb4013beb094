package orphansweep

import (
	"context"
	"sync"
)

// snapshots reads the cluster for many concurrent callers. Each caller gets a snapshot that
// was started after its call, and all callers during a read share the next one. An earlier
// snapshot is never reused: a credential that was recorded after it, and listed since,
// would be in no ledger.
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

// after returns a snapshot that was started after the call.
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

// run reads until no caller waits.
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
