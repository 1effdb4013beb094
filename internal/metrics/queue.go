package metrics

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

// What objects wait for.
const (
	// ForWorker: the objects are in the work queue of a controller.
	ForWorker = "worker"
	// ForPlace: the objects are in the line of a provider.
	ForPlace = "place"
)

var (
	waiting = prometheus.NewDesc("apitoken_waiting",
		"Waiting objects, by controller (apitoken, tokenprovider, clustertokenprovider) and by what they wait for: a worker of the operator, or a place at a provider.",
		[]string{"controller", "for"}, nil)
	oldest = prometheus.NewDesc("apitoken_oldest_waiting_seconds",
		"How long the oldest waiting object has waited, by controller and by what it waits for; 0 when none waits.",
		[]string{"controller", "for"}, nil)
)

// QueueStats returns the number of waiting objects, and how long the oldest has waited.
type QueueStats = func() (waiting int, oldest time.Duration)

type queueKey struct{ controller, what string }

// queueCollector reads all queues at each scrape.
type queueCollector struct {
	mu      sync.Mutex
	sources map[queueKey]QueueStats
}

var queues = &queueCollector{sources: map[queueKey]QueueStats{}}

func init() { metrics.Registry.MustRegister(queues) }

// ObserveQueue serves what stats returns. If a process starts several operators, the last
// one is served.
func ObserveQueue(controller, what string, stats QueueStats) {
	queues.mu.Lock()
	defer queues.mu.Unlock()
	queues.sources[queueKey{controller, what}] = stats
}

// Describe implements prometheus.Collector.
func (*queueCollector) Describe(to chan<- *prometheus.Desc) {
	to <- waiting
	to <- oldest
}

// Collect implements prometheus.Collector.
func (c *queueCollector) Collect(to chan<- prometheus.Metric) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for k, stats := range c.sources {
		n, longest := stats()
		to <- prometheus.MustNewConstMetric(waiting, prometheus.GaugeValue, float64(n), k.controller, k.what)
		to <- prometheus.MustNewConstMetric(oldest, prometheus.GaugeValue, longest.Seconds(), k.controller, k.what)
	}
}
