package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// The aims of the benchmark.
const (
	aimRatio = 0.8
	aimCPU   = 2.0 // milliseconds per token
)

// busy is the ratio of the floor's fastest and slowest round above which the machine counts as busy.
const busy = 1.5

// round is one batch of each side.
type round struct{ operator, floor cost }

func (r round) ratio() float64 { return r.operator.perSecond() / r.floor.perSecond() }

// results are the measurements of one run.
type results struct {
	rounds          []round
	operator, floor sent
	reconciles      int

	heapBefore, heapAfter, heapPeak int64

	restart  restarted
	rotation cost
	rotated  sent
}

func (r *results) print(out io.Writer, s settings) {
	r.printRounds(out)
	r.printIssue(out, s)
	r.printMemory(out, s)
	r.printRestart(out)
	r.printRotation(out)
	r.printAims(out)
	fmt.Fprint(out, notes)
}

func (r *results) printRounds(out io.Writer) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(w, "\nround\ttokens\toperator/s\tfloor/s\tratio\toperator CPU ms\tfloor CPU ms\t\n")
	for i, one := range r.rounds {
		fmt.Fprintf(w, "%d\t%d\t%.0f\t%.0f\t%.2f\t%.2f\t%.2f\t\n", i+1, one.operator.tokens,
			one.operator.perSecond(), one.floor.perSecond(), one.ratio(), one.operator.cpuPerToken(), one.floor.cpuPerToken())
	}
	_ = w.Flush()
}

func (r *results) printIssue(out io.Writer, s settings) {
	n := float64(s.tokens)
	m := func(f func(round) float64) float64 { return medianOf(r.rounds, f) }
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "\nA first issue, median of %d rounds\toperator\tfloor\t\n", len(r.rounds))
	least, most := spread(r.rounds, round.ratio)
	fmt.Fprintf(w, "  tokens/s\t%.0f\t%.0f\tratio %.2f (%.2f to %.2f)\n",
		m(func(r round) float64 { return r.operator.perSecond() }), m(func(r round) float64 { return r.floor.perSecond() }), m(round.ratio), least, most)
	fmt.Fprintf(w, "  CPU ms per token\t%.2f\t%.2f\tdifference %.2f\n",
		m(func(r round) float64 { return r.operator.cpuPerToken() }), m(func(r round) float64 { return r.floor.cpuPerToken() }), r.extraCPU())
	fmt.Fprintf(w, "  CPU ms per token, watching\t%.2f\t\t(declaring costs %.2f with the operator watching, %.2f without)\n", r.noticing(),
		m(func(r round) float64 { return r.operator.beforePerToken() }), m(func(r round) float64 { return r.floor.beforePerToken() }))
	fmt.Fprintf(w, "  API writes per token\t%.2f\t%.2f\t\n", per(r.operator.tokens().Writes(), n), per(r.floor.tokens().Writes(), n))
	fmt.Fprintf(w, "  API reads per token\t%.2f\t%.2f\t\n", per(r.operator.tokens().Reads(), n), per(r.floor.tokens().Reads(), n))
	fmt.Fprintf(w, "  events per token\t%.2f\t%.2f\t\n", per(r.operator.events, n), per(r.floor.events, n))
	fmt.Fprintf(w, "  reconciles per token\t%.2f\t\t\n", per(r.reconciles, n))
	_ = w.Flush()
	fmt.Fprintf(out, "  the operator sent %s\n  the floor sent %s\n", r.operator.counts, r.floor.counts)
}

func per(count int, tokens float64) float64 { return float64(count) / tokens }

func (r *results) extraCPU() float64 {
	return medianOf(r.rounds, func(r round) float64 { return r.operator.cpuPerToken() - r.floor.cpuPerToken() })
}

// noticing is the CPU time of the operator's watch per declared token: the difference to
// declarations that the operator does not see.
func (r *results) noticing() float64 {
	return medianOf(r.rounds, func(r round) float64 { return r.operator.beforePerToken() - r.floor.beforePerToken() })
}

