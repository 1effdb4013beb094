package memory

import (
	"maps"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"apitoken.dev/operator/internal/plan"
)

// Tries remember when an action was last tried with each credential of an ApiToken. It is
// repeated every plan.ProofInterval.
type Tries struct {
	last *byToken[map[string]time.Duration]
}

func newTries(m *Memory) *Tries { return &Tries{perToken[map[string]time.Duration](m)} }

// Tried records a try.
func (t *Tries) Tried(token types.NamespacedName, credential string, now time.Duration) {
	t.last.edit(token, func(last *map[string]time.Duration) bool {
		if *last == nil {
			*last = map[string]time.Duration{}
		}
		(*last)[credential] = now
		return true
	})
}

// Wait returns the wait until the next try; 0 means now.
func (t *Tries) Wait(token types.NamespacedName, credential string, now time.Duration) time.Duration {
	var wait time.Duration
	t.last.edit(token, func(last *map[string]time.Duration) bool {
		maps.DeleteFunc(*last, func(_ string, at time.Duration) bool { return at+plan.ProofInterval <= now })
		if at, known := (*last)[credential]; known {
			wait = at + plan.ProofInterval - now
		}
		return len(*last) > 0
	})
	return wait
}
