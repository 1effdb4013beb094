package explore

import (
	"fmt"
	"strings"
)

// Failure is a schedule that breaks an invariant.
type Failure struct {
	Scenario, Schedule, Violation string
	// Trace describes what happened, one event per line.
	Trace []string

	deviations []deviation
}

// Error implements error.
func (f *Failure) Error() string {
	return fmt.Sprintf("%s\nin scenario %q, %s:\n%s", f.Violation, f.Scenario, f.Schedule, strings.Join(f.Trace, "\n"))
}

// runOne runs one schedule.
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

// Bounds limits an exploration.
type Bounds struct {
	// Deviations is the maximum number of deviations in one run.
	Deviations int
	// Runs limits the number of schedules with no, one, two and so on deviations. 0 or
	// absent means all. If there are more, every n-th schedule runs, so that the sample
	// covers all.
	Runs []int
	// Only lists the deviations to use; nil means any.
	Only []string
}

// enumerate runs every schedule of a scenario within the bounds, those with fewer
// deviations first. It returns the number of schedules that it ran, and the first
// failure.
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
