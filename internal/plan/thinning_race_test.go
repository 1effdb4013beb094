//go:build race

package plan_test

// thinning: under the race detector, which slows this search down and has
// nothing to find in pure functions, only a part of the observations is visited.
const thinning = 7
