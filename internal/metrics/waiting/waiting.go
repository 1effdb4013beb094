// Package waiting serves how many objects wait, and how long the first of them
// has waited.
package waiting

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

// What objects wait for.
const (
	// ForWorker: they are in the queue of a controller.
	ForWorker = "worker"
	// ForPlace: they are in the line of a provider.
	ForPlace = "place"
)

func describe(name, help string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, []string{"controller", "for"}, nil)
}

var (
	count = describe("apitoken_waiting",
		"Objects that wait, by controller (apitoken, tokenprovider, clustertokenprovider) and by what they wait for: a worker of the operator, or a place at a provider.")
	oldest = describe("apitoken_oldest_waiting_seconds",
		"How long the first of the objects that wait has waited, by controller and by what it waits for; 0 when none waits.")
)

// Stats returns how many wait, and how long the first of them has waited.
type Stats = func() (waiting int, oldest time.Duration)

type key struct{ controller, what string }

// collector asks all sources at the time of a scrape.
type collector struct {
	mu      sync.Mutex
	sources map[key]Stats
}

var served = &collector{sources: map[key]Stats{}}

func init() { metrics.Registry.MustRegister(served) }

// Observe serves what stats returns. A process that starts several operators
// serves the last one.
func Observe(controller, what string, stats Stats) {
	served.mu.Lock()
	defer served.mu.Unlock()
	served.sources[key{controller, what}] = stats
}

// Describe implements prometheus.Collector.
func (*collector) Describe(to chan<- *prometheus.Desc) {
	to <- count
	to <- oldest
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(to chan<- prometheus.Metric) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for k, stats := range c.sources {
		n, longest := stats()
		to <- prometheus.MustNewConstMetric(count, prometheus.GaugeValue, float64(n), k.controller, k.what)
		to <- prometheus.MustNewConstMetric(oldest, prometheus.GaugeValue, longest.Seconds(), k.controller, k.what)
	}
}
