// Package operator assembles the operator: manager, cache, connections and controllers. The
// binary, the demo, the benchmark and tests all start it.
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
	// DefaultConcurrency is how many ApiTokens are reconciled at once, and how many
	// providers of each kind. A reconcile that calls a provider also needs a place there.
	DefaultConcurrency = 256
	// DefaultClusterPlaces is how many ApiTokens are reconciled at once at one
	// ClusterTokenProvider.
	DefaultClusterPlaces = 16
	// DefaultProviderPlaces is how many are reconciled at one TokenProvider.
	DefaultProviderPlaces = 4
	// DefaultNamespacePlaces is how many are reconciled of one namespace.
	DefaultNamespacePlaces = 16
	// DefaultShutdown is how long a stop waits for work in progress. It is longer than the
	// deadline of an attempt, so most attempts finish. The next start resolves those that
	// do not.
	DefaultShutdown = 95 * time.Second
	// Disabled as an address turns an endpoint off.
	Disabled = "0"
)

// Options of the operator. Only Registry is required.
type Options struct {
	// Registry of the drivers.
	Registry *registry.Registry
	// Clock; nil means the system clock.
	Clock clock.Clock
	// Logger; empty means no logs.
	Logger logr.Logger
	// Audit receives the audit trail; empty means Logger.
	Audit logr.Logger
	// WrapRecorder wraps the recorder of events; nil means that events only go to the API
	// server.
	WrapRecorder func(events.EventRecorder) events.EventRecorder
	// Version is part of the user agent.
	Version string

	// Namespace of the operator, which holds its Lease and the credentials of
	// ClusterTokenProviders; empty means DefaultNamespace.
	Namespace string
	// Namespaces that the operator serves; empty means all.
	Namespaces []string
	// ClusterIdentity is hashed into the names of credentials; empty means the UID of the
	// namespace kube-system. Copies of a cluster need different identities.
	ClusterIdentity string

	// LeaderElection makes a process wait until it is the leader.
	LeaderElection bool
	// EndsOnly: the operator issues nothing, ignores ApiTokens that are not being deleted,
	// and finds no orphans. It also works while the CRDs are being deleted.
	EndsOnly bool
	// MetricsAddress and ProbeAddress to listen on; empty means Disabled.
	MetricsAddress, ProbeAddress string
	// MetricsSecure serves metrics over TLS with the certificate (tls.crt, tls.key) in
	// MetricsCertDir, or, if that is empty, with a self-signed one that is generated at the
	// start.
	MetricsSecure  bool
	MetricsCertDir string
	// MetricsAuth serves metrics only to users whom the API server authenticates by their
	// token and allows to get the URL /metrics. It requires MetricsSecure, because tokens
	// must not be sent in clear text.
	MetricsAuth bool
	// MetricsPerToken gives each ApiToken its own series. Otherwise one series per
	// namespace and provider has the lowest value.
	MetricsPerToken bool
	// TracingEndpoint is the URL of the collector that Run sends traces to with OTLP over
	// HTTP; empty means no traces. TracingRatio is the fraction of reconciles that is
	// traced, from 0 to 1.
	TracingEndpoint string
	TracingRatio    float64
	// Tracers trace each reconcile; nil means no traces. Run sets them if there is a
	// TracingEndpoint.
	Tracers trace.TracerProvider

	// QPS and Burst of requests to the API server; 0 means no client-side limit.
	QPS   float32
	Burst int
	// ProviderRate limits the calls per second to one provider, and ProviderBurst the calls
	// at once after a pause. 0 means the defaults of package pacing, and a negative rate no
	// limit.
	ProviderRate  float64
	ProviderBurst int
	// TenantEndpoints are the addresses that TokenProviders can reach; the zero value is
	// "private".
	TenantEndpoints transport.Endpoints
	// TenantProxy is the URL of the proxy for the requests of TokenProviders; empty means
	// no proxy.
	TenantProxy string
	// Concurrency; 0 means DefaultConcurrency.
	Concurrency int
	// ClusterPlaces, ProviderPlaces and NamespacePlaces; 0 means the defaults.
	ClusterPlaces, ProviderPlaces, NamespacePlaces int
	// SweepInterval; 0 means orphansweep.DefaultInterval.
	SweepInterval time.Duration
	// SweepMode; empty means Report.
	SweepMode orphansweep.Mode
	// Features are the feature gates; nil means their defaults.
	Features features.Gates
	// Shutdown; 0 means DefaultShutdown.
	Shutdown time.Duration
}

// errNoRegistry: Options have no drivers.
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

// check returns an error for invalid or contradictory options.
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

// http returns the factory of the drivers' HTTP clients.
func (o Options) http() *transport.Factory {
	out := transport.Options{Endpoints: o.TenantEndpoints}
	if proxy, err := transport.ParseProxy(o.TenantProxy); err == nil { // withDefaults refused any other
		out.TenantProxy = proxy
	}
	return transport.New(out)
}

func (o Options) userAgent() string { return Name + "/" + o.Version }
