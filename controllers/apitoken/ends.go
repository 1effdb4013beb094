package apitoken

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"apitoken.dev/operator/internal/credname"
)

// toldEnds remembers which value of the annotation apitoken.dev/end was refused last, so
// that each is told once and not at every reconcile.
type toldEnds struct {
	mu   sync.Mutex
	told map[types.NamespacedName]string
}

// isNew reports whether a refusal differs from the last one. An empty one ends it.
func (e *toldEnds) isNew(name types.NamespacedName, refusal string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	was := e.told[name]
	switch {
	case refusal == "":
		delete(e.told, name)
		return false
	case e.told == nil:
		e.told = map[types.NamespacedName]string{}
	}
	e.told[name] = refusal
	return was != refusal
}

func (e *toldEnds) forget(name types.NamespacedName) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.told, name)
}

// tellEndIgnored emits an event when the annotation apitoken.dev/end has no effect. It is
// emitted at once: there can be no status write to wait for.
func (r *Reconciler) tellEndIgnored(p *pass) {
	refusal := p.obs.EndIgnored(r.ledgerHad(p, p.obs.Token.End))
	if !r.ends.isNew(nameOf(p.token), refusal) {
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
