package apitoken

import (
	"errors"
	"time"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/audit"
	"apitoken.dev/operator/internal/ledger"
	"apitoken.dev/operator/internal/plan"
)

// entry returns the ledger entry of a name, or nil.
func (p *pass) entry(name string) *v1alpha1.LedgerEntry { return ledger.Entry(&p.token.Status, name) }

// inUse returns the ledger entry that the workload should be using, or nil.
func (p *pass) inUse() *v1alpha1.LedgerEntry {
	return ledger.Active(&p.token.Status, p.seen.View.Credential)
}

// active is inUse for actions that the rules choose only while there is one.
func (p *pass) active() (*v1alpha1.LedgerEntry, error) {
	if e := p.inUse(); e != nil {
		return e, nil
	}
	return nil, errors.New("no credential is in use")
}

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
