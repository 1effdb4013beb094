// Package metrics counts the calls of providers. What objects say is counted by
// package state beside it, at the time of a scrape.
package metrics

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"apitoken.dev/operator/internal/provider"
)

// Codes of errors that are none of a provider: nothing was sent that it refused,
// or nobody waited for its answer.
const (
	// CodeRefused: the driver itself refused the request, and sent nothing.
	CodeRefused provider.Code = "Refused"
	// CodeGivenUp: whoever made the call stopped waiting, as at a stop of the operator.
	CodeGivenUp provider.Code = "GivenUp"
)

// Hold is why a call was not sent.
type Hold string

// The reasons for a call that was not sent.
const (
	// HoldPause: the provider asked for a pause.
	HoldPause Hold = "pause"
	// HoldCrowded: so many calls wait that this one would be too late.
	HoldCrowded Hold = "crowded"
	// HoldGivenUp: whoever made the call stopped waiting before its turn.
	HoldGivenUp Hold = "given_up"
)

var (
	durations = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "apitoken_provider_call_duration_seconds",
		Help:    "How long calls of a provider took, by driver and operation, without the wait for their turn. A call may be several requests.",
		Buckets: []float64{.05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
	}, []string{"driver", "operation"})
	failures = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "apitoken_provider_call_errors_total",
		Help: "Calls of a provider that failed, by driver, operation and code of the error.",
	}, []string{"driver", "operation", "code"})
	waits = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "apitoken_provider_rate_limit_wait_seconds",
		Help:    "How long calls waited for their turn under --provider-rate; 0 for those that did not have to.",
		Buckets: []float64{0, .1, .5, 1, 2.5, 5, 10, 20, 60, 300},
	}, []string{"driver"})
	held = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "apitoken_provider_calls_held_back_total",
		Help: "Calls that were not sent, by driver, operation and reason: pause (the provider asked for one), crowded (too many wait) or given_up.",
	}, []string{"driver", "operation", "reason"})
)

func init() { metrics.Registry.MustRegister(durations, failures, waits, held) }

// Called counts a call that was sent, and how it ended.
func Called(ctx context.Context, driver, operation string, took time.Duration, err error) {
	durations.WithLabelValues(driver, operation).Observe(took.Seconds())
	if err != nil {
		failures.WithLabelValues(driver, operation, string(CodeOf(ctx, err))).Inc()
	}
}

// Waited counts the time that a call waited for its turn.
func Waited(driver string, wait time.Duration) { waits.WithLabelValues(driver).Observe(wait.Seconds()) }

// HeldBack counts a call that was not sent.
func HeldBack(driver, operation string, why Hold) {
	held.WithLabelValues(driver, operation, string(why)).Inc()
}

// CodeOf classifies the error of a call that was made with a context.
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
