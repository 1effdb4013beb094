package explore

import (
	"time"

	"apitoken.dev/operator/internal/plan"
)

// mendings are variants that undo what was mended after a fault was found outside of
// the explorer, each in the story that shows the fault.
func mendings() []variant {
	return []variant{
		{name: "say what the key may not do", story: bucketsSuspended, breaks: "S7",
			see: func(o *plan.Observation) {
				for i := range o.Ledger {
					o.Ledger[i].Fingerprint, o.Ledger[i].Updating = plan.Fingerprint(&o.Token.Spec), ""
				}
			}},
		{name: "take the data of a Secret for checked", story: editTheSecret, breaks: "convergence",
			see: func(o *plan.Observation) { o.Secret.Intact = o.Secret.Exists && !o.Secret.Foreign }},
		{name: "leave the slot of a gap to others", story: gapShared,
			deviations: []string{neighbourRuns}, breaks: "convergence",
			see: func(o *plan.Observation) { o.Provider.Shared.Gaps = nil }},
		{name: "neither process waits for the other", story: twoOperators, breaks: "convergence",
			see: func(o *plan.Observation) {
				for i := range o.Ledger {
					o.Ledger[i].SeenFor = time.Hour
				}
			}},
	}
}
