package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"apitoken.dev/operator/controllers/orphansweep"
	"apitoken.dev/operator/internal/features"
	"apitoken.dev/operator/internal/operator"
	"apitoken.dev/operator/internal/pacing"
	"apitoken.dev/operator/internal/tracing"
	"apitoken.dev/operator/internal/transport"
)

// environmentPrefix is the prefix of the environment variable of a flag: --sweep-mode is
// APITOKEN_SWEEP_MODE.
const environmentPrefix = "APITOKEN_"

// logging are the flags about logs.
type logging struct{ level, format string }

// newCommand returns the command, which calls run with the options of the flags and the
// environment.
func newCommand(run func(context.Context, operator.Options) error) *cobra.Command {
	o := operator.Options{Version: version}
	var log logging
	var sweepMode string
	cmd := &cobra.Command{
		Use:   "manager",
		Short: "Issue, rotate and revoke the API tokens that are declared as ApiTokens",
		Long: "Issue, rotate and revoke the API tokens that are declared as ApiTokens.\n\n" +
			"Every flag has an environment variable: --sweep-mode is " + environmentPrefix + "SWEEP_MODE.",
		Args:          cobra.NoArgs,
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,
		PreRunE:       func(cmd *cobra.Command, _ []string) error { return fromEnvironment(cmd.Flags(), os.LookupEnv) },
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if o.SweepMode, err = orphansweep.ParseMode(sweepMode); err != nil {
				return fmt.Errorf("--sweep-mode: %w", err)
			}
			if o.Logger, o.Audit, err = log.loggers(cmd.ErrOrStderr()); err != nil {
				return err
			}
			if err := check(&o); err != nil {
				return err
			}
			return run(cmd.Context(), o)
		},
	}
	addFlags(cmd.Flags(), &o, &log, &sweepMode)
	return cmd
}

func addFlags(f *pflag.FlagSet, o *operator.Options, log *logging, sweepMode *string) {
	f.StringVar(&o.Namespace, "namespace", operator.DefaultNamespace,
		"the operator's own namespace, which holds its Lease and the credentials of ClusterTokenProviders (also POD_NAMESPACE)")
	f.StringSliceVar(&o.Namespaces, "namespaces", nil, "the namespaces to serve, separated by commas; empty means all")
	f.StringVar(&o.ClusterIdentity, "cluster-identity", "",
		"identifies this cluster at providers; empty means the UID of namespace kube-system. Copies of a cluster need different identities. Never change it while credentials are live")
	f.BoolVar(&o.LeaderElection, "leader-elect", true,
		"wait until this process holds the Lease in --namespace, so that only one process acts at a time; use false only for a single process that cannot write a Lease")
	f.StringVar(&o.MetricsAddress, "metrics-bind-address", ":8443", "address to serve metrics at; 0 disables them")
	f.BoolVar(&o.MetricsAuth, "metrics-auth", true,
		"serve metrics only to users whom the API server authenticates by their bearer token and allows to get the URL /metrics; requires --metrics-secure")
	f.BoolVar(&o.MetricsSecure, "metrics-secure", true, "serve metrics over TLS")
	f.StringVar(&o.MetricsCertDir, "metrics-cert-dir", "",
		"directory with tls.crt and tls.key for metrics over TLS, which are reloaded when they change; empty means a new self-signed certificate at each start")
	f.BoolVar(&o.MetricsPerToken, "metrics-per-token", true,
		"export separate series for each ApiToken; with false, one series per namespace and provider has the lowest value, for clusters with very many ApiTokens")
	f.StringVar(&o.TracingEndpoint, "tracing-endpoint", "",
		"URL of an OpenTelemetry collector that accepts OTLP over HTTP, for example http://otel-collector.observability:4318; empty means no traces. "+
			"OTEL_EXPORTER_OTLP_HEADERS and OTEL_EXPORTER_OTLP_CERTIFICATE are honoured")
	f.Float64Var(&o.TracingRatio, "tracing-ratio", 1, "the fraction of reconciles to trace, from 0 to 1")
	f.StringVar(&o.ProbeAddress, "health-probe-bind-address", ":8081", "address to serve /healthz and /readyz at; 0 disables them")
	f.Float32Var(&o.QPS, "kube-api-qps", 0, "maximum requests per second to the API server; 0 means no client-side limit")
	f.IntVar(&o.Burst, "kube-api-burst", 0, "maximum burst of requests to the API server, if --kube-api-qps is set")
	f.Float64Var(&o.ProviderRate, "provider-rate", pacing.DefaultRate, "maximum calls per second to one provider, for all namespaces together; a negative value means no limit")
	f.IntVar(&o.ProviderBurst, "provider-burst", pacing.DefaultBurst, "maximum burst of calls to one provider")
	f.IntVar(&o.Concurrency, "concurrency", operator.DefaultConcurrency,
		"how many ApiTokens are reconciled at once, and how many providers of each kind; at most three quarters of them can call providers")
	f.IntVar(&o.ClusterPlaces, "places-per-cluster-provider", operator.DefaultClusterPlaces,
		"how many ApiTokens are reconciled at once at one ClusterTokenProvider; others wait in a queue that is fair between namespaces. "+
			"One namespace gets at most three quarters: 12 of 16")
	f.IntVar(&o.ProviderPlaces, "places-per-provider", operator.DefaultProviderPlaces, "how many ApiTokens are reconciled at once at one TokenProvider")
	f.IntVar(&o.NamespacePlaces, "places-per-namespace", operator.DefaultNamespacePlaces,
		"how many ApiTokens of one namespace are reconciled at once, at all providers together")
	f.Var(&o.TenantEndpoints, "tenant-endpoints",
		"addresses that TokenProviders may reach, separated by commas: public (the Internet), private (the Internet, RFC 1918, fc00::/7, 240.0.0.0/4 and 198.18.0.0/15), or CIDRs (in addition to these). "+
			"Loopback, link-local and metadata addresses can be reached only if a CIDR names them")
	f.StringVar(&o.TenantProxy, "tenant-proxy", "",
		"URL of the proxy for the requests of TokenProviders, for example http://proxy.example.com:3128; empty means none. "+
			"The proxy must refuse internal addresses itself: the operator does not see where it connects to. ClusterTokenProviders use HTTPS_PROXY and NO_PROXY of the environment")
	f.DurationVar(&o.SweepInterval, "sweep-interval", orphansweep.DefaultInterval, "time between two sweeps, which search the providers for orphaned credentials")
	f.StringVar(sweepMode, "sweep-mode", string(orphansweep.Report), "what a sweep does about orphaned credentials: Report or Revoke")
	f.DurationVar(&o.Shutdown, "shutdown-timeout", operator.DefaultShutdown,
		"how long a stop waits for work in progress; the next start resolves what does not end in time")
	o.Features = features.New()
	f.Var(o.Features, "feature-gates", features.Usage())
	f.StringVar(&log.level, "log-level", "info", "log level: debug, info, warn or error")
	f.StringVar(&log.format, "log-format", "json", "log format: json or text")
	if kubeconfig := flag.CommandLine.Lookup("kubeconfig"); kubeconfig != nil {
		f.AddGoFlag(kubeconfig)
	}
}

