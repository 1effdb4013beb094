package orphansweep

import (
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
)

var orphanGauge = prometheus.NewGaugeVec(prometheus.GaugeOpts{
	Name: "apitoken_orphaned_credentials",
	Help: "Credentials of this cluster at a provider that no ledger knows, as of the last sweep.",
}, []string{"provider_kind", "provider_namespace", "provider"})

var driftGauge = prometheus.NewGaugeVec(prometheus.GaugeOpts{
	Name: "apitoken_drifted_credentials",
	Help: "Credentials in use that their provider does not show (Missing), shows as disabled (Disabled) or with more access than declared (Changed), " +
		"as of the last sweep.",
}, []string{"provider_kind", "provider_namespace", "provider", "drift"})

func init() { metrics.Registry.MustRegister(orphanGauge, driftGauge) }

// kindsOfDrift are the values of the label drift.
var kindsOfDrift = []v1alpha1.CredentialDrift{v1alpha1.DriftMissing, v1alpha1.DriftDisabled, v1alpha1.DriftChanged}

func setDrifted(key account.Key, n map[v1alpha1.CredentialDrift]int) {
	for _, kind := range kindsOfDrift {
		driftGauge.WithLabelValues(string(key.Kind), key.Namespace, key.Name, string(kind)).Set(float64(n[kind]))
	}
}

func setOrphans(key account.Key, n int) {
	orphanGauge.WithLabelValues(string(key.Kind), key.Namespace, key.Name).Set(float64(n))
}

func forgetMetrics(key account.Key) {
	driftGauge.DeletePartialMatch(prometheus.Labels{"provider_kind": string(key.Kind), "provider_namespace": key.Namespace, "provider": key.Name})
	orphanGauge.DeleteLabelValues(string(key.Kind), key.Namespace, key.Name)
}
