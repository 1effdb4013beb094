//go:build !race

package explore

// How many schedules of each story TestDeviations runs: singles of those with one
// deviation (0: all), singlesOfTwo where two operators act, and pairs of those with two.
const (
	singles      = 0
	singlesOfTwo = 300
	pairs        = 400
)
