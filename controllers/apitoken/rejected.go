package apitoken

import (
	"fmt"

	"apitoken.dev/operator/internal/ledger"
	"apitoken.dev/operator/internal/memory"
	"apitoken.dev/operator/internal/plan"
)

// reject takes back the reservation of the attempt, because nothing was issued. It
// returns why.
func (a *Attempt) reject(failed plan.Outcome, how plan.Rejection) plan.Outcome {
	why := &memory.Rejection{
		Attempt: a.name, Revision: a.action.Revision, Recorded: a.recorded,
		How: how, At: a.r.Clock.Now(), Failed: plan.Bare(failed),
	}
	a.r.memory.Attempts.Reject(nameOf(a.p.token), why)
	a.p.takeBack(why)
	return failed
}

// withdraw takes back the reservation of a rejected attempt whose record conflicted. It
// returns why the attempt was rejected.
func (r *Reconciler) withdraw(p *pass, name string) plan.Outcome {
	why := r.memory.Attempts.Rejection(nameOf(p.token), name)
	if why == nil {
		return plan.Failed{Err: fmt.Errorf("no rejection of %s is known", name)}
	}
	p.takeBack(why)
	return why.Failed
}

// takeBack takes back the reservation of a rejected attempt.
func (p *pass) takeBack(why *memory.Rejection) {
	status := &p.token.Status
	ledger.Reject(status, why.Attempt, why.Recorded)
	if why.How.Refunds {
		ledger.Refund(status, p.obs.Now)
	}
	if why.How.AtOnce {
		ledger.EndBackoff(status)
	}
	ledger.Pause(status, why.At, why.How.Pause)
}
