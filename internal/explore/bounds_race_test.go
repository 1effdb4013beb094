//go:build race

package explore

// The race detector makes each schedule many times slower, and the processes of
// a run hand over to each other anyway: fewer are run, of all kinds.
const (
	single  = 60
	bounded = 90
)
