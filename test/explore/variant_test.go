package explore

import (
	"strings"
	"testing"
)

// The explorer detects every variant that is broken on purpose: in the story that shows
// it, the variant breaks the invariant it is expected to break, and the unchanged
// protocol holds in the very same schedule.
func TestBrokenVariantsAreDetected(t *testing.T) {
	for _, v := range broken() {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			runs, f := enumerate(v.story, v, Bounds{Deviations: 2, Only: v.deviations})
			if f == nil {
				t.Fatalf("none of %d schedules of %q breaks the protocol with %q", runs, v.story.Name, v.name)
			}
			if !strings.HasPrefix(f.Violation, v.breaks+":") {
				t.Fatalf("want a violation of %s, got %v", v.breaks, f)
			}
			t.Logf("caught after %d schedules: %s (%s)", runs, f.Violation, f.Schedule)
			if f := runOne(v.story, variant{}, &schedule{deviations: f.deviations}); f != nil {
				t.Errorf("the protocol itself breaks in the same schedule: %v", f)
			}
		})
	}
}
