// Package state makes metrics of what ApiTokens and providers say, from the
// cache and at the time of a scrape: nothing is left of an object that is gone.
package state

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
)

// Options of a Source.
type Options struct {
	// Cached reads ApiTokens and providers from a cache.
	Cached client.Reader
	// Driver is the type of the driver of a provider, or nothing.
	Driver func(account.Object) string
	// PerToken: each ApiToken has series of its own. Otherwise the lowest value
	// of a namespace and provider stands for its ApiTokens.
	PerToken bool
	// Version of the operator.
	Version string
	// Started is when the operator was started.
	Started time.Time
}

// Setup has the objects of a manager's cache counted while it is the one that
// works: replicas that wait would report all of them once more.
func Setup(mgr ctrl.Manager, o Options) error {
	err := mgr.Add(manager.RunnableFunc(func(ctx context.Context) error {
		defer served.add(ctx, o)()
		<-ctx.Done()
		return nil
	}))
	if err != nil {
		return fmt.Errorf("adding the metrics of ApiTokens and providers: %w", err)
	}
	return nil
}

// served is what this process serves. A process may run several operators, and
// the registry takes a collector once.
var served = &collector{}

func init() { metrics.Registry.MustRegister(served) }

// collector collects the metrics of all sources, and counts no object twice.
type collector struct {
	mu      sync.Mutex
	sources map[*source]bool
}

// source is one operator that works.
type source struct {
	Options
	// read reads its objects; it fails when the operator is stopping.
	read func(tokens *v1alpha1.ApiTokenList) ([]account.Object, error)
}

// add adds a source and returns how to remove it.
func (c *collector) add(ctx context.Context, o Options) (remove func()) {
	s := &source{Options: o, read: func(tokens *v1alpha1.ApiTokenList) ([]account.Object, error) {
		if err := o.Cached.List(ctx, tokens, client.UnsafeDisableDeepCopy); err != nil {
			return nil, fmt.Errorf("listing ApiTokens: %w", err)
		}
		return account.List(ctx, o.Cached)
	}}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sources == nil {
		c.sources = map[*source]bool{}
	}
	c.sources[s] = true
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.sources, s)
	}
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range descriptions {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(to chan<- prometheus.Metric) {
	c.mu.Lock()
	sources := make([]*source, 0, len(c.sources))
	for s := range c.sources {
		sources = append(sources, s)
	}
	c.mu.Unlock()
	s := samples{}
	seen := map[any]bool{}
	for _, from := range sources {
		var tokens v1alpha1.ApiTokenList
		providers, err := from.read(&tokens)
		if err != nil {
			continue // the cache is gone: the operator is stopping
		}
		s.keep(info, 1, from.Version)
		s.keep(started, float64(from.Started.Unix()), from.Version)
		s.providers(from, providers, seen)
		s.tokens(from, tokens.Items, providers, seen)
	}
	s.send(to)
}
