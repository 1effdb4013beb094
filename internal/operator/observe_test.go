package operator

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/clock"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/test/support/fake"
	"apitoken.dev/operator/test/support/kit"
)

// observed runs an operator with traces. An ApiToken is issued at the second attempt, and
// revoked.
func observed(t *testing.T, during func(*v1alpha1.ApiToken)) (*tracetest.InMemoryExporter, *v1alpha1.ApiToken) {
	t.Helper()
	k := kit.New(t, env)
	own := k.Namespace("operator", nil)
	backend := fake.NewBackend(clock.NewReal())
	backend.Script(fake.Mint, fake.Fault{Kind: fake.Reject, Code: provider.CodeUnavailable})
	exporter := tracetest.NewInMemoryExporter()
	stop := run(k, env.Config, Options{Registry: kit.Drivers(t, fake.New(backend)), Namespace: own, ClusterIdentity: own, MetricsPerToken: true,
		Tracers: sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter))})
	p := clusterProvider(k, own)
	token := apiToken(k.Namespace("operator", map[string]string{"tokens": own}), own)
	k.ExpectApplied(token)
	k.ExpectReady(token)
	during(token)
	k.OK(k.Delete(t.Context(), token))
	k.ExpectGone(token)
	k.OK(k.Delete(t.Context(), p))
	k.ExpectGone(p)
	stop()
	return exporter, token
}

// TestTraceShowsAReconcileAndItsCalls: a trace contains no secret value.
func TestTraceShowsAReconcileAndItsCalls(t *testing.T) {
	exporter, token := observed(t, func(*v1alpha1.ApiToken) {})
	spans := exporter.GetSpans()
	parents := map[string]tracetest.SpanStub{}
	for _, s := range spans {
		parents[s.SpanContext.SpanID().String()] = s
	}
	seen := map[string]bool{}
	for _, s := range spans {
		attributes := attributesOf(s)
		parent := parents[s.Parent.SpanID().String()]
		if ofAnother(s, token) || ofAnother(parent, token) {
			continue // an ApiToken of another test
		}
		seen[strings.TrimSpace(parent.Name+" > "+s.Name+" "+attributes["error.type"])] = true
		if attributes["apitoken.rule"] == "issue" && !strings.Contains(attributes["apitoken.provider"], "ClusterTokenProvider") {
			t.Errorf("an attempt is described as %v", attributes)
		}
	}
	for _, want := range []string{
		"> reconcile ApiToken", "> reconcile ApiToken Unavailable", "> reconcile ClusterTokenProvider",
		"reconcile ClusterTokenProvider > provider connect", "reconcile ApiToken > provider mint Unavailable",
		"reconcile ApiToken > provider mint", "reconcile ApiToken > provider revoke", "reconcile ApiToken > provider list",
	} {
		if !seen[want] {
			t.Errorf("no span is %q; there are %v", want, seen)
		}
	}
	raw, err := json.Marshal(spans)
	if err != nil {
		t.Fatal(err)
	}
	if text := string(raw) + fmt.Sprintf("%+v", spans); strings.Contains(text, fake.Canary) {
		t.Error("a secret value is in a span")
	}
}

func attributesOf(s tracetest.SpanStub) map[string]string {
	out := map[string]string{}
	for _, a := range s.Attributes {
		out[string(a.Key)] = a.Value.AsString()
	}
	return out
}

// ofAnother reports whether a span is a reconcile of another ApiToken.
func ofAnother(s tracetest.SpanStub, token *v1alpha1.ApiToken) bool {
	a := attributesOf(s)
	return s.Name == "reconcile ApiToken" && (a["k8s.namespace.name"] != token.Namespace || a["apitoken.name"] != token.Name)
}

// ownMetrics returns the operator's own metrics by name.
func ownMetrics(t *testing.T) map[string]*dto.MetricFamily {
	t.Helper()
	families, err := metrics.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]*dto.MetricFamily{}
	for _, family := range families {
		if strings.HasPrefix(family.GetName(), "apitoken_") {
			out[family.GetName()] = family
		}
	}
	return out
}

// about reports whether a metric has a series with an ApiToken's namespace.
func about(family *dto.MetricFamily, token *v1alpha1.ApiToken) bool {
	for _, m := range family.GetMetric() {
		for _, l := range m.GetLabel() {
			if l.GetName() == "namespace" && l.GetValue() == token.Namespace {
				return true
			}
		}
	}
	return false
}

// The metrics of a running operator follow the rules of Prometheus, contain no secret
// value, and have no series of a deleted ApiToken.
func TestMetricsOfARunningOperatorAreComplete(t *testing.T) {
	_, token := observed(t, func(token *v1alpha1.ApiToken) {
		served := ownMetrics(t)
		kit.New(t, env).Eventually(func() error { // metrics are read from the cache, which can lag
			served = ownMetrics(t)
			for _, name := range []string{"apitoken_ready", "apitoken_expiry_timestamp_seconds", "apitoken_rotation_due_timestamp_seconds", "apitoken_overlap_seconds"} {
				if !about(served[name], token) {
					return fmt.Errorf("%s says nothing of %s/%s", name, token.Namespace, token.Name)
				}
			}
			return nil
		})
		for _, name := range []string{"apitoken_operator_info", "apitoken_provider_ready", "apitoken_credentials", "apitoken_conditions",
			"apitoken_operations_total", "apitoken_provider_call_duration_seconds", "apitoken_provider_call_errors_total",
			"apitoken_provider_rate_limit_wait_seconds"} {
			if served[name] == nil {
				t.Errorf("%s is not served", name)
			}
		}
		var all []*dto.MetricFamily
		for _, family := range served {
			all = append(all, family)
			if strings.Contains(family.String(), fake.Canary) {
				t.Errorf("a secret value is in %s", family.GetName())
			}
		}
		problems, err := promlint.NewWithMetricFamilies(all).Lint()
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range problems {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	})
	kit.New(t, env).Eventually(func() error {
		for name, family := range ownMetrics(t) {
			if about(family, token) {
				return fmt.Errorf("%s still speaks of %s/%s", name, token.Namespace, token.Name)
			}
		}
		return nil
	})
}

// TestQueueMetricsAreServed: each controller shows how many requests wait in its queue and
// for places, and for how long.
func TestQueueMetricsAreServed(t *testing.T) {
	observed(t, func(*v1alpha1.ApiToken) {})
	families, err := metrics.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	missing := map[string]bool{}
	for _, controller := range []string{"apitoken", "tokenprovider", "clustertokenprovider"} {
		missing["workqueue_depth "+controller] = true
		for _, what := range []string{"worker", "place"} {
			missing["apitoken_waiting "+controller+" "+what] = true
			missing["apitoken_oldest_waiting_seconds "+controller+" "+what] = true
		}
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			delete(missing, strings.TrimSpace(family.GetName()+" "+labels["controller"]+" "+labels["for"]))
		}
	}
	for series := range missing {
		t.Errorf("not served: %s", series)
	}
}

func TestTracingEndpointIsChecked(t *testing.T) {
	err := Run(t.Context(), env.Config, Options{Registry: kit.Drivers(t, fake.New(fake.NewBackend(clock.NewReal()))), TracingEndpoint: "collector"})
	if err == nil || !strings.Contains(err.Error(), "http://otel-collector") {
		t.Errorf("got %v", err)
	}
	if _, err := New(t.Context(), env.Config, Options{Registry: kit.Drivers(t, fake.New(fake.NewBackend(clock.NewReal()))), TracingRatio: 2}); err == nil {
		t.Error("a part over the whole is accepted")
	}
}
