package explore

import (
	"fmt"
	"strings"
)

// Failure is a schedule that broke an invariant.
type Failure struct {
	Scenario, Schedule, Violation string
	// Trace says what happened, a line each.
	Trace []string

	deviations []deviation
}

// Error implements error.
func (f *Failure) Error() string {
	return fmt.Sprintf("%s\nin scenario %q, %s:\n%s", f.Violation, f.Scenario, f.Schedule, strings.Join(f.Trace, "\n"))
}

// runOne follows one schedule.
func runOne(s Scenario, v variant, c chooser) *Failure {
	w := newWorld(s, v, c)
	w.run()
	if w.violation == "" {
		return nil
	}
	f := &Failure{Scenario: s.Name, Schedule: fmt.Sprint(c), Violation: w.violation, Trace: w.trace}
	if s, ok := c.(*schedule); ok {
		f.deviations = s.deviations
	}
	return f
}

// Bounds limit an exploration.
type Bounds struct {
	// Deviations from the ordinary course in one run, at most.
	Deviations int
	// Runs are how many schedules with no, one, two and so on deviations are run, at most;
	// 0, or absent: all. Where there are more, every n-th is run, so that the limit is
	// spread over all of them.
	Runs []int
	// Only these deviations; nil: any.
	Only []string
}

// enumerate runs every schedule of a scenario within the bounds, those with
// fewer deviations first. It returns how many it ran and the first failure.
func enumerate(s Scenario, v variant, b Bounds) (int, *Failure) {
	level := []*schedule{{only: b.Only}}
	runs := 0
	for depth := 0; depth <= b.Deviations && len(level) > 0; depth++ {
		stride := 1
		if depth < len(b.Runs) && b.Runs[depth] > 0 {
			stride = (len(level) + b.Runs[depth] - 1) / b.Runs[depth]
		}
		var next []*schedule
		for i := 0; i < len(level); i += stride {
			runs++
			if f := runOne(s, v, level[i]); f != nil {
				return runs, f
			}
			if depth < b.Deviations {
				next = append(next, level[i].children()...)
			}
		}
		level = next
	}
	return runs, nil
}
