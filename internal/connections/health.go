package connections

import (
	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/pacing"
)

// Watch registers a callback for the providers of a kind. It is called after every failed
// call to one of them, including a failed connect; unhealthy is true when that call made
// the provider unhealthy. The callback must not block. There is one per kind.
func (p *Pool) Watch(kind v1alpha1.ProviderKind, failed func(key account.Key, unhealthy bool)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.watchers[kind] = failed
}

// Health returns what the calls to a provider since the start of the process say about it.
func (p *Pool) Health(key account.Key) pacing.Health {
	p.mu.Lock()
	g, ok := p.gates[key]
	p.mu.Unlock()
	if !ok {
		return pacing.Health{}
	}
	return g.Health()
}

// Drop forgets everything about a provider that no longer exists.
func (p *Pool) Drop(key account.Key) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.cache, key)
	delete(p.gates, key)
	p.accounts.forget(key)
}

// gate returns the gate of a provider.
func (p *Pool) gate(o account.Object) gate {
	key := o.Key()
	p.mu.Lock()
	defer p.mu.Unlock()
	if g, ok := p.gates[key]; ok && g.uid == o.GetUID() {
		g.Follow(o.GetGeneration())
		return g
	}
	g := gate{uid: o.GetUID(), Gate: pacing.New(pacing.Options{
		Provider: key, Generation: o.GetGeneration(), Clock: p.o.Clock, Rate: p.o.Rate, Burst: p.o.Burst, MintWait: p.o.MintWait,
		Audit: p.o.Audit, Failed: func(unhealthy bool) { p.failed(key, unhealthy) },
	})}
	p.gates[key] = g
	return g
}

func (p *Pool) failed(key account.Key, unhealthy bool) {
	p.mu.Lock()
	watcher := p.watchers[key.Kind]
	p.mu.Unlock()
	if watcher != nil {
		watcher(key, unhealthy)
	}
}
