package metrics

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

// TestQueueIsReadAtTheScrape: of the operator that started last.
func TestQueueIsReadAtTheScrape(t *testing.T) {
	ObserveQueue(t.Name(), ForPlace, func() (int, time.Duration) { return 1, time.Second })
	n := 0
	ObserveQueue(t.Name(), ForPlace, func() (int, time.Duration) { n++; return n, 90 * time.Second })
	want := `
# HELP apitoken_oldest_waiting_seconds How long the oldest waiting object has waited, by controller and by what it waits for; 0 when none waits.
# TYPE apitoken_oldest_waiting_seconds gauge
apitoken_oldest_waiting_seconds{controller="TestQueueIsReadAtTheScrape",for="place"} 90
`
	if err := testutil.GatherAndCompare(metrics.Registry, strings.NewReader(want), "apitoken_oldest_waiting_seconds"); err != nil {
		t.Error(err)
	}
	if _, err := metrics.Registry.Gather(); err != nil || n != 2 {
		t.Errorf("%d scrapes, %v", n, err)
	}
}
