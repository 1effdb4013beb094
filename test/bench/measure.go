package main

import (
	"runtime"
	"runtime/metrics"
	"slices"
	"sync"
	"syscall"
	"time"
)

// cpuTime is the CPU time of this process so far, in user and system mode.
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

// heap is the size of all objects on the heap, including those not collected yet.
func heap() int64 {
	sample := []metrics.Sample{{Name: heapMetric}}
	metrics.Read(sample)
	return int64(sample[0].Value.Uint64()) //nolint:gosec // G115: a size in memory
}

// liveHeap is the size of the heap after a collection.
func liveHeap() int64 {
	runtime.GC()
	return heap()
}

// watchHeap polls the size of the heap until the returned function is called, which
// returns the maximum.
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

// cost is the time and CPU time of a batch.
type cost struct {
	tokens int
	// wall is the time until the last token was done.
	wall time.Duration
	// cpu is the CPU time of this process until no more requests were sent.
	cpu time.Duration
	// before is the CPU used while the tokens were declared, before the clock started.
	before time.Duration
}

func (c cost) perSecond() float64 { return float64(c.tokens) / c.wall.Seconds() }

func (c cost) cpuPerToken() float64 { return milliseconds(c.cpu) / float64(c.tokens) }

func (c cost) beforePerToken() float64 { return milliseconds(c.before) / float64(c.tokens) }

func milliseconds(d time.Duration) float64 { return d.Seconds() * 1000 }

// median returns the median; with an even count, the mean of the middle two; without numbers, 0.
func median(numbers []float64) float64 {
	sorted := slices.Sorted(slices.Values(numbers))
	n := len(sorted)
	if n == 0 {
		return 0
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// medianOf returns the median of one number of every round.
func medianOf(rounds []round, number func(round) float64) float64 {
	return median(each(rounds, number))
}

// spread returns the minimum and the maximum of one number of every round.
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
