package orphansweep

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"apitoken.dev/operator/internal/account"
)

const (
	// atOnce is how many turns run at the same time, perNamespace how many of them for the
	// TokenProviders of one namespace, and ofCluster how many for ClusterTokenProviders. A
	// namespace whose providers do not answer thus does not block the others.
	atOnce       = 128
	perNamespace = 4
	ofCluster    = 16
)

// turn sweeps an account once with one set of minting credentials. Each of its providers
// would show the same.
type turn struct{ providers []account.Object }

// turns groups the Ready providers in their order. A provider that was never connected has
// its own turn; round.claim prevents a second list with the same minting credentials.
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

// each takes all turns and returns their errors. Turns that have not started when the next
// sweep is due are left to it: otherwise many providers of one namespace that do not answer
// would delay all others for days. Each round starts with other turns of a namespace, so
// that each gets its turn.
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

// take sweeps with the first provider that succeeds, within the time of one turn.
func (r *round) take(ctx context.Context, t turn) error {
	ctx, cancel := context.WithTimeout(ctx, r.s.o.Turn)
	defer cancel()
	var failed []error
	for i, o := range t.providers {
		err := r.sweep(ctx, o, t.providers)
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
