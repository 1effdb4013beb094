package tracing

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"apitoken.dev/operator/internal/provider"
)

const canary = "CANARY-secret"

// TestSpansHaveNamesAndReasons: a call is a child of its reconcile, and an error is recorded
// as its class.
func TestSpansHaveNamesAndReasons(t *testing.T) {
	exporter := tracetest.NewInMemoryExporter()
	sdk := sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter))
	ctx, root := Reconcile(t.Context(), sdk, "ApiToken", "ml", "training")
	_, span := Call(ctx, "aws", "mint", "at1-x")
	End(span, &provider.Error{Code: provider.CodeQuota, Message: canary, Err: errors.New(canary)})
	Note(root, "apitoken.rule", "issue", "apitoken.reason", "")
	End(root, nil)
	spans := exporter.GetSpans()
	if len(spans) != 2 || spans[0].Parent.SpanID() != spans[1].SpanContext.SpanID() {
		t.Fatalf("spans are %+v", spans)
	}
	call, reconcile := spans[0], spans[1]
	if call.Status.Code != codes.Error || call.Status.Description != "QuotaExceeded" || reconcile.Status.Code != codes.Unset {
		t.Errorf("they end as %+v and %+v", call.Status, reconcile.Status)
	}
	got := map[string]string{}
	for _, s := range spans {
		for _, a := range s.Attributes {
			got[s.Name+" "+string(a.Key)] = a.Value.AsString()
		}
	}
	want := map[string]string{
		"provider mint apitoken.driver": "aws", "provider mint apitoken.operation": "mint", "provider mint apitoken.credential": "at1-x",
		"provider mint error.type": "QuotaExceeded", "reconcile ApiToken apitoken.kind": "ApiToken",
		"reconcile ApiToken k8s.namespace.name": "ml", "reconcile ApiToken apitoken.name": "training", "reconcile ApiToken apitoken.rule": "issue",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if text := fmt.Sprintf("%+v", spans); strings.Contains(text, canary) {
		t.Error("a span has the text of an error")
	}
}

// TestNothingIsRecordedWithoutTracing, and nothing is allocated.
func TestNothingIsRecordedWithoutTracing(t *testing.T) {
	err := errors.New("x")
	ctx := t.Context()
	if n := testing.AllocsPerRun(100, func() {
		ctx, span := Reconcile(ctx, nil, "ApiToken", "ml", "training")
		Note(span, "apitoken.rule", "issue")
		_, call := Call(ctx, "aws", "mint", "at1-x")
		End(call, err)
		End(span, err)
	}); n != 0 {
		t.Errorf("%g allocations", n)
	}
}

func TestErrorClassIsSafe(t *testing.T) {
	for want, err := range map[string]error{
		"RateLimited":       fmt.Errorf("mint: %w", &provider.Error{Code: provider.CodeRateLimited, Message: canary}),
		"ScopeNotGrantable": &provider.Refusal{Reason: provider.RefusedScope, Value: canary},
		"Forbidden":         apierrors.NewForbidden(schema.GroupResource{Resource: "secrets"}, canary, errors.New(canary)),
		"Canceled":          fmt.Errorf("waiting: %w", context.Canceled),
		"DeadlineExceeded":  context.DeadlineExceeded,
		"Error":             errors.New(canary),
	} {
		if got := Class(err); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// collector takes what an exporter sends.
type collector struct {
	mu    sync.Mutex
	paths []string
	body  bytes.Buffer
}

func (c *collector) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.paths = append(c.paths, r.Method+" "+r.URL.Path)
	_, _ = io.Copy(&c.body, r.Body)
}

func TestSpansAreSent(t *testing.T) {
	c := &collector{}
	server := httptest.NewServer(c)
	defer server.Close()
	provider, stop, err := Start(t.Context(), Options{Endpoint: server.URL, Ratio: 1, Version: "v1.2.3"})
	if err != nil {
		t.Fatal(err)
	}
	_, span := Reconcile(t.Context(), provider, "ApiToken", "ml", "training")
	End(span, nil)
	if err := stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"POST /v1/traces"}, c.paths); diff != "" {
		t.Error(diff)
	}
	for _, part := range []string{"reconcile ApiToken", "training", ServiceName, "v1.2.3"} {
		if !bytes.Contains(c.body.Bytes(), []byte(part)) {
			t.Errorf("%q was not sent", part)
		}
	}
}

func TestRatioLimitsTraces(t *testing.T) {
	c := &collector{}
	server := httptest.NewServer(c)
	defer server.Close()
	provider, stop, err := Start(t.Context(), Options{Endpoint: server.URL, Ratio: 0})
	if err != nil {
		t.Fatal(err)
	}
	ctx, span := Reconcile(t.Context(), provider, "ApiToken", "ml", "training")
	_, call := Call(ctx, "aws", "mint", "")
	End(call, nil)
	End(span, nil)
	if err := stop(t.Context()); err != nil || len(c.paths) != 0 {
		t.Errorf("sent %v: %v", c.paths, err)
	}
}

func TestCollectorEndpointIsChecked(t *testing.T) {
	for _, good := range []string{"http://collector:4318", "https://otlp.example.com", "http://[2001:db8::7]:4318/custom/v1/traces"} {
		if err := CheckEndpoint(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{"", "collector:4318", "grpc://collector:4317", "http://", "http://user:" + canary + "@collector:4318", "http://c?x=1", "http://c#x", "http://c:x", "http://:4318", "http://c:70000"} {
		err := CheckEndpoint(bad)
		if err == nil {
			t.Errorf("%s is accepted", bad)
			continue
		}
		if strings.Contains(err.Error(), canary) {
			t.Errorf("the error shows a password: %v", err)
		}
		if _, _, err := Start(t.Context(), Options{Endpoint: bad}); err == nil {
			t.Errorf("an exporter is made for %s", bad)
		}
	}
}
