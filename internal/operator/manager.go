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

// restConfig sets limits and user agent. By default there is no client-side limit: the API
// server's priority and fairness decides, and another queue would only hide it.
func restConfig(cfg *rest.Config, o Options) *rest.Config {
	cfg = rest.CopyConfig(cfg)
	cfg.UserAgent = o.userAgent()
	cfg.QPS, cfg.Burst = -1, 0
	if o.QPS > 0 {
		cfg.QPS, cfg.Burst = o.QPS, max(o.Burst, int(o.QPS))
	}
	return cfg
}

// metricsOptions returns how metrics are served. With MetricsAuth, the API server
// authenticates the token of a request (TokenReview) and decides whether that user may get
// /metrics (SubjectAccessReview). Answers are cached for a minute.
func metricsOptions(o Options) metricsserver.Options {
	out := metricsserver.Options{
		BindAddress: o.MetricsAddress, SecureServing: o.MetricsSecure, CertDir: o.MetricsCertDir,
		// Without HTTP/2, which a scrape does not need, clients without a token cannot open
		// many streams at once.
		TLSOpts: []func(*tls.Config){func(c *tls.Config) { c.NextProtos = []string{"http/1.1"} }},
	}
	if o.MetricsAuth {
		out.FilterProvider = filters.WithAuthenticationAndAuthorization
	}
	return out
}

func managerOptions(scheme *runtime.Scheme, o Options) manager.Options {
	// The demo, the benchmark and tests start the operator more than once in a process.
	manyInProcess := true
	out := manager.Options{
		Scheme: scheme,
		Logger: o.Logger,
		Cache:  cacheOptions(o),

		LeaderElection:          o.LeaderElection,
		LeaderElectionID:        Name,
		LeaderElectionNamespace: o.Namespace,
		// The next leader takes over at once. The process must end after that, and does.
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

// cacheOptions keeps the cache small and free of secret values. It holds the metadata of
// Secrets with the operator's label, and of every object only the fields that package trim
// keeps.
func cacheOptions(o Options) cache.Options {
	c := cache.Options{
		// A read of any other kind is an error: reading a Secret in full through the cache
		// would fetch and keep all Secrets.
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

// prepareCache registers every kind that the cache holds. The manager fills it at its
// start, also on a standby.
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
