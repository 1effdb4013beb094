package bounded

import (
	"context"
	"sync"
)

// decoders is how many answers are decoded at once in the process. Together with
// maxWeight it limits the memory that answers with any content take.
const decoders = 4

// slots are the answers that may be decoded now, one per owner: the answers of one
// tenant's provider delay those of others by at most one.
var slots = &slotLine{free: make(chan struct{}, decoders), owners: map[string]*owner{}}

type slotLine struct {
	free chan struct{}

	mu sync.Mutex
	// owners have an answer that is being decoded or waits.
	owners map[string]*owner
}

type owner struct {
	turn    chan struct{}
	answers int
}

// take waits for a slot, and returns what frees it. An error is the context's.
func (s *slotLine) take(ctx context.Context, name string) (free func(), err error) {
	o := s.enter(name)
	select {
	case o.turn <- struct{}{}:
	case <-ctx.Done():
		s.leave(name)
		return nil, ctx.Err()
	}
	select {
	case s.free <- struct{}{}:
	case <-ctx.Done():
		<-o.turn
		s.leave(name)
		return nil, ctx.Err()
	}
	return sync.OnceFunc(func() {
		<-s.free
		<-o.turn
		s.leave(name)
	}), nil
}

func (s *slotLine) enter(name string) *owner {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.owners[name]
	if o == nil {
		o = &owner{turn: make(chan struct{}, 1)}
		s.owners[name] = o
	}
	o.answers++
	return o
}

func (s *slotLine) leave(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o := s.owners[name]; o.answers > 1 {
		o.answers--
	} else {
		delete(s.owners, name)
	}
}
