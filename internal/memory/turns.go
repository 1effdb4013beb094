package memory

import (
	"maps"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// turnInterval is the time between calls for ApiTokens of namespaces that are not admitted,
// if only their Secret says that a credential was issued.
const turnInterval = time.Second

// Turns give each such ApiToken its own turn, in the order of arrival in its namespace.
// ApiTokens of one namespace, including deleted ones, delay no other namespace.
type Turns struct {
	mu sync.Mutex
	// next is the time of the next free turn of a namespace, and last when a turn of any
	// namespace was taken.
	next  map[string]time.Duration
	last  time.Duration
	taken bool
	turns *byToken[time.Duration]
}

func newTurns(m *Memory) *Turns {
	return &Turns{next: map[string]time.Duration{}, turns: perToken[time.Duration](m)}
}

// Wait returns the wait until the turn of an ApiToken; 0 means now. A turn stays until it
// is taken.
func (t *Turns) Wait(token types.NamespacedName, now time.Duration) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	turn, has := t.turns.get(token)
	if !has {
		turn = max(now, t.next[token.Namespace])
		maps.DeleteFunc(t.next, func(_ string, next time.Duration) bool { return next <= now })
		t.next[token.Namespace] = turn + turnInterval
		t.turns.put(token, turn)
	}
	return max(0, turn-now)
}

// Take takes a turn that is due. It returns the wait if another one was taken less than
// turnInterval ago.
func (t *Turns) Take(token types.NamespacedName, now time.Duration) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if wait := t.last + turnInterval - now; t.taken && wait > 0 {
		return wait
	}
	t.last, t.taken = now, true
	t.turns.forget(token)
	return 0
}
