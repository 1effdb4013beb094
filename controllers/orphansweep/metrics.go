package orphansweep

import (
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"apitoken.dev/operator/internal/connections"
)

var orphanGauge = prometheus.NewGaugeVec(prometheus.GaugeOpts{
	Name: "apitoken_orphaned_credentials",
	Help: "Credentials of this cluster at a provider that no ledger knows, as of the last sweep.",
}, []string{"provider_kind", "provider_namespace", "provider"})

func init() { metrics.Registry.MustRegister(orphanGauge) }

func setOrphans(key connections.Key, n int) {
	orphanGauge.WithLabelValues(string(key.Kind), key.Namespace, key.Name).Set(float64(n))
}

func forgetOrphans(key connections.Key) {
	orphanGauge.DeleteLabelValues(string(key.Kind), key.Namespace, key.Name)
}