// fromEnvironment sets the flags that are not on the command line from their environment
// variables.
func fromEnvironment(f *pflag.FlagSet, lookup func(string) (string, bool)) error {
	var failed []error
	f.VisitAll(func(flag *pflag.Flag) {
		if flag.Changed || flag.Name == "help" || flag.Name == "version" {
			return
		}
		names := []string{environmentPrefix + strings.ToUpper(strings.ReplaceAll(flag.Name, "-", "_"))}
		if flag.Name == "namespace" {
			names = append(names, "POD_NAMESPACE")
		}
		for _, name := range names {
			if value, ok := lookup(name); ok && value != "" {
				if err := f.Set(flag.Name, value); err != nil {
					failed = append(failed, fmt.Errorf("%s: %w", name, err))
				}
				return
			}
		}
	})
	return errors.Join(failed...)
}

func check(o *operator.Options) error {
	for _, f := range []struct {
		name  string
		value int
	}{
		{"concurrency", o.Concurrency},
		{"places-per-cluster-provider", o.ClusterPlaces},
		{"places-per-provider", o.ProviderPlaces},
		{"places-per-namespace", o.NamespacePlaces},
	} {
		if f.value < 1 {
			return fmt.Errorf("--%s is %d: it must be at least 1", f.name, f.value)
		}
	}
	switch {
	case o.SweepInterval <= 0:
		return errors.New("--sweep-interval must be longer than 0")
	case o.Shutdown <= 0:
		return errors.New("--shutdown-timeout must be longer than 0")
	case o.ProviderRate == 0 || o.ProviderBurst < 1:
		return errors.New("--provider-rate cannot be 0 (a negative value means no limit), and --provider-burst must be at least 1")
	case o.TracingRatio < 0 || o.TracingRatio > 1:
		return fmt.Errorf("--tracing-ratio is %g: it must be at least 0 and at most 1, for example 0.1", o.TracingRatio)
	case o.QPS < 0 || o.Burst < 0:
		return errors.New("--kube-api-qps and --kube-api-burst cannot be negative")
	}
	return checkURLs(o)
}

// checkURLs checks the endpoints of requests and of metrics.
func checkURLs(o *operator.Options) error {
	if o.MetricsAuth && !o.MetricsSecure {
		return errors.New("--metrics-auth requires --metrics-secure, because tokens must not be sent in clear text; to serve metrics to everyone, also set --metrics-auth=false")
	}
	if o.TenantProxy != "" {
		if _, err := transport.ParseProxy(o.TenantProxy); err != nil {
			return fmt.Errorf("--tenant-proxy: %w", err)
		}
	}
	if o.TracingEndpoint != "" {
		if err := tracing.CheckEndpoint(o.TracingEndpoint); err != nil {
			return fmt.Errorf("--tracing-endpoint: %w", err)
		}
	}
	return nil
}

// loggers returns the logger of the operator and that of the audit trail. Both have the
// same format and destination, but --log-level does not suppress audit lines.
func (l logging) loggers(w io.Writer) (operator, audit logr.Logger, err error) {
	if operator, err = l.logger(w); err != nil {
		return operator, audit, err
	}
	l.level = slog.LevelInfo.String()
	audit, err = l.logger(w)
	return operator, audit, err
}

// logger returns a structured logger.
func (l logging) logger(w io.Writer) (logr.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(l.level)); err != nil {
		return logr.Logger{}, fmt.Errorf("--log-level must be debug, info, warn or error, not %q", l.level)
	}
	options := &slog.HandlerOptions{Level: level}
	switch l.format {
	case "json":
		return logr.FromSlogHandler(slog.NewJSONHandler(w, options)), nil
	case "text":
		return logr.FromSlogHandler(slog.NewTextHandler(w, options)), nil
	default:
		return logr.Logger{}, fmt.Errorf("--log-format must be json or text, not %q", l.format)
	}
}