func (r *results) printMemory(out io.Writer, s settings) {
	fmt.Fprintf(out, "\nMemory of this process, both sides and provider included\n")
	fmt.Fprintf(out, "  peak heap while the operator minted %s; live heap %s before and %s after (%.1f kB per token)\n",
		mega(r.heapPeak), mega(r.heapBefore), mega(r.heapAfter), float64(r.heapAfter-r.heapBefore)/1e3/float64(s.tokens))
	fmt.Fprintf(out, "  peak resident set %s\n", mega(peakRSS()))
}

func mega(bytes int64) string { return fmt.Sprintf("%.0f MB", float64(bytes)/1e6) }

func (r *results) printRestart(out io.Writer) {
	x, tokens := r.restart, r.restart.sent.tokens()
	fmt.Fprintf(out, "\nA restart over %d healthy tokens\n", x.tokens)
	fmt.Fprintf(out, "  caches filled after %s, all tokens reconciled after %s, CPU %s\n", round3(x.synced), round3(x.reconciled), round3(x.cpu))
	fmt.Fprintf(out, "  for the tokens: %d API writes, %d reads; in all: %s\n", tokens.Writes(), x.sent.counts.Of("apitokens").Reads(), x.sent.counts)
	fmt.Fprintf(out, "  calls of the provider: %d\n", x.calls)
}

func round3(d time.Duration) time.Duration { return d.Round(time.Millisecond) }

func (r *results) printRotation(out io.Writer) {
	c, tokens, n := r.rotation, r.rotated.tokens(), float64(r.rotation.tokens)
	fmt.Fprintf(out, "\nA rotation of %d tokens\n", c.tokens)
	fmt.Fprintf(out, "  %.0f tokens/s, CPU %.2f ms per token, %.2f API writes and %.2f reads per token, %.2f events\n",
		c.perSecond(), c.cpuPerToken(), per(tokens.Writes(), n), per(tokens.Reads(), n), per(r.rotated.events, n))
	fmt.Fprintf(out, "  it sent %s\n", r.rotated.counts)
}

func (r *results) printAims(out io.Writer) {
	ratio := medianOf(r.rounds, round.ratio)
	cpu := medianOf(r.rounds, func(r round) float64 { return r.operator.cpuPerToken() })
	fmt.Fprintln(out, "\nAims")
	fmt.Fprintf(out, "  at least %.2f of the floor's tokens/s: %.2f, %s\n", aimRatio, ratio, met(ratio >= aimRatio))
	fmt.Fprintf(out, "  at most %.1f ms CPU per token: %.2f in total, %s; %.2f above the floor, %s\n",
		aimCPU, cpu, met(cpu <= aimCPU), r.extraCPU(), met(r.extraCPU() <= aimCPU))
	least, most := spread(r.rounds, func(r round) float64 { return r.floor.perSecond() })
	if most > busy*least {
		fmt.Fprintf(out, "  The floor itself made between %.0f and %.0f tokens/s: something else is using this machine. Rates and CPU times\n"+
			"  are not reliable then; counts of requests are. Run the benchmark again when the machine is idle.\n", least, most)
	}
}

func met(ok bool) string {
	if ok {
		return "met"
	}
	return "missed"
}

const notes = `
How it is measured
  Both sides work on the same number of tokens at once, with the same client library and without client-side
  limits, against the same API server; etcd does not wait for the disk. All tokens of a batch are declared before
  the clock starts. By then the operator has seen them, and its first write waits until the clock starts.
  The floor writes what the operator wrote for its first token: finalizer, reservation, Secret and record. It
  reads the Secret once before. It has no provider, no cache and no watch, and emits no events. The operator does,
  and the API server serves them from the same cores at the same time.
  CPU is the user and system time of this process until no more requests are sent. It includes TLS, encoding,
  watches, events, log lines, the in-memory provider and garbage collection, but not the API server and etcd. A
  batch of one side includes nothing of the other side.
  A token is done when the operator's watch shows it Ready; for the floor, when its last write is answered.
`
