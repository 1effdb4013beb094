package operator

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/controllers/apitoken"
	"apitoken.dev/operator/controllers/orphansweep"
	"apitoken.dev/operator/controllers/tokenprovider"
	"apitoken.dev/operator/internal/audit"
	"apitoken.dev/operator/internal/clock"
	"apitoken.dev/operator/internal/connections"
	"apitoken.dev/operator/internal/credname"
	"apitoken.dev/operator/internal/features"
	"apitoken.dev/operator/internal/metrics"
)

// recorderName is the reporting controller of events.
const recorderName = "apitoken.dev/operator"

// Run runs the operator until the context ends, and serves its probes. Until the API server
// answers, the operator waits and is alive but not ready.
func Run(ctx context.Context, cfg *rest.Config, o Options) error {
	flush, err := startTracing(ctx, &o)
	if err != nil {
		return err
	}
	defer flush()
	probes, err := serveProbes(ctx, cmp.Or(o.ProbeAddress, Disabled))
	if err != nil {
		return err
	}
	defer probes.close()
	mgr, err := New(ctx, cfg, o)
	if ctx.Err() != nil {
		return nil // stopped while it waited for the API server
	}
	if err != nil {
		return err
	}
	if err := probes.follow(mgr); err != nil {
		return fmt.Errorf("adding the readiness probe: %w", err)
	}
	if err := mgr.Start(ctx); err != nil {
		return fmt.Errorf("running the operator: %w", err)
	}
	return nil
}

// New returns the operator, ready to start, without probes. It waits until the API server
// answers or the context ends.
func New(ctx context.Context, cfg *rest.Config, o Options) (manager.Manager, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	var mgr manager.Manager
	var cluster string
	if err := await(ctx, o.Logger, clock.NewReal(), func() error {
		mgr, cluster, err = reach(ctx, cfg, o)
		return err
	}); err != nil {
		return nil, err
	}
	if err := addControllers(mgr, o, cluster); err != nil {
		return nil, err
	}
	if err := addMetrics(mgr, o); err != nil {
		return nil, err
	}
	o.Logger.Info("apitoken-operator", "version", o.Version, "namespace", o.Namespace, "cluster", cluster)
	return mgr, nil
}

// addMetrics serves the metrics of ApiTokens and providers while this replica is the leader.
func addMetrics(mgr manager.Manager, o Options) error {
	objects := metrics.Objects{
		Cached: mgr.GetClient(), Driver: driverOf(o.Registry), PerToken: o.MetricsPerToken, Version: o.Version, Started: o.Clock.Now(),
	}
	err := mgr.Add(manager.RunnableFunc(func(ctx context.Context) error {
		defer metrics.ServeObjects(ctx, objects)()
		<-ctx.Done()
		return nil
	}))
	if err != nil {
		return fmt.Errorf("adding the metrics of ApiTokens and providers: %w", err)
	}
	return nil
}

// reach creates everything that needs the API server. It can be repeated after an error: a
// manager that was not started holds no resources.
func reach(ctx context.Context, cfg *rest.Config, o Options) (manager.Manager, string, error) {
	mgr, err := newManager(cfg, o)
	if err != nil {
		return nil, "", err
	}
	cluster, err := clusterHash(ctx, mgr.GetAPIReader(), o.ClusterIdentity)
	if err != nil {
		return nil, "", err
	}
	return mgr, cluster, prepareCache(ctx, mgr)
}

// clusterHash returns the hash in the names of this cluster's credentials.
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
	line, trail := newLines(o), audit.New(o.Audit)
	var recorder events.EventRecorder = mgr.GetEventRecorder(recorderName)
	if o.WrapRecorder != nil {
		recorder = o.WrapRecorder(recorder)
	}
	pool := connections.NewPool(connections.Options{
		Reader: mgr.GetClient(), Live: mgr.GetAPIReader(), Registry: o.Registry,
		Namespace: o.Namespace, Cluster: cluster, UserAgent: o.userAgent(), HTTP: o.http(), Clock: o.Clock, Audit: trail,
		Rate: o.ProviderRate, Burst: o.ProviderBurst, NoUpdates: !o.Features.Enabled(features.InPlaceUpdates),
	})
	for _, kind := range []v1alpha1.ProviderKind{v1alpha1.KindTokenProvider, v1alpha1.KindClusterTokenProvider} {
		r := &tokenprovider.Reconciler{
			Kind: kind, Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Pool: pool,
			Clock: o.Clock, Recorder: recorder, Namespace: o.Namespace, Namespaces: o.Namespaces, Cluster: cluster, Tracers: o.Tracers,
			Places: line.checks(strings.ToLower(string(kind))), Audit: trail,
		}
		if err := r.Setup(mgr, o.Concurrency, line.queue); err != nil {
			return err
		}
	}
	tokens := apitoken.New(apitoken.Options{
		Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Providers: pool, EndsOnly: o.EndsOnly,
		Clock: o.Clock, Recorder: recorder, Cluster: cluster, Tracers: o.Tracers, Places: line.tokens(), Audit: trail,
	})
	if err := tokens.Setup(mgr, o.Concurrency, line.queue); err != nil {
		return fmt.Errorf("setting up the controller of ApiTokens: %w", err)
	}
	if o.EndsOnly {
		return nil
	}
	return orphansweep.New(orphansweep.Options{
		Cached: mgr.GetClient(), Live: mgr.GetAPIReader(), Pool: pool, Clock: o.Clock, Recorder: recorder,
		Logger: o.Logger.WithName("sweep"), Cluster: cluster, Interval: o.SweepInterval, Mode: o.SweepMode,
		Doubt: tokens.Doubt,
	}).Setup(mgr)
}

func newManager(cfg *rest.Config, o Options) (manager.Manager, error) {
	scheme, err := newScheme()
	if err != nil {
		return nil, err
	}
	options := managerOptions(scheme, o)
	if o.EndsOnly {
		live, err := LiveClient(cfg, o)
		if err != nil {
			return nil, fmt.Errorf("making a client: %w", err)
		}
		options.Cache.NewInformer = servedInformers(live)
	}
	mgr, err := ctrl.NewManager(restConfig(cfg, o), options)
	if err != nil {
		return nil, fmt.Errorf("making the manager: %w", err)
	}
	return mgr, nil
}
