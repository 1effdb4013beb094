package memory

import (
	"maps"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// turnInterval is how far apart calls are for ApiTokens of namespaces that are not
// admitted and whose Secret alone says that something was issued.
const turnInterval = time.Second

// Turns give each such ApiToken a turn of its own, in the order in which they come in their
// namespace. ApiTokens of one namespace, also deleted ones, delay no other namespace.
type Turns struct {
	mu sync.Mutex
	// next is when the next turn that a namespace gives out comes, last when a turn of any
	// namespace was taken.
	next  map[string]time.Duration
	last  time.Duration
	taken bool
	turns *byToken[time.Duration]
}

func newTurns(m *Memory) *Turns {
	return &Turns{next: map[string]time.Duration{}, turns: perToken[time.Duration](m)}
}

// Wait is how long until the turn of an ApiToken; 0: it has come, and stays until it is
// taken.
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

// Take uses up a turn that has come. It returns how long to wait if another one was taken
// less than turnInterval ago.
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
