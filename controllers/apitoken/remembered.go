package apitoken

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// proofs remember when it was last tried whether a credential is deleted.
type proofs struct {
	mu   sync.Mutex
	last map[string]time.Duration
}

func (p *proofs) tried(name string, now time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.last == nil {
		p.last = map[string]time.Duration{}
	}
	p.last[name] = now
}

// forget drops what is remembered of a credential that is gone.
func (p *proofs) forget(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.last, name)
}

// wait is how long until it is tried again; 0: now.
func (p *proofs) wait(name string, now time.Duration) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	last, ok := p.last[name]
	if !ok {
		return 0
	}
	if wait := last + proofInterval - now; wait > 0 {
		return wait
	}
	delete(p.last, name)
	return 0
}

// refusals remember handed-over credentials that cannot be used, by the version
// of their Secret.
type refusals struct {
	mu  sync.Mutex
	why map[types.NamespacedName]refused
}

type refused struct{ version, message string }

func (r *refusals) add(token types.NamespacedName, version, message string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.why == nil {
		r.why = map[types.NamespacedName]refused{}
	}
	r.why[token] = refused{version, message}
}

// of returns why the credential in this version cannot be used; empty: not known.
func (r *refusals) of(token types.NamespacedName, version string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if why, ok := r.why[token]; ok && why.version == version {
		return why.message
	}
	return ""
}

func (r *refusals) forget(token types.NamespacedName) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.why, token)
}
