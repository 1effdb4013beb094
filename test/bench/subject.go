package main

import (
	"context"
	"fmt"
	"runtime/pprof"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"

	"apitoken.dev/operator/internal/clock"
	"apitoken.dev/operator/internal/operator"
	"apitoken.dev/operator/internal/provider/registry"
	"apitoken.dev/operator/test/support/fake"
)

// subject is the operator, which runs in this process as in the binary. It serves all
// namespaces, but its lists and watches exclude the floor's.
type subject struct {
	cfg      *rest.Config
	settings settings
	backend  *fake.Backend
	traffic  *traffic
	progress *progress
	stop     func() error
}

func newSubject(cfg *rest.Config, s settings) *subject {
	t := &traffic{blind: floorNamespace}
	return &subject{
		cfg: t.configure(cfg, "bench-operator"), settings: s, traffic: t,
		backend: fake.NewBackend(clock.NewReal()), progress: &progress{},
	}
}

// start starts the operator. It returns once the caches are filled.
func (s *subject) start(ctx context.Context) error {
	drivers, err := registry.New(registry.Entry{
		Driver:   fake.New(s.backend),
		Settings: func(p registry.Spec) (any, bool) { return nil, p.AWS != nil },
	})
	if err != nil {
		return fmt.Errorf("registering the in-memory provider: %w", err)
	}
	mgr, err := operator.New(ctx, s.cfg, operator.Options{
		Registry: drivers, Logger: s.settings.logger(), Version: "bench", ClusterPlaces: s.settings.concurrency,
		ProviderRate: -1, // without pacing, to measure the operator itself
	})
	if err != nil {
		return err
	}
	if err := s.progress.follow(ctx, mgr.GetCache()); err != nil {
		return err
	}
	s.launch(ctx, mgr)
	if !mgr.GetCache().WaitForCacheSync(ctx) {
		return fmt.Errorf("the operator's caches are not filled: %w", context.Cause(ctx))
	}
	return nil
}

func (s *subject) launch(ctx context.Context, mgr manager.Manager) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go pprof.Do(ctx, pprof.Labels("side", "operator"), func(ctx context.Context) { ended <- mgr.Start(ctx) })
	s.stop = sync.OnceValue(func() error {
		cancel()
		if err := <-ended; err != nil {
			return fmt.Errorf("stopping the operator: %w", err)
		}
		return nil
	})
}

// calls is the number of requests to the provider so far.
func (s *subject) calls() int {
	n := 0
	for _, call := range s.backend.Calls() {
		if call.Phase == fake.Before {
			n++
		}
	}
	return n
}

// idle waits until the controller of ApiTokens has made at least this many reconciles
// since this process started, and its queue is empty.
func (s *subject) idle(ctx context.Context, reconciles int) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		w, err := readWork()
		if err != nil {
			return err
		}
		if w.reconciles >= reconciles && w.queued == 0 && w.working == 0 {
			return nil
		}
		if err := sleep(ctx, 5*time.Millisecond); err != nil {
			return fmt.Errorf("after %d reconciles the operator has not reconciled every ApiToken, %d are queued: %w", w.reconciles, w.queued, err)
		}
	}
}

// work is the state of the ApiToken controller, from its metrics.
type work struct{ reconciles, queued, working int }

func readWork() (work, error) {
	var gatherer prometheus.Gatherer = ctrlmetrics.Registry
	families, err := gatherer.Gather()
	if err != nil {
		return work{}, fmt.Errorf("reading the metrics: %w", err)
	}
	var w work
	for _, family := range families {
		switch family.GetName() {
		case "controller_runtime_reconcile_total":
			w.reconciles = sumOf(family, "controller")
		case "workqueue_depth":
			w.queued = sumOf(family, "name")
		case "controller_runtime_active_workers":
			w.working = sumOf(family, "controller")
		}
	}
	return w, nil
}

// sumOf adds up the values of a family that belong to the controller of ApiTokens.
func sumOf(family *dto.MetricFamily, label string) int {
	sum := 0.0
	for _, m := range family.GetMetric() {
		for _, l := range m.GetLabel() {
			if l.GetName() == label && l.GetValue() == "apitoken" {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return int(sum)
}
