package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"apitoken.dev/operator/internal/provider"
)

var (
	operations = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "apitoken_operations_total",
		Help: "Operations on credentials, by driver, operation (mint, publish, update, revoke, probe) and result (ok, rejected, in_doubt).",
	}, []string{"driver", "operation", "result"})
	rotations = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "apitoken_rotations_total",
		Help: "Credentials that replaced another one, by driver, reason (Scheduled, RotationRequested, SpecChanged, SecretLost, SecretChanged, HandedOver, CredentialMissing) " +
			"and result: ok (published, and recorded as active) or failed.",
	}, []string{"driver", "reason", "result"})
	retained = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "apitoken_retained_total",
		Help: "ApiTokens deleted with deletionPolicy Retain: their credentials stay live and nothing revokes them.",
	}, []string{"driver"})
	gaps = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "apitoken_rotation_gap_seconds",
		Help:    "Time that a rotation with the strategy RevokeFirst left the workload without access.",
		Buckets: []float64{1, 2, 5, 10, 30, 60, 300, 1800},
	}, []string{"driver"})
)

func init() { metrics.Registry.MustRegister(operations, rotations, retained, gaps) }

// Operation counts an operation on a credential by its result.
func Operation(driver, operation string, err error) {
	result := "ok"
	switch {
	case err != nil && provider.InDoubt(err):
		result = "in_doubt"
	case err != nil:
		result = "rejected"
	}
	operations.WithLabelValues(driver, operation, result).Inc()
}

// Rotated counts a rotation that was published and recorded.
func Rotated(driver, reason string) { rotations.WithLabelValues(driver, reason, "ok").Inc() }

// RotationFailed counts a failed attempt to rotate.
func RotationFailed(driver, reason string) { rotations.WithLabelValues(driver, reason, "failed").Inc() }

// Retained counts an ApiToken that was deleted with deletionPolicy Retain.
func Retained(driver string) { retained.WithLabelValues(driver).Inc() }

// RotationGap counts a RevokeFirst rotation by the time without access.
func RotationGap(driver string, gap time.Duration) {
	gaps.WithLabelValues(driver).Observe(gap.Seconds())
}
