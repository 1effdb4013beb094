// Package operator puts the operator together: manager, cache, connections and
// controllers. The binary, the demo, the benchmark and tests all start this one.
package operator

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel/trace"
	"k8s.io/client-go/tools/events"

	"apitoken.dev/operator/controllers/orphansweep"
	"apitoken.dev/operator/internal/clock"
	"apitoken.dev/operator/internal/features"
	"apitoken.dev/operator/internal/provider/registry"
	"apitoken.dev/operator/internal/transport"
)

const (
	// Name of the operator in events, user agents and its lease.
	Name = "apitoken-operator"
	// DefaultNamespace of the operator.
	DefaultNamespace = "apitoken-system"
	// DefaultConcurrency is how many ApiTokens are worked on at once, and how many
	// providers of each kind. What calls a provider needs a place there, too.
	DefaultConcurrency = 256
	// DefaultClusterPlaces is how many ApiTokens are worked on at once at a ClusterTokenProvider.
	DefaultClusterPlaces = 16
	// DefaultProviderPlaces is how many are at a TokenProvider.
	DefaultProviderPlaces = 4
	// DefaultNamespacePlaces is how many are of one namespace.
	DefaultNamespacePlaces = 16
	// DefaultShutdown is how long a stop waits for work in flight: over the
	// deadline of an attempt, so that an ordinary one is finished. What does not
	// end in time is resolved after the next start.
	DefaultShutdown = 95 * time.Second
	// Disabled as an address turns an endpoint off.
	Disabled = "0"
)

// Options of the operator. Only Registry is needed.
type Options struct {
	// Registry of the drivers it has.
	Registry *registry.Registry
	// Clock is the computer's when nil.
	Clock clock.Clock
	// Logger; nothing is logged when it is empty.
	Logger logr.Logger
	// Audit is where the audit trail is written to; Logger when it is empty.
	Audit logr.Logger
	// WrapRecorder wraps the recorder of events; they go to the API server alone when nil.
	WrapRecorder func(events.EventRecorder) events.EventRecorder
	// Version is told to API servers and providers.
	Version string

	// Namespace of the operator: its lease and the credentials of
	// ClusterTokenProviders. DefaultNamespace when empty.
	Namespace string
	// Namespaces it serves; all when empty.
	Namespaces []string
	// ClusterIdentity goes, hashed, into the names of credentials; the UID of the
	// namespace kube-system when empty. Copies of a cluster need different ones.
	ClusterIdentity string

	// LeaderElection makes a process wait until it is the only one.
	LeaderElection bool
	// EndsOnly makes it issue nothing, do nothing for ApiTokens that are not being deleted,
	// and look for no orphans. It also works while the CRDs are being deleted.
	EndsOnly bool
	// MetricsAddress and ProbeAddress to listen on; Disabled when empty.
	MetricsAddress, ProbeAddress string
	// MetricsSecure serves metrics over TLS, with the certificate (tls.crt, tls.key)
	// in MetricsCertDir, or one made at the start when that is empty.
	MetricsSecure  bool
	MetricsCertDir string
	// MetricsAuth serves metrics only to users that the API server knows by their
	// token and that may get the URL /metrics. It needs MetricsSecure, because tokens
	// must not be sent in clear.
	MetricsAuth bool
	// MetricsPerToken gives each ApiToken series of its own; otherwise the lowest
	// value stands for all of a namespace and provider.
	MetricsPerToken bool
	// TracingEndpoint is the URL of the collector that Run sends traces to, OTLP over
	// HTTP; none when empty. TracingRatio of the passes are traced, from 0 to 1.
	TracingEndpoint string
	TracingRatio    float64
	// Tracers make a trace of each pass; no traces when nil. Run makes them when
	// there is a TracingEndpoint.
	Tracers trace.TracerProvider

	// QPS and Burst of requests to the API server; 0: no limit but the server's own.
	QPS   float32
	Burst int
	// ProviderRate is how many calls a second one provider gets at most, and
	// ProviderBurst how many at once after a rest; 0: the defaults of package
	// connections, a negative rate: no limit.
	ProviderRate  float64
	ProviderBurst int
	// TenantEndpoints are the addresses that TokenProviders may reach; the zero value
	// is "private".
	TenantEndpoints transport.Endpoints
	// TenantProxy is the URL of the proxy that carries the requests of TokenProviders;
	// none when empty.
	TenantProxy string
	// Concurrency is DefaultConcurrency when 0.
	Concurrency int
	// ClusterPlaces, ProviderPlaces and NamespacePlaces are the defaults when 0.
	ClusterPlaces, ProviderPlaces, NamespacePlaces int
	// SweepInterval is orphansweep.DefaultInterval when 0.
	SweepInterval time.Duration
	// SweepMode is Report when empty.
	SweepMode orphansweep.Mode
	// Features are the feature gates; their defaults when nil.
	Features features.Gates
	// Shutdown is DefaultShutdown when 0.
	Shutdown time.Duration
}

// errNoRegistry says that Options lack the drivers.
var errNoRegistry = errors.New("operator: Options.Registry is not set")

func (o Options) withDefaults() (Options, error) {
	if o.Registry == nil {
		return o, errNoRegistry
	}
	if err := o.check(); err != nil {
		return o, err
	}
	if o.Clock == nil {
		o.Clock = clock.NewReal()
	}
	if o.Logger.GetSink() == nil {
		o.Logger = logr.Discard()
	}
	if o.Audit.GetSink() == nil {
		o.Audit = o.Logger
	}
	if o.Features == nil {
		o.Features = features.New()
	}
	o.Version = cmp.Or(o.Version, "dev")
	o.Namespace = cmp.Or(o.Namespace, DefaultNamespace)
	o.MetricsAddress = cmp.Or(o.MetricsAddress, Disabled)
	o.ProbeAddress = cmp.Or(o.ProbeAddress, Disabled)
	o.Concurrency = cmp.Or(o.Concurrency, DefaultConcurrency)
	o.ClusterPlaces = cmp.Or(o.ClusterPlaces, DefaultClusterPlaces)
	o.ProviderPlaces = cmp.Or(o.ProviderPlaces, DefaultProviderPlaces)
	o.NamespacePlaces = cmp.Or(o.NamespacePlaces, DefaultNamespacePlaces)
	o.Shutdown = cmp.Or(o.Shutdown, DefaultShutdown)
	return o, nil
}

// check refuses options that do not go together.
func (o Options) check() error {
	if o.SweepMode != "" {
		if _, err := orphansweep.ParseMode(string(o.SweepMode)); err != nil {
			return fmt.Errorf("operator: %w", err)
		}
	}
	if o.TracingRatio < 0 || o.TracingRatio > 1 {
		return fmt.Errorf("operator: TracingRatio is %g: at least 0, at most 1", o.TracingRatio)
	}
	if o.MetricsAuth && !o.MetricsSecure {
		return errors.New("operator: MetricsAuth without MetricsSecure: tokens would be sent in clear; set both, or none")
	}
	if o.TenantProxy != "" {
		if _, err := transport.ParseProxy(o.TenantProxy); err != nil {
			return fmt.Errorf("operator: TenantProxy: %w", err)
		}
	}
	return nil
}

// http makes the clients of drivers.
func (o Options) http() *transport.Factory {
	out := transport.Options{Endpoints: o.TenantEndpoints}
	if proxy, err := transport.ParseProxy(o.TenantProxy); err == nil { // withDefaults refused any other
		out.TenantProxy = proxy
	}
	return transport.New(out)
}

func (o Options) userAgent() string { return Name + "/" + o.Version }
