package orphansweep

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"apitoken.dev/operator/internal/account"
)

const (
	// atOnce is how many turns run at the same time, perNamespace how many of them for
	// the TokenProviders of one namespace, and ofCluster for ClusterTokenProviders. So
	// a namespace whose providers do not answer does not keep others from their turn.
	atOnce       = 128
	perNamespace = 4
	ofCluster    = 16
)

// turn is one look at an account with one set of credentials. Each of its providers
// would see the same there.
type turn struct{ providers []account.Object }

// turns groups the Ready providers, in their order. A provider that was not connected
// yet has a turn of its own; round.claim sees to it that nothing is listed twice.
func (s *Sweeper) turns(providers []account.Object) []turn {
	var out []turn
	of := map[account.MinterIdentity]int{}
	for _, o := range providers {
		if !o.Ready() {
			continue
		}
		minter, known := s.o.Pool.Minter(o.Key())
		if i, ok := of[minter]; ok && known {
			out[i].providers = append(out[i].providers, o)
			continue
		}
		if known {
			of[minter] = len(out)
		}
		out = append(out, turn{providers: []account.Object{o}})
	}
	return out
}

// each takes all turns and returns their errors. What has not begun when the next sweep
// is due is left to that: many providers of one namespace that do not answer would keep
// it from all others for days. Each round begins with other turns of a namespace, so
// that none is left out for ever.
func (r *round) each(ctx context.Context, turns []turn) []error {
	begin, cancel := context.WithTimeout(ctx, r.s.o.Interval)
	defer cancel()
	waiting := map[string][]turn{}
	for _, t := range turns {
		namespace := t.providers[0].GetNamespace()
		waiting[namespace] = append(waiting[namespace], t)
	}
	var failed []error
	var mu sync.Mutex
	var done sync.WaitGroup
	running := make(chan struct{}, atOnce)
	for namespace, own := range waiting {
		limit := perNamespace
		if namespace == "" {
			limit = ofCluster
		}
		queue := make(chan turn, len(own))
		for i := range own {
			queue <- own[(r.number*limit+i)%len(own)]
		}
		close(queue)
		for range min(limit, len(own)) {
			done.Go(func() {
				for t := range queue {
					running <- struct{}{}
					var err error
					if begin.Err() == nil {
						err = r.take(ctx, t)
					}
					<-running
					mu.Lock()
					failed = append(failed, err)
					mu.Unlock()
				}
			})
		}
	}
	done.Wait()
	return failed
}

// take looks with the first provider that can, within the time of one turn.
func (r *round) take(ctx context.Context, t turn) error {
	ctx, cancel := context.WithTimeout(ctx, r.s.o.Turn)
	defer cancel()
	var failed []error
	for i, o := range t.providers {
		err := r.look(ctx, o, t.providers)
		if err == nil {
			for _, other := range t.providers[i+1:] {
				r.s.report(other.Key(), 0, true)
			}
			break
		}
		failed = append(failed, fmt.Errorf("%s: %w", o.Key(), err))
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(failed...)
}
