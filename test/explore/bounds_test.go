//go:build !race

package explore

// The number of schedules of each story that TestInvariantsHoldUnderDeviations runs: singles with one
// deviation (0: all), singlesOfTwo with one deviation where two operators act, and pairs
// with two.
const (
	singles      = 0
	singlesOfTwo = 300
	pairs        = 400
)
