package operator

import (
	"time"

	"apitoken.dev/operator/internal/fairqueue"
	"apitoken.dev/operator/internal/metrics"
	"apitoken.dev/operator/internal/places"
)

const (
	// checksOfNamespace is how many TokenProviders of one namespace are health-checked at
	// once.
	checksOfNamespace = 4
	// perSleeper is how many mints one namespace can have in progress for each of its
	// places. Most of them wait for a credential to become usable.
	perSleeper = 2
)

// lines creates the queues and places of the controllers, and registers their metrics.
type lines struct {
	o     Options
	queue fairqueue.Factory
}

func newLines(o Options) lines {
	return lines{o: o, queue: fairqueue.New(o.Clock, func(name string, stats func() (int, time.Duration)) {
		metrics.ObserveQueue(name, metrics.ForWorker, stats)
	})}
}

// inAll is how many workers can call providers, or wait for one, at the same time. The
// others are for reconciles that need no provider.
func (l lines) inAll() int { return max(1, l.o.Concurrency*3/4) }

// tokens are the places of ApiTokens.
func (l lines) tokens() *places.Places {
	return l.places("apitoken", places.Limits{
		Shared: l.o.ClusterPlaces, SharedEach: max(1, l.o.ClusterPlaces*3/4), Provider: l.o.ProviderPlaces, Account: 1,
		Namespace: l.o.NamespacePlaces, Asleep: perSleeper * l.o.NamespacePlaces, InAll: l.inAll(),
	})
}

// checks are the places of health checks of one kind of provider.
func (l lines) checks(controller string) *places.Places {
	return l.places(controller, places.Limits{Provider: 1, Namespace: checksOfNamespace, InAll: l.inAll()})
}

func (l lines) places(controller string, limits places.Limits) *places.Places {
	p := places.New(l.o.Clock, limits)
	metrics.ObserveQueue(controller, metrics.ForPlace, func() (int, time.Duration) {
		s := p.Stats()
		return s.Waiting, s.Oldest
	})
	return p
}
