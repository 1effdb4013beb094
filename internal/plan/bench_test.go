package plan_test

import (
	"testing"

	"apitoken.dev/operator/internal/plan"
)

// BenchmarkNext measures decisions. Most reconciles find an ApiToken that needs nothing;
// "space" is a sample of everything that TestInvariantsHoldInEverySituation visits.
func BenchmarkNext(b *testing.B) {
	var sample []plan.Observation
	space(101, func(_ string, o plan.Observation) { sample = append(sample, o) })
	for name, all := range map[string][]plan.Observation{
		"steady":   {observe()},
		"issue":    {observe(live, otherScope)},
		"blocked":  {observe(live, otherScope, missing)},
		"deletion": {observe(deleted)},
		"space":    sample,
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				plan.Next(all[i%len(all)])
			}
		})
	}
}
