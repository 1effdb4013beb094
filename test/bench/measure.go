package main

import (
	"runtime"
	"runtime/metrics"
	"slices"
	"sync"
	"syscall"
	"time"
)

// cpuTime is what this process has used so far, in user and system mode.
func cpuTime() time.Duration {
	u := usage()
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// peakRSS is the most physical memory this process has had, in bytes.
func peakRSS() int64 {
	most := usage().Maxrss
	if runtime.GOOS == "darwin" {
		return most
	}
	return most << 10 // elsewhere it is counted in KiB
}

func usage() syscall.Rusage {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err) // only a wrong argument makes it fail
	}
	return u
}

const heapMetric = "/memory/classes/heap/objects:bytes"

// heap is what the objects on the heap take, dead ones that are not collected yet included.
func heap() int64 {
	sample := []metrics.Sample{{Name: heapMetric}}
	metrics.Read(sample)
	return int64(sample[0].Value.Uint64()) //nolint:gosec // G115: a size in memory
}

// liveHeap is what is left on the heap after a collection.
func liveHeap() int64 {
	runtime.GC()
	return heap()
}

// watchHeap looks at the heap until the function that it returns is called, and
// tells that the most it saw.
func watchHeap() (peak func() int64) {
	var most int64
	var wg sync.WaitGroup
	stop := make(chan struct{})
	wg.Go(func() {
		ticks := time.NewTicker(20 * time.Millisecond)
		defer ticks.Stop()
		for {
			most = max(most, heap())
			select {
			case <-ticks.C:
			case <-stop:
				return
			}
		}
	})
	return func() int64 {
		close(stop)
		wg.Wait()
		return most
	}
}

// stopwatch measures wall and CPU time.
type stopwatch struct {
	wall time.Time
	cpu  time.Duration
}

func startWatch() stopwatch { return stopwatch{wall: time.Now(), cpu: cpuTime()} }

func (s stopwatch) elapsed() time.Duration { return time.Since(s.wall) }

func (s stopwatch) used() time.Duration { return cpuTime() - s.cpu }

// cost is what a batch took.
type cost struct {
	tokens int
	// wall is the time until the last token was done.
	wall time.Duration
	// cpu is what this process used until then and until nothing was sent any more.
	cpu time.Duration
	// before is the CPU used while the tokens were declared, before the clock started.
	before time.Duration
}

func (c cost) perSecond() float64 { return float64(c.tokens) / c.wall.Seconds() }

func (c cost) cpuPerToken() float64 { return milliseconds(c.cpu) / float64(c.tokens) }

func (c cost) beforePerToken() float64 { return milliseconds(c.before) / float64(c.tokens) }

func milliseconds(d time.Duration) float64 { return d.Seconds() * 1000 }

// median of some numbers; the mean of the middle two when there is no middle one.
func median(numbers []float64) float64 {
	sorted := slices.Sorted(slices.Values(numbers))
	n := len(sorted)
	if n == 0 {
		return 0
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// medianOf is the median of one number of every round.
func medianOf(rounds []round, number func(round) float64) float64 {
	return median(each(rounds, number))
}

// spread is the least and the most of one number of every round.
func spread(rounds []round, number func(round) float64) (least, most float64) {
	all := each(rounds, number)
	return slices.Min(all), slices.Max(all)
}

func each(rounds []round, number func(round) float64) []float64 {
	all := make([]float64, 0, len(rounds))
	for _, r := range rounds {
		all = append(all, number(r))
	}
	return all
}
