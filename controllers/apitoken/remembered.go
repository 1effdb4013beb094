package apitoken

import (
	"maps"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"apitoken.dev/operator/internal/plan"
)

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

// tries remember when something was last tried with the credentials of an
// ApiToken that is tried again once in a while: plan.ProofInterval.
type tries struct {
	mu   sync.Mutex
	last map[types.NamespacedName]map[string]time.Duration
}

// tried notes a try.
func (t *tries) tried(token types.NamespacedName, credential string, now time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.last == nil {
		t.last = map[types.NamespacedName]map[string]time.Duration{}
	}
	if t.last[token] == nil {
		t.last[token] = map[string]time.Duration{}
	}
	t.last[token][credential] = now
}

// wait is how long until it is tried again; 0: now. A try that is over is forgotten.
func (t *tries) wait(token types.NamespacedName, credential string, now time.Duration) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	last, ok := t.last[token][credential]
	if !ok {
		return 0
	}
	if wait := last + plan.ProofInterval - now; wait > 0 {
		return wait
	}
	delete(t.last[token], credential)
	if len(t.last[token]) == 0 {
		delete(t.last, token)
	}
	return 0
}

// forget drops what is remembered of an ApiToken that is gone.
func (t *tries) forget(token types.NamespacedName) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.last, token)
}

// claimInterval is how far apart calls are for ApiTokens of namespaces that are not
// admitted and whose Secret alone says that something was issued.
const claimInterval = time.Second

// claims give each such ApiToken a turn of its own, in the order they come in its
// namespace: what one namespace claims, or claimed and deleted, delays no other's turn.
type claims struct {
	mu sync.Mutex
	// next is when the next turn of a namespace comes that is given out, last when one
	// was taken, of any namespace.
	next  map[string]time.Duration
	last  time.Duration
	taken bool
	turns map[types.NamespacedName]time.Duration
}

// wait is how long until the turn of an ApiToken; 0: it has come, and stays until
// it is taken.
func (c *claims) wait(token types.NamespacedName, now time.Duration) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	turn, has := c.turns[token]
	if !has {
		turn = max(now, c.next[token.Namespace])
		if c.turns == nil {
			c.turns, c.next = map[types.NamespacedName]time.Duration{}, map[string]time.Duration{}
		}
		maps.DeleteFunc(c.next, func(_ string, next time.Duration) bool { return next <= now })
		c.next[token.Namespace] = turn + claimInterval
		c.turns[token] = turn
	}
	return max(0, turn-now)
}

// take uses up a turn that has come. It returns how long to wait if another one was
// taken less than claimInterval ago.
func (c *claims) take(token types.NamespacedName, now time.Duration) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if wait := c.last + claimInterval - now; c.taken && wait > 0 {
		return wait
	}
	c.last, c.taken = now, true
	delete(c.turns, token)
	return 0
}

// forget gives up the turn of an ApiToken that is gone.
func (c *claims) forget(token types.NamespacedName) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.turns, token)
}
