package explore

import (
	"testing"
)

// TestBrokenVariants proves that the explorer notices: each variant of the
// protocol that is broken on purpose has to break an invariant.
func TestBrokenVariants(t *testing.T) {
	for _, v := range broken() {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			for _, b := range []Bounds{{Deviations: 1}, {Deviations: 2, Runs: 4000}} {
				for _, s := range Scenarios() {
					if runs, f := enumerate(s, v, b); f != nil {
						t.Logf("caught in %q after %d schedules: %s (%s)", s.Name, runs, f.Violation, f.Schedule)
						return
					}
				}
			}
			for _, s := range Scenarios() {
				if f := roll(s, v, 1, 10000); f != nil {
					t.Logf("caught in %q: %s (%s)", s.Name, f.Violation, f.Schedule)
					return
				}
			}
			t.Errorf("no schedule breaks the protocol with %q", v.name)
		})
	}
}
