//go:build !race

package plan_test

// thinning: every observation is visited.
const thinning = 1
