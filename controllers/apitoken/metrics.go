package apitoken

import (
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/provider"
)

var (
	operations = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "apitoken_operations_total",
		Help: "Calls that change something, by driver, operation (mint, publish, update, revoke, probe) and result (ok, rejected, in_doubt).",
	}, []string{"driver", "operation", "result"})
	rotations = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "apitoken_rotations_total",
		Help: "Credentials that replaced another one, by driver, reason (Scheduled, RotationRequested, SpecChanged, SecretLost, SecretChanged, HandedOver, CredentialMissing) " +
			"and result: ok (published, and in the ledger as the one in use) or failed.",
	}, []string{"driver", "reason", "result"})
	retained = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "apitoken_retained_total",
		Help: "ApiTokens deleted with deletionPolicy Retain: their credentials stay live and nothing revokes them.",
	}, []string{"driver"})
	gaps = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "apitoken_rotation_gap_seconds",
		Help:    "How long a rotation with the strategy RevokeFirst left the workload without access.",
		Buckets: []float64{1, 2, 5, 10, 30, 60, 300, 1800},
	}, []string{"driver"})
)

func init() { metrics.Registry.MustRegister(operations, rotations, retained, gaps) }

// operation counts a call by its result.
func operation(driver, operation string, err error) {
	result := "ok"
	switch {
	case err != nil && provider.InDoubt(err):
		result = "in_doubt"
	case err != nil:
		result = "rejected"
	}
	operations.WithLabelValues(driver, operation, result).Inc()
}

// rotated counts the credential that a written status made the one in use.
func rotated(driver string, before, after *v1alpha1.ApiTokenStatus) {
	for _, reason := range plan.Rotated(before, after) {
		rotations.WithLabelValues(driver, string(reason), "ok").Inc()
	}
}

// rotationFailed counts an attempt to replace a credential that was not carried out.
func rotationFailed(driver string, reason plan.IssueReason, before *v1alpha1.ApiTokenStatus, out plan.Outcome) {
	if plan.RotationFailed(reason, before, out) {
		rotations.WithLabelValues(driver, string(reason), "failed").Inc()
	}
}
