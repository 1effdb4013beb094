// Package metrics defines all metrics of the operator. Calls and rotations are counted
// when they happen. The metrics of ApiTokens, providers and queues are read at each scrape,
// so no series of a deleted object remains.
package metrics

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"apitoken.dev/operator/internal/provider"
)

// Codes for failures that the provider did not cause: the request was never sent, or the
// caller gave up.
const (
	// CodeRefused: the driver refused the request and sent nothing.
	CodeRefused provider.Code = "Refused"
	// CodeGivenUp: the caller canceled the call, for example when the operator stops.
	CodeGivenUp provider.Code = "GivenUp"
)

// Hold is why a call was not sent.
type Hold string

// The reasons why a call is not sent.
const (
	// HoldPause: the provider asked for a pause.
	HoldPause Hold = "pause"
	// HoldCrowded: the rate limit would delay the call for too long.
	HoldCrowded Hold = "crowded"
	// HoldGivenUp: the caller canceled the call while it was queued.
	HoldGivenUp Hold = "given_up"
)

var (
	durations = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "apitoken_provider_call_duration_seconds",
		Help:    "Duration of calls to a provider, by driver and operation, without the time in the queue of the rate limit. A call can be several requests.",
		Buckets: []float64{.05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
	}, []string{"driver", "operation"})
	failures = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "apitoken_provider_call_errors_total",
		Help: "Failed calls to a provider, by driver, operation and error code.",
	}, []string{"driver", "operation", "code"})
	waits = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "apitoken_provider_rate_limit_wait_seconds",
		Help:    "Time that calls were queued by --provider-rate; 0 for calls that were not.",
		Buckets: []float64{0, .1, .5, 1, 2.5, 5, 10, 20, 60, 300},
	}, []string{"driver"})
	held = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "apitoken_provider_calls_held_back_total",
		Help: "Calls that were not sent, by driver, operation and reason: pause (the provider asked for one), crowded (too many are queued) or given_up.",
	}, []string{"driver", "operation", "reason"})
)

func init() { metrics.Registry.MustRegister(durations, failures, waits, held) }

// Called counts a call that was sent, by its result.
func Called(ctx context.Context, driver, operation string, took time.Duration, err error) {
	durations.WithLabelValues(driver, operation).Observe(took.Seconds())
	if err != nil {
		failures.WithLabelValues(driver, operation, string(CodeOf(ctx, err))).Inc()
	}
}

// Waited counts the time that a call was queued.
func Waited(driver string, wait time.Duration) { waits.WithLabelValues(driver).Observe(wait.Seconds()) }

// HeldBack counts a call that was not sent.
func HeldBack(driver, operation string, why Hold) {
	held.WithLabelValues(driver, operation, string(why)).Inc()
}

// CodeOf returns the code of an error from a call that was made with ctx.
func CodeOf(ctx context.Context, err error) provider.Code {
	var refusal *provider.Refusal
	switch {
	case errors.As(err, &refusal):
		return CodeRefused
	case errors.Is(ctx.Err(), context.Canceled):
		return CodeGivenUp
	default:
		return provider.AsError(err).Code
	}
}
