//go:build race

package explore

// The race detector makes each schedule many times slower, and the processes of
// a run hand over to each other anyway: fewer are run, of all kinds.
const (
	singles      = 50
	singlesOfTwo = 20
	pairs        = 25
)
