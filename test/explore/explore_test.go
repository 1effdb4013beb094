package explore

import (
	"flag"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"apitoken.dev/operator/internal/clock"
)

func TestMain(m *testing.M) {
	log.SetLogger(logr.Discard())
	debug.SetGCPercent(400) // the heap is small, and garbage after every run
	m.Run()
}

var (
	deep = flag.Duration("explore.deep", 5*time.Second, "how long TestInvariantsHoldInRandomSchedules runs")
	seed = flag.Uint64("explore.seed", 1, "the first seed of TestInvariantsHoldInRandomSchedules")
)

func TestInvariantsHoldInTheOrdinaryCourse(t *testing.T) {
	for _, s := range Scenarios() {
		t.Run(s.Name, func(t *testing.T) {
			if f := runOne(s, variant{}, &schedule{}); f != nil {
				t.Fatal(f)
			}
		})
	}
}

// TestInvariantsHoldUnderDeviations runs all schedules with one deviation and a sample of those with two.
// Where two operators act all the time, schedules are long: a sample of those with one
// deviation runs.
func TestInvariantsHoldUnderDeviations(t *testing.T) {
	for _, s := range Scenarios() {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			b := Bounds{Deviations: 2, Runs: []int{1, singles, pairs}}
			if s.both {
				b = Bounds{Deviations: 1, Runs: []int{1, singlesOfTwo}}
			}
			c := clock.NewReal()
			runs, f := enumerate(s, variant{}, b)
			if f != nil {
				t.Fatal(f)
			}
			t.Logf("%d schedules in %s", runs, c.Monotonic().Round(time.Millisecond))
		})
	}
}

// The test runs random schedules for the time in -explore.deep, on every core. A failure prints its
// seed, and -explore.seed starts there.
func TestInvariantsHoldInRandomSchedules(t *testing.T) {
	c := clock.NewReal()
	var next, ran atomic.Uint64
	next.Store(*seed)
	for worker := range runtime.GOMAXPROCS(0) {
		t.Run(fmt.Sprint(worker), func(t *testing.T) {
			t.Parallel()
			for c.Monotonic() < *deep && !t.Failed() {
				n := next.Add(1) - 1
				for _, s := range Scenarios() {
					ran.Add(1)
					if f := runOne(s, variant{}, newDice(n)); f != nil {
						t.Fatal(f)
					}
				}
			}
		})
	}
	t.Cleanup(func() { t.Logf("%d schedules in %s", ran.Load(), c.Monotonic().Round(time.Second)) })
}

// A schedule can be replayed: the same seed produces the same trace.
func TestSchedulesCanBeReplayed(t *testing.T) {
	for n := range uint64(20) {
		var traces [2]string
		for i := range traces {
			w := newWorld(loseTheSecret, variant{}, newDice(n))
			w.run()
			traces[i] = strings.Join(w.trace, "\n")
		}
		if traces[0] != traces[1] {
			t.Fatalf("seed %d took two courses:\n%s\n\nand\n\n%s", n, traces[0], traces[1])
		}
	}
}
