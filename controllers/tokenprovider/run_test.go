package tokenprovider

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/config"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/clock"
	"apitoken.dev/operator/internal/connections"
	"apitoken.dev/operator/internal/trim"
	"apitoken.dev/operator/test/support/kit"
)

// requests records the writes at the API server, except of leases and events.
type requests struct {
	mu     sync.Mutex
	writes []string
}

func (r *requests) wrap(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(req *http.Request) (*http.Response, error) {
		if req.Method != http.MethodGet && !strings.Contains(req.URL.Path, "/events") {
			r.mu.Lock()
			r.writes = append(r.writes, req.Method+" "+req.URL.Path)
			r.mu.Unlock()
		}
		return next.RoundTrip(req)
	})
}

func (r *requests) seen() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.writes...)
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// run starts the controllers as the operator does. Call stop to end them.
func (w *world) run(c clock.Clock) (stop func(), counted *requests) {
	w.Helper()
	counted = &requests{}
	cfg := rest.CopyConfig(env.Config)
	cfg.QPS = -1
	cfg.Wrap(counted.wrap)
	mgr := w.manager(cfg)
	ctx, cancel := context.WithCancel(w.Context())
	if err := account.AddIndex(ctx, mgr.GetFieldIndexer()); err != nil {
		w.Fatal(err)
	}
	pool := connections.NewPool(connections.Options{Reader: mgr.GetClient(), Live: mgr.GetAPIReader(),
		Registry: w.registry, Namespace: w.namespace, Cluster: "testtest", Clock: c})
	w.pool = pool
	for _, kind := range []v1alpha1.ProviderKind{v1alpha1.KindTokenProvider, v1alpha1.KindClusterTokenProvider} {
		r := &Reconciler{Kind: kind, Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Pool: pool,
			Clock: c, Recorder: mgr.GetEventRecorder("apitoken.dev/test"), Namespace: w.namespace}
		if err := r.Setup(mgr, 2, nil); err != nil {
			w.Fatal(err)
		}
	}
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				w.Error(err)
			}
		})
	}
	w.Cleanup(stop)
	return stop, counted
}

func (w *world) manager(cfg *rest.Config) ctrl.Manager {
	w.Helper()
	managed, err := labels.NewRequirement(v1alpha1.LabelManaged, selection.Exists, nil)
	if err != nil {
		w.Fatal(err)
	}
	many := true
	mgr, err := ctrl.NewManager(cfg, ctrl.Options{
		Scheme:     kit.Scheme(),
		NewClient:  w.newClient,
		Metrics:    metricsserver.Options{BindAddress: "0"},
		Controller: config.Controller{SkipNameValidation: &many},
		Cache: cache.Options{
			DefaultNamespaces: map[string]cache.Config{w.namespace: {}},
			ByObject:          trim.ByObject(cache.ByObject{Label: labels.NewSelector().Add(*managed)}),
		},
	})
	if err != nil {
		w.Fatal(err)
	}
	return mgr
}

// newClient returns a client of the cache. While w.stale is set, it shows no ApiToken, like
// a cache that lags.
func (w *world) newClient(cfg *rest.Config, o client.Options) (client.Client, error) {
	cached, err := client.NewWithWatch(cfg, o)
	if err != nil {
		return nil, err
	}
	return interceptor.NewClient(cached, interceptor.Funcs{
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			if _, tokens := list.(*v1alpha1.ApiTokenList); tokens && w.stale.Load() {
				return nil
			}
			return c.List(ctx, list, opts...)
		},
	}), nil
}

// shifted is the real clock plus a shift that a test advances.
type shifted struct {
	clock.Real
	by atomic.Int64
}

func newShifted() *shifted { return &shifted{Real: clock.NewReal()} }

func (s *shifted) advance(d time.Duration) { s.by.Add(int64(d)) }

func (s *shifted) Monotonic() time.Duration { return s.Real.Monotonic() + time.Duration(s.by.Load()) }

func (s *shifted) Now() time.Time { return s.Real.Now().Add(time.Duration(s.by.Load())) }
