package metrics

import (
	"errors"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
)

// TestCountersFollowTheNamingRules of Prometheus for names, units and help.
func TestCountersFollowTheNamingRules(t *testing.T) {
	Called(t.Context(), "lint", "mint", time.Second, errors.New("x"))
	Waited("lint", time.Second)
	HeldBack("lint", "mint", HoldPause)
	Operation("lint", "mint", nil)
	Rotated("lint", "Scheduled")
	Retained("lint")
	RotationGap("lint", time.Second)
	key := account.Key{Kind: v1alpha1.KindTokenProvider, Namespace: "lint", Name: "store"}
	SetOrphans(key, 3)
	SetDrifted(key, nil)
	defer ForgetSweep(key)
	all := []prometheus.Collector{durations, failures, waits, held, operations, rotations, retained, gaps, orphans, drifted}
	for _, c := range all {
		r := prometheus.NewRegistry()
		r.MustRegister(c)
		problems, err := testutil.GatherAndLint(r)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range problems {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
		if n, err := testutil.GatherAndCount(r); err != nil || n == 0 {
			t.Errorf("%d series were checked: %v", n, err)
		}
	}
}

// TestForgetSweepRemovesTheProvider: all series of a provider, and no others.
func TestForgetSweepRemovesTheProvider(t *testing.T) {
	gone := account.Key{Kind: v1alpha1.KindTokenProvider, Namespace: "forget", Name: "gone"}
	stays := account.Key{Kind: v1alpha1.KindTokenProvider, Namespace: "forget", Name: "stays"}
	for _, key := range []account.Key{gone, stays} {
		SetOrphans(key, 1)
		SetDrifted(key, nil)
	}
	defer ForgetSweep(stays)
	for c, perProvider := range map[prometheus.Collector]int{orphans: 1, drifted: len(driftKinds)} {
		if n := testutil.CollectAndCount(c); n != 2*perProvider {
			t.Errorf("%d series before, want %d", n, 2*perProvider)
		}
	}
	ForgetSweep(gone)
	for c, perProvider := range map[prometheus.Collector]int{orphans: 1, drifted: len(driftKinds)} {
		if n := testutil.CollectAndCount(c); n != perProvider {
			t.Errorf("%d series after, want %d", n, perProvider)
		}
	}
}
