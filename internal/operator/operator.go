package operator

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/controllers/apitoken"
	"apitoken.dev/operator/controllers/orphansweep"
	"apitoken.dev/operator/controllers/tokenprovider"
	"apitoken.dev/operator/internal/connections"
	"apitoken.dev/operator/internal/credname"
	"apitoken.dev/operator/internal/features"
	"apitoken.dev/operator/internal/metrics/state"
)

// recorderName is who events say they are from.
const recorderName = "apitoken.dev/operator"

// Run runs the operator until the context ends.
func Run(ctx context.Context, cfg *rest.Config, o Options) error {
	flush, err := startTracing(ctx, &o)
	if err != nil {
		return err
	}
	defer flush()
	mgr, err := New(ctx, cfg, o)
	if err != nil {
		return err
	}
	if err := mgr.Start(ctx); err != nil {
		return fmt.Errorf("running the operator: %w", err)
	}
	return nil
}

// New returns the operator, ready to be started. The context is for what is read
// while it is put together.
func New(ctx context.Context, cfg *rest.Config, o Options) (manager.Manager, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	mgr, err := newManager(cfg, o)
	if err != nil {
		return nil, err
	}
	cluster, err := clusterHash(ctx, mgr.GetAPIReader(), o.ClusterIdentity)
	if err != nil {
		return nil, err
	}
	if err := prepareCache(ctx, mgr); err != nil {
		return nil, err
	}
	if err := addControllers(mgr, o, cluster); err != nil {
		return nil, err
	}
	if err := state.Setup(mgr, state.Options{
		Cached: mgr.GetClient(), Driver: driverOf(o.Registry), PerToken: o.MetricsPerToken, Version: o.Version,
	}); err != nil {
		return nil, err
	}
	if err := addProbes(mgr); err != nil {
		return nil, err
	}
	o.Logger.Info("apitoken-operator", "version", o.Version, "namespace", o.Namespace, "cluster", cluster)
	return mgr, nil
}

// clusterHash returns the hash that the names of this cluster's credentials carry.
func clusterHash(ctx context.Context, live client.Reader, identity string) (string, error) {
	if identity != "" {
		return credname.Cluster(identity), nil
	}
	system := &metav1.PartialObjectMetadata{}
	system.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	if err := live.Get(ctx, client.ObjectKey{Name: metav1.NamespaceSystem}, system); err != nil {
		return "", fmt.Errorf("reading the UID of namespace kube-system, which identifies the cluster (or set --cluster-identity): %w", err)
	}
	return credname.Cluster(string(system.UID)), nil
}

func addControllers(mgr manager.Manager, o Options, cluster string) error {
	recorder, line := mgr.GetEventRecorder(recorderName), newLines(o)
	pool := connections.NewPool(connections.Options{
		Reader: mgr.GetClient(), Live: mgr.GetAPIReader(), Registry: o.Registry,
		Namespace: o.Namespace, Cluster: cluster, UserAgent: o.userAgent(), HTTP: o.http(), Clock: o.Clock,
		Rate: o.ProviderRate, Burst: o.ProviderBurst, NoUpdates: !o.Features.Enabled(features.InPlaceUpdates),
	})
	for _, kind := range []v1alpha1.ProviderKind{v1alpha1.KindTokenProvider, v1alpha1.KindClusterTokenProvider} {
		r := &tokenprovider.Reconciler{
			Kind: kind, Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Pool: pool,
			Clock: o.Clock, Recorder: recorder, Namespace: o.Namespace, Namespaces: o.Namespaces, Tracers: o.Tracers,
			Places: line.checks(strings.ToLower(string(kind))),
		}
		if err := r.Setup(mgr, o.Concurrency, line.queue); err != nil {
			return err
		}
	}
	tokens := apitoken.New(apitoken.Options{
		Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Providers: pool,
		Clock: o.Clock, Recorder: recorder, Cluster: cluster, Tracers: o.Tracers, Places: line.tokens(),
	})
	if err := tokens.Setup(mgr, o.Concurrency, line.queue); err != nil {
		return fmt.Errorf("setting up the controller of ApiTokens: %w", err)
	}
	return orphansweep.New(orphansweep.Options{
		Cached: mgr.GetClient(), Live: mgr.GetAPIReader(), Pool: pool, Clock: o.Clock, Recorder: recorder,
		Logger: o.Logger.WithName("sweep"), Cluster: cluster, Interval: o.SweepInterval, Mode: o.SweepMode,
	}).Setup(mgr)
}

// errNotSynced says that the caches are still being filled.
var errNotSynced = errors.New("the caches are not filled yet")

// addProbes makes the process alive while it answers, and ready once its caches are filled.
func addProbes(mgr manager.Manager) error {
	if err := mgr.AddHealthzCheck("ping", healthz.Ping); err != nil {
		return fmt.Errorf("adding the health probe: %w", err)
	}
	synced := make(chan struct{})
	err := mgr.Add(everywhere(func(ctx context.Context) error {
		if mgr.GetCache().WaitForCacheSync(ctx) {
			close(synced)
		}
		return nil
	}))
	if err != nil {
		return fmt.Errorf("adding the readiness probe: %w", err)
	}
	err = mgr.AddReadyzCheck("caches", func(*http.Request) error {
		select {
		case <-synced:
			return nil
		default:
			return errNotSynced
		}
	})
	if err != nil {
		return fmt.Errorf("adding the readiness probe: %w", err)
	}
	return nil
}

// everywhere is a runnable that does not wait to become leader.
type everywhere func(context.Context) error

// Start implements manager.Runnable.
func (f everywhere) Start(ctx context.Context) error { return f(ctx) }

// NeedLeaderElection implements manager.LeaderElectionRunnable.
func (everywhere) NeedLeaderElection() bool { return false }

func newManager(cfg *rest.Config, o Options) (manager.Manager, error) {
	scheme, err := newScheme()
	if err != nil {
		return nil, err
	}
	mgr, err := ctrl.NewManager(restConfig(cfg, o), managerOptions(scheme, o))
	if err != nil {
		return nil, fmt.Errorf("making the manager: %w", err)
	}
	return mgr, nil
}
