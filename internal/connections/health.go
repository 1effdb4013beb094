package connections

import (
	"context"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/provider"
)

// Watch has a function called at every trouble with a provider of a kind, also
// that with a connection: suspect is true when it made the provider suspect. The
// function must not wait. There is one per kind.
func (p *Pool) Watch(kind v1alpha1.ProviderKind, wake func(key account.Key, suspect bool)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.watchers[kind] = wake
}

// Health returns what calls told about a provider since the process started.
func (p *Pool) Health(key account.Key) Health {
	p.mu.Lock()
	g, ok := p.gates[key]
	p.mu.Unlock()
	if !ok {
		return Health{}
	}
	return g.health()
}

// Drop forgets all about a provider that is gone.
func (p *Pool) Drop(key account.Key) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.kept, key)
	delete(p.gates, key)
	p.accounts.forget(key)
}

// gate returns the gate of a provider. The lock is held.
func (p *Pool) gate(o account.Object) *gate {
	key := o.Key()
	if g, ok := p.gates[key]; ok && g.uid == o.GetUID() {
		g.follow(o.GetGeneration())
		return g
	}
	g := &gate{
		uid: o.GetUID(), provider: key.String(), key: key, audit: p.o.Audit, generation: o.GetGeneration(), clock: p.o.Clock, rate: p.o.Rate,
		patience: paceWait, mintWait: p.o.MintWait, pace: newPace(p.o.Clock, p.o.Rate, p.o.Burst),
		tell: func(suspect bool) { p.tell(key, suspect) },
	}
	p.gates[key] = g
	return g
}

func (p *Pool) tell(key account.Key, suspect bool) {
	p.mu.Lock()
	wake := p.watchers[key.Kind]
	p.mu.Unlock()
	if wake != nil {
		wake(key, suspect)
	}
}

// connect makes one attempt, which mints nothing. A suspicion ends with an
// examination: whatever it finds is the answer.
func (g *gate) connect(ctx context.Context, driver provider.Driver, cfg provider.Config, examine bool) (provider.Client, provider.Account, error) {
	op := opConnect
	if examine {
		op = opExamine
	}
	g.mu.Lock()
	g.driver = driver.Type()
	g.mu.Unlock()
	one, err := g.begin(ctx, op, provider.Ref{}, caller{patience: g.patience})
	if err != nil {
		return nil, provider.Account{}, err
	}
	if examine {
		g.examining()
	}
	client, account, err := driver.Connect(ctx, cfg)
	if err != nil {
		err = connectError(err)
	}
	one.end(ctx, err)
	return client, account, err
}
