package apitoken

import (
	"time"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/audit"
	"apitoken.dev/operator/internal/ledger"
	"apitoken.dev/operator/internal/metrics"
	"apitoken.dev/operator/internal/plan"
)

// overlapOf is how long an entry lives on after another one has replaced it.
func (p *pass) overlapOf(e *v1alpha1.LedgerEntry) time.Duration {
	return plan.OverlapOf(&p.token.Spec, e)
}

// activate makes an entry the Active one; any other Active one starts its overlap.
func (r *Reconciler) activate(p *pass, name string) {
	retired := ledger.Activate(&p.token.Status, name, p.obs.Now, p.overlapOf)
	p.rotated(retired, name)
	r.endGap(p)
	clearPublishRefused(p)
	p.noteChecked()
}

// backOff makes the next attempt wait.
func backOff(p *pass) { ledger.Backoff(&p.token.Status, p.obs.Now, plan.Remaining(&p.obs)) }

// abandon gives an attempt up: what the provider may hold of it is revoked later.
func (p *pass) abandon(name string) {
	e := p.entry(name)
	if e == nil {
		return
	}
	ledger.Abandon(&p.token.Status, name)
	p.happened(abandoned, e, audit.Why{Reason: audit.ReasonAttemptAbandoned, AskedBy: audit.AskedByRecovery},
		"attempt %s was given up; what it made, if anything, is revoked once it can no longer take effect", named(e))
}

// drop removes an entry whose credential is seen to be gone.
func (p *pass) drop(name string) {
	if e := p.entry(name); e != nil {
		p.revoked(e)
		ledger.Drop(&p.token.Status, name)
	}
}

// giveUp ends the Active credential before there is another one.
func giveUp(p *pass, a plan.GiveUp) {
	if a.Charged {
		ledger.Charge(&p.token.Status, p.obs.Now)
	}
	ledger.BeginGap(&p.token.Status, a.Name, string(a.Reason), p.obs.Now)
}

// endGap says how long the workload was without access.
func (r *Reconciler) endGap(p *pass) {
	gap, ended := ledger.EndGap(&p.token.Status, p.obs.Now)
	if !ended {
		return
	}
	metrics.RotationGap(p.facts.DriverType, gap)
	p.event(eventGap, "Rotate", "the credential was replaced with a gap of %s: the provider has no room for two, and spec.rotation.strategy is RevokeFirst", gap)
}
