package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"

	"apitoken.dev/operator/api/v1alpha1"
)

// patience limits the time of a batch.
const patience = 3 * time.Minute

// progress follows ApiTokens through the operator's own cache, which costs no
// request and hardly any CPU.
type progress struct {
	mu sync.Mutex
	// unseen are the expected ApiTokens that are not in the cache yet, unready those that
	// are not Ready yet.
	unseen, unready map[string]struct{}
	seen, ready     chan struct{}
	generation      int64
	// reserved and recorded are the statuses of the first ApiToken, after its reservation
	// and after its record.
	reserved, recorded *v1alpha1.ApiTokenStatus
}

// follow makes p follow the ApiTokens of a cache.
func (p *progress) follow(ctx context.Context, c cache.Cache) error {
	informer, err := c.GetInformer(ctx, &v1alpha1.ApiToken{}, cache.BlockUntilSynced(false))
	if err != nil {
		return fmt.Errorf("following the ApiTokens: %w", err)
	}
	_, err = informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { p.see(o) },
		UpdateFunc: func(_, o any) { p.see(o) },
	})
	if err != nil {
		return fmt.Errorf("following the ApiTokens: %w", err)
	}
	return nil
}

// expect sets the ApiTokens to wait for, and their rotation generation.
func (p *progress) expect(names []string, generation int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.unseen, p.unready = map[string]struct{}{}, map[string]struct{}{}
	for _, name := range names {
		p.unseen[name], p.unready[name] = struct{}{}, struct{}{}
	}
	p.seen, p.ready, p.generation = make(chan struct{}), make(chan struct{}), generation
}

func (p *progress) see(object any) {
	t, ok := object.(*v1alpha1.ApiToken)
	if !ok {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sample(t)
	if t.Spec.Rotation.Generation != p.generation {
		return
	}
	remove(p.unseen, t.Name, p.seen)
	if done(t) {
		remove(p.unready, t.Name, p.ready)
	}
}

// remove removes a name, and closes the channel after the last one.
func remove(names map[string]struct{}, name string, empty chan struct{}) {
	if _, ok := names[name]; !ok {
		return
	}
	delete(names, name)
	if len(names) == 0 {
		close(empty)
	}
}

func (p *progress) sample(t *v1alpha1.ApiToken) {
	if len(t.Status.Credentials) != 1 || p.recorded != nil {
		return
	}
	switch {
	case t.Status.Credentials[0].State == v1alpha1.StateMinting && p.reserved == nil:
		p.reserved = t.Status.DeepCopy()
	case done(t):
		p.recorded = t.Status.DeepCopy()
	}
}

// samples returns copies of the two statuses.
func (p *progress) samples() (reserved, recorded *v1alpha1.ApiTokenStatus, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reserved == nil || p.recorded == nil {
		return nil, nil, errors.New("no reservation or no record of the operator was seen: the floor cannot copy them")
	}
	return p.reserved.DeepCopy(), p.recorded.DeepCopy(), nil
}

// done reports whether an ApiToken has the credential that it declares.
func done(t *v1alpha1.ApiToken) bool {
	ready := meta.FindStatusCondition(t.Status.Conditions, v1alpha1.ConditionReady)
	return ready != nil && ready.Status == "True" && ready.ObservedGeneration == t.Generation &&
		slices.ContainsFunc(t.Status.Credentials, func(e v1alpha1.LedgerEntry) bool {
			return e.State == v1alpha1.StateActive && e.RotationGeneration == t.Spec.Rotation.Generation
		})
}

// allSeen waits until the cache holds every expected ApiToken, allReady until all are Ready.
func (p *progress) allSeen(ctx context.Context) error {
	return p.await(ctx, p.seen, "seen by the operator", &p.unseen)
}

func (p *progress) allReady(ctx context.Context) error {
	return p.await(ctx, p.ready, "Ready", &p.unready)
}

func (p *progress) await(ctx context.Context, c <-chan struct{}, what string, left *map[string]struct{}) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case <-c:
		return nil
	case <-ctx.Done():
		p.mu.Lock()
		defer p.mu.Unlock()
		for name := range *left {
			return fmt.Errorf("%d ApiTokens, %s among them, are not %s (-v shows the operator's log): %w", len(*left), name, what, ctx.Err())
		}
		return ctx.Err()
	}
}
