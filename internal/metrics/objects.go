package metrics

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
)

// Objects are the ApiTokens and providers of one operator.
type Objects struct {
	// Cached reads ApiTokens and providers from a cache.
	Cached client.Reader
	// Driver returns the driver type of a provider; empty if it has no driver.
	Driver func(account.Object) string
	// PerToken: each ApiToken has its own series. Otherwise one series has the lowest
	// value of all ApiTokens of a namespace and provider.
	PerToken bool
	// Version of the operator.
	Version string
	// Started is when the operator was started.
	Started time.Time
}

// ServeObjects serves the metrics of objects until stop is called. Only the leader calls
// it, because other replicas would report the same objects.
func ServeObjects(ctx context.Context, o Objects) (stop func()) { return objects.add(ctx, o) }

// objects is the collector of this process. A process can run several operators, and the
// registry accepts a collector once.
var objects = &objectCollector{}

func init() { metrics.Registry.MustRegister(objects) }

// objectCollector collects the metrics of all sources, and counts each object once.
type objectCollector struct {
	mu      sync.Mutex
	sources map[*objectSource]bool
}

// objectSource has the objects of one operator.
type objectSource struct {
	Objects
	// read fails when the operator is stopping.
	read func(tokens *v1alpha1.ApiTokenList) ([]account.Object, error)
}

// add adds a source. It returns a function that removes it.
func (c *objectCollector) add(ctx context.Context, o Objects) (remove func()) {
	s := &objectSource{Objects: o, read: func(tokens *v1alpha1.ApiTokenList) ([]account.Object, error) {
		if err := o.Cached.List(ctx, tokens, client.UnsafeDisableDeepCopy); err != nil {
			return nil, fmt.Errorf("listing ApiTokens: %w", err)
		}
		return account.List(ctx, o.Cached)
	}}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sources == nil {
		c.sources = map[*objectSource]bool{}
	}
	c.sources[s] = true
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.sources, s)
	}
}

// Describe implements prometheus.Collector.
func (*objectCollector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range descriptions {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (c *objectCollector) Collect(to chan<- prometheus.Metric) {
	c.mu.Lock()
	sources := make([]*objectSource, 0, len(c.sources))
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
			continue // the cache is closed: the operator is stopping
		}
		s.keep(info, 1, from.Version)
		s.keep(started, float64(from.Started.Unix()), from.Version)
		s.providers(from, providers, seen)
		s.tokens(from, tokens.Items, providers, seen)
	}
	s.send(to)
}
