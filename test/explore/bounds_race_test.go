//go:build race

package explore

// The race detector makes each schedule many times slower, and the processes of a run
// already take turns. TestInvariantsHoldUnderDeviations therefore runs fewer schedules, of every story.
const (
	singles      = 50
	singlesOfTwo = 20
	pairs        = 25
)
