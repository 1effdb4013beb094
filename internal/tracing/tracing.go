// Package tracing makes OpenTelemetry traces of reconciles and of their calls to providers.
// Spans have names, reasons and codes. They never have a secret value or the text of an
// answer, which can contain anything.
package tracing

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"apitoken.dev/operator/internal/provider"
)

// Scope is the instrumentation scope of every span.
const Scope = "apitoken.dev/operator"

// ServiceName is service.name of every span; OTEL_SERVICE_NAME overrides it.
const ServiceName = "apitoken-operator"

// Options of an exporter.
type Options struct {
	// Endpoint is the URL of a collector for OTLP over HTTP. The default path is /v1/traces.
	Endpoint string
	// Ratio of reconciles that are traced, from 0 to 1.
	Ratio float64
	// Version of the operator.
	Version string
}

// CheckEndpoint reports whether spans can be sent to an endpoint.
func CheckEndpoint(endpoint string) error {
	if _, err := provider.Endpoint("it", endpoint); err != nil {
		return errors.New("it is not the URL of a collector: write http:// or https://, a host and a port from 1 to 65535, " +
			"without user, query or fragment, for example http://otel-collector.observability:4318; headers go into OTEL_EXPORTER_OTLP_HEADERS")
	}
	return nil
}

// withPath adds the default path to an endpoint without a path.
func withPath(endpoint string) string {
	if u, err := url.Parse(endpoint); err == nil && strings.Trim(u.Path, "/") == "" {
		return u.JoinPath("/v1/traces").String()
	}
	return endpoint
}

// Start starts an exporter to a collector. Stop sends the remaining spans.
func Start(ctx context.Context, o Options) (provider trace.TracerProvider, stop func(context.Context) error, err error) {
	if err := CheckEndpoint(o.Endpoint); err != nil {
		return nil, nil, fmt.Errorf("tracing endpoint: %w", err)
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(withPath(o.Endpoint)))
	if err != nil {
		return nil, nil, fmt.Errorf("making the exporter of traces: %w", err)
	}
	attributes, err := resource.New(ctx, resource.WithAttributes(
		attribute.String("service.name", ServiceName), attribute.String("service.version", o.Version)), resource.WithFromEnv())
	if err != nil {
		return nil, nil, fmt.Errorf("reading OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	sdk := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(attributes),
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(o.Ratio))))
	return sdk, sdk.Shutdown, nil
}

// Reconcile starts the root span of a reconcile. If from is nil, nothing is recorded and the
// context is returned unchanged.
func Reconcile(ctx context.Context, from trace.TracerProvider, kind, namespace, name string) (context.Context, trace.Span) {
	if from == nil {
		return ctx, noop.Span{}
	}
	return from.Tracer(Scope).Start(ctx, "reconcile "+kind, trace.WithNewRoot(), trace.WithAttributes(
		attribute.String("apitoken.kind", kind), attribute.String("k8s.namespace.name", namespace), attribute.String("apitoken.name", name)))
}

// Call starts the span of a call to a provider, as a child of the span in the context; it
// records nothing without a parent. Credential is the name of the credential, or empty.
func Call(ctx context.Context, driver, operation, credential string) (context.Context, trace.Span) {
	parent := trace.SpanFromContext(ctx)
	if !parent.IsRecording() {
		return ctx, noop.Span{}
	}
	attributes := []attribute.KeyValue{attribute.String("apitoken.driver", driver), attribute.String("apitoken.operation", operation)}
	if credential != "" {
		attributes = append(attributes, attribute.String("apitoken.credential", credential))
	}
	return parent.TracerProvider().Tracer(Scope).Start(ctx, "provider "+operation,
		trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(attributes...))
}

// Note adds attributes to the span of a reconcile. Pass only names and reasons; empty values
// are left out.
func Note(span trace.Span, keysAndValues ...string) {
	if !span.IsRecording() {
		return
	}
	for i := 0; i+1 < len(keysAndValues); i += 2 {
		if keysAndValues[i+1] != "" {
			span.SetAttributes(attribute.String(keysAndValues[i], keysAndValues[i+1]))
		}
	}
}

// End ends a span. It records the class of an error, but not its text.
func End(span trace.Span, err error) {
	if err != nil && span.IsRecording() {
		class := Class(err)
		span.SetStatus(codes.Error, class)
		span.SetAttributes(attribute.String("error.type", class))
	}
	span.End()
}

// Class returns the kind of an error, in words of the operator and never in those of a
// provider or an API server.
func Class(err error) string {
	var refusal *provider.Refusal
	var failed *provider.Error
	switch {
	case errors.As(err, &refusal):
		return string(refusal.Reason)
	case errors.As(err, &failed):
		return string(failed.Code)
	case errors.Is(err, context.Canceled):
		return "Canceled"
	case errors.Is(err, context.DeadlineExceeded):
		return "DeadlineExceeded"
	}
	if reason := apierrors.ReasonForError(err); reason != "" {
		return string(reason)
	}
	return "Error"
}
