package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
)

var (
	orphans = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "apitoken_orphaned_credentials",
		Help: "Credentials of this cluster at a provider that are in no ledger, as of the last sweep.",
	}, []string{"provider_kind", "provider_namespace", "provider"})
	drifted = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "apitoken_drifted_credentials",
		Help: "Credentials in use that their provider does not show (Missing), shows as disabled (Disabled) or with more access than declared (Changed), " +
			"as of the last sweep.",
	}, []string{"provider_kind", "provider_namespace", "provider", "drift"})
)

func init() { metrics.Registry.MustRegister(orphans, drifted) }

// driftKinds are the values of the label drift.
var driftKinds = []v1alpha1.CredentialDrift{v1alpha1.DriftMissing, v1alpha1.DriftDisabled, v1alpha1.DriftChanged}

// SetOrphans sets the number of orphaned credentials at a provider.
func SetOrphans(key account.Key, n int) {
	orphans.WithLabelValues(string(key.Kind), key.Namespace, key.Name).Set(float64(n))
}

// SetDrifted sets the number of drifted credentials at a provider.
func SetDrifted(key account.Key, n map[v1alpha1.CredentialDrift]int) {
	for _, kind := range driftKinds {
		drifted.WithLabelValues(string(key.Kind), key.Namespace, key.Name, string(kind)).Set(float64(n[kind]))
	}
}

// ForgetSweep removes what the sweeps of a provider set.
func ForgetSweep(key account.Key) {
	drifted.DeletePartialMatch(prometheus.Labels{"provider_kind": string(key.Kind), "provider_namespace": key.Namespace, "provider": key.Name})
	orphans.DeleteLabelValues(string(key.Kind), key.Namespace, key.Name)
}
