package apitoken

import (
	"fmt"
	"time"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/audit"
	"apitoken.dev/operator/internal/ledger"
	"apitoken.dev/operator/internal/memory"
	"apitoken.dev/operator/internal/metrics"
	"apitoken.dev/operator/internal/plan"
)

// overlapOf returns how long the credential of an entry stays valid after it was replaced.
func (p *reconciliation) overlapOf(e *v1alpha1.LedgerEntry) time.Duration {
	return plan.OverlapOf(&p.token.Spec, e)
}

// activate makes an entry Active and starts the overlap of the previous one.
func (r *Reconciler) activate(p *reconciliation, name string) {
	retired := ledger.Activate(&p.token.Status, name, p.obs.Now, p.overlapOf)
	p.rotated(retired, name)
	r.endGap(p)
	clearPublishRefused(p)
	p.noteChecked()
}

// backOff extends the backoff, so that the next attempt waits.
func backOff(p *reconciliation) { ledger.Backoff(&p.token.Status, p.obs.Now, plan.Remaining(&p.obs)) }

// abandon marks an attempt as Abandoned: its credential, if there is one, is revoked once
// the attempt has settled.
func (p *reconciliation) abandon(name string) {
	e := p.entry(name)
	if e == nil {
		return
	}
	ledger.Abandon(&p.token.Status, name)
	p.happened(abandoned, e, audit.Why{Reason: audit.ReasonAttemptAbandoned, AskedBy: audit.AskedByRecovery},
		"attempt %s was abandoned: its credential, if it created one, will be revoked once none of its requests can take effect any more", plan.Named(e))
}

// drop removes an entry from the ledger after Find showed that its credential is gone.
func (p *reconciliation) drop(name string) {
	if e := p.entry(name); e != nil {
		p.revoked(e)
		ledger.Drop(&p.token.Status, name)
	}
}

// giveUp retires the Active credential before a new one exists: the gap begins.
func giveUp(p *reconciliation, a plan.GiveUp) {
	if a.Charged {
		ledger.Charge(&p.token.Status, p.obs.Now)
	}
	ledger.BeginGap(&p.token.Status, a.Name, string(a.Reason), p.obs.Now)
}

// endGap reports how long the workload had no credential.
func (r *Reconciler) endGap(p *reconciliation) {
	gap, ended := ledger.EndGap(&p.token.Status, p.obs.Now)
	if !ended {
		return
	}
	metrics.RotationGap(p.facts.DriverType, gap)
	p.event(eventGap, "Rotate", "the credential was rotated with a gap of %s: the account has no free slot for a second one, and spec.rotation.strategy is RevokeFirst", gap)
}

// reject withdraws the reservation of the attempt, because nothing was issued. It returns
// the outcome of the attempt.
func (a *Attempt) reject(failed plan.Outcome, how plan.Rejection) plan.Outcome {
	why := &memory.Rejection{
		Attempt: a.name, Revision: a.action.Revision, Recorded: a.recorded,
		How: how, At: a.r.Clock.Now(), Failed: plan.WithoutCause(failed),
	}
	a.r.memory.Attempts.Reject(nameOf(a.p.token), why)
	a.p.takeBack(why)
	return failed
}

// withdraw withdraws the reservation of a rejected attempt after the status write of reject
// conflicted. It returns the outcome of the attempt.
func (r *Reconciler) withdraw(p *reconciliation, name string) plan.Outcome {
	why := r.memory.Attempts.Rejection(nameOf(p.token), name)
	if why == nil {
		return plan.Failed{Err: fmt.Errorf("no rejection of %s is known", name)}
	}
	p.takeBack(why)
	return why.Failed
}

// takeBack removes the reservation of a rejected attempt from the ledger.
func (p *reconciliation) takeBack(why *memory.Rejection) {
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
