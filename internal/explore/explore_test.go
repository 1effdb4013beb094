package explore

import (
	"flag"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"apitoken.dev/operator/internal/clock"
)

func TestMain(m *testing.M) {
	log.SetLogger(logr.Discard())
	m.Run()
}

var deep = flag.Duration("explore.deep", 0, "how long TestExploreDeep looks for schedules; 0: a moment")

func TestOrdinaryCourse(t *testing.T) {
	for _, s := range Scenarios() {
		t.Run(s.Name, func(t *testing.T) {
			if f := runOne(s, variant{}, &schedule{}); f != nil {
				t.Fatal(f)
			}
		})
	}
}

func TestOneDeviation(t *testing.T) {
	for _, s := range Scenarios() {
		t.Run(s.Name, func(t *testing.T) {
			c := clock.NewReal()
			runs, f := enumerate(s, variant{}, Bounds{Deviations: 1})
			if f != nil {
				t.Fatal(f)
			}
			t.Logf("%d schedules in %s", runs, c.Monotonic().Round(time.Millisecond))
		})
	}
}

func TestTwoDeviations(t *testing.T) {
	for _, s := range Scenarios() {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			c := clock.NewReal()
			runs, f := enumerate(s, variant{}, Bounds{Deviations: 2, Runs: 6000})
			if f != nil {
				t.Fatal(f)
			}
			t.Logf("%d schedules in %s", runs, c.Monotonic().Round(time.Millisecond))
		})
	}
}

func TestDice(t *testing.T) {
	for _, s := range Scenarios() {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			c := clock.NewReal()
			if f := roll(s, variant{}, 1, 6000); f != nil {
				t.Fatal(f)
			}
			t.Logf("6000 seeds in %s", c.Monotonic().Round(time.Millisecond))
		})
	}
}
