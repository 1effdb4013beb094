package apitoken

import (
	"errors"
	"slices"

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

// replaces reports whether a credential that is issued for a reason takes the
// place of another one.
func replaces(reason string, before *v1alpha1.ApiTokenStatus) bool {
	switch reason {
	case string(plan.IssueInitial), issueRestored:
		return false
	case string(plan.IssueHandedOver): // the first one may be handed over too
		return slices.ContainsFunc(before.Credentials, func(e v1alpha1.LedgerEntry) bool { return e.State == v1alpha1.StateActive })
	default:
		return true
	}
}

// rotated counts the credential that a written status made the one in use.
func rotated(driver string, before, after *v1alpha1.ApiTokenStatus) {
	was := map[string]bool{}
	for i := range before.Credentials {
		was[before.Credentials[i].Name] = before.Credentials[i].State == v1alpha1.StateActive
	}
	for i := range after.Credentials {
		if e := &after.Credentials[i]; e.State == v1alpha1.StateActive && !was[e.Name] && replaces(e.Reason, before) {
			rotations.WithLabelValues(driver, e.Reason, "ok").Inc()
		}
	}
}

// rotationFailed counts an attempt to replace a credential that ended with an
// error. One that was overtaken is looked at again and did not fail, and a person
// who has not acted yet is no failure.
func rotationFailed(driver string, reason plan.IssueReason, before *v1alpha1.ApiTokenStatus, err error) {
	var task *personError
	if err == nil || !replaces(string(reason), before) || errors.Is(err, errSuperseded) || errors.Is(err, errInLine) || errors.As(err, &task) {
		return
	}
	rotations.WithLabelValues(driver, string(reason), "failed").Inc()
}
