package apitoken

import "apitoken.dev/operator/internal/credname"

// tellEndIgnored emits an event when the annotation apitoken.dev/end has no effect. It is
// emitted at once: there can be no status write to wait for.
func (r *Reconciler) tellEndIgnored(p *pass) {
	refusal := p.obs.EndIgnored(r.ledgerHad(p, p.obs.Token.End))
	if !r.memory.Ends.IsNew(nameOf(p.token), refusal) {
		return
	}
	was := p.events
	p.events = nil
	p.event(eventIgnored, "End", "%s", refusal)
	if e := p.entry(p.obs.Token.End); e != nil {
		p.events[0].credential = e.Name
	}
	r.tell(p)
	p.events = was
}

// ledgerHad reports whether a name is that of a credential which the ledger had: it was
// revoked and dropped, and the annotation that ended it may stay.
func (r *Reconciler) ledgerHad(p *pass, name string) bool {
	parsed, err := credname.Parse(name)
	return err == nil && parsed.Revision <= p.token.Status.Revision && r.owns(p.token.Namespace, p.token.Name)(name)
}
