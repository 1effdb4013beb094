package orphansweep

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
)

// Names, units and help follow the rules of Prometheus, and nothing is left of a
// provider that is gone.
func TestMetricsLint(t *testing.T) {
	key := account.Key{Kind: v1alpha1.KindTokenProvider, Namespace: "lint", Name: "store"}
	setOrphans(key, 3)
	r := prometheus.NewRegistry()
	r.MustRegister(orphanGauge)
	problems, err := testutil.GatherAndLint(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	before, err := testutil.GatherAndCount(r)
	if err != nil {
		t.Fatal(err)
	}
	forgetMetrics(key)
	if after, err := testutil.GatherAndCount(r); err != nil || after != before-1 {
		t.Errorf("%d series, then %d: %v", before, after, err)
	}
}
