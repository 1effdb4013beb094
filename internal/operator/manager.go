package operator

import (
	"context"
	"crypto/tls"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics/filters"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/trim"
)

func newScheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("registering kinds: %w", err)
		}
	}
	return scheme, nil
}

// restConfig sets limits and user agent. Without limits of our own the API
// server's fairness rules: a queue in front of every write would only hide them.
func restConfig(cfg *rest.Config, o Options) *rest.Config {
	cfg = rest.CopyConfig(cfg)
	cfg.UserAgent = o.userAgent()
	cfg.QPS, cfg.Burst = -1, 0
	if o.QPS > 0 {
		cfg.QPS, cfg.Burst = o.QPS, max(o.Burst, int(o.QPS))
	}
	return cfg
}

// metricsOptions say how metrics are served. With MetricsAuth the API server decides
// who reads them: it is asked whose token a request carries (TokenReview), and whether
// that user may get /metrics (SubjectAccessReview). Answers are cached for a minute.
func metricsOptions(o Options) metricsserver.Options {
	out := metricsserver.Options{
		BindAddress: o.MetricsAddress, SecureServing: o.MetricsSecure, CertDir: o.MetricsCertDir,
		// Without HTTP/2: a scrape needs none of it, and clients without a token cannot open many streams at once.
		TLSOpts: []func(*tls.Config){func(c *tls.Config) { c.NextProtos = []string{"http/1.1"} }},
	}
	if o.MetricsAuth {
		out.FilterProvider = filters.WithAuthenticationAndAuthorization
	}
	return out
}

func managerOptions(scheme *runtime.Scheme, o Options) manager.Options {
	// A process may start the operator more than once: the demo, the benchmark and tests do.
	manyInProcess := true
	out := manager.Options{
		Scheme: scheme,
		Logger: o.Logger,
		Cache:  cacheOptions(o),

		LeaderElection:          o.LeaderElection,
		LeaderElectionID:        Name,
		LeaderElectionNamespace: o.Namespace,
		// The next one takes over at once. The process has to end after that, and does.
		LeaderElectionReleaseOnCancel: true,
		GracefulShutdownTimeout:       &o.Shutdown,

		Metrics:                metricsOptions(o),
		HealthProbeBindAddress: Disabled, // Run serves them, from before the manager exists
		Controller:             config.Controller{SkipNameValidation: &manyInProcess, Logger: o.Logger},
	}
	if o.EndsOnly {
		out.MapperProvider = ownMapper
	}
	return out
}

// cacheOptions keep the cache small and free of secret values: it holds the metadata
// of Secrets with our label, and of every object only what package trim keeps.
func cacheOptions(o Options) cache.Options {
	c := cache.Options{
		// What nobody prepared is an error: reading a Secret in full through the
		// cache would fetch and keep all of them.
		ReaderFailOnMissingInformer: true,
		NewInformer:                 trim.NewInformer,
	}
	secrets := cache.ByObject{Label: managedSecrets()}
	if len(o.Namespaces) > 0 {
		c.DefaultNamespaces = map[string]cache.Config{}
		secrets.Namespaces = map[string]cache.Config{o.Namespace: {}}
		for _, namespace := range o.Namespaces {
			c.DefaultNamespaces[namespace] = cache.Config{}
			secrets.Namespaces[namespace] = cache.Config{}
		}
	}
	c.ByObject = trim.ByObject(secrets)
	return c
}

func managedSecrets() labels.Selector {
	exists, err := labels.NewRequirement(v1alpha1.LabelManaged, selection.Exists, nil)
	if err != nil {
		panic(err) // the label is a constant
	}
	return labels.NewSelector().Add(*exists)
}

// prepareCache names everything the cache holds. It is filled when the manager
// starts, also in a process that is not the leader.
func prepareCache(ctx context.Context, mgr manager.Manager) error {
	held := []client.Object{
		&v1alpha1.ApiToken{}, &v1alpha1.TokenProvider{}, &v1alpha1.ClusterTokenProvider{}, trim.Metadata("Secret"), trim.Metadata("Namespace"),
	}
	for _, object := range held {
		if _, err := mgr.GetCache().GetInformer(ctx, object, cache.BlockUntilSynced(false)); err != nil {
			return fmt.Errorf("preparing the cache for %T: %w", object, err)
		}
	}
	return account.AddIndex(ctx, mgr.GetFieldIndexer())
}
