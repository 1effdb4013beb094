//go:build !race

package explore

// How many schedules of each story are run: single of those with one deviation
// (0: all), and bounded of those with up to two.
const (
	single  = 0
	bounded = 1000
)
