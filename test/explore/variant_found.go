package explore

import (
	"time"

	"apitoken.dev/operator/internal/plan"
)

// regressions returns variants that undo the fix of a fault that was found outside of the
// explorer, each in the story that shows the fault.
func regressions() []variant {
	return []variant{
		{name: "publish a bucket that the key does not grant", story: bucketsSuspended, breaks: "S7",
			see: func(o *plan.Observation) {
				for i := range o.Ledger {
					o.Ledger[i].Fingerprint, o.Ledger[i].Updating = plan.Fingerprint(&o.Token.Spec), ""
				}
			}},
		{name: "treat the data of a Secret as verified", story: editTheSecret, breaks: "convergence",
			see: func(o *plan.Observation) { o.Secret.Intact = o.Secret.Exists && !o.Secret.Foreign }},
		{name: "give the slot of a gap to another ApiToken", story: gapShared,
			deviations: []string{neighbourRuns}, breaks: "convergence",
			see: func(o *plan.Observation) { o.Provider.Shared.Gaps = nil }},
		{name: "abandon attempts of the other process at once", story: twoOperators, breaks: "convergence",
			see: func(o *plan.Observation) {
				for i := range o.Ledger {
					o.Ledger[i].SeenFor = time.Hour
				}
			}},
	}
}
