package apitoken

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"apitoken.dev/operator/internal/plan"
)

const (
	// contestBurst is how often a Secret's metadata is repaired at once: people change
	// several things, one after the other.
	contestBurst = 5
	// contestFirst is the pause after that; it doubles each time, up to contestMost.
	contestFirst = 5 * time.Second
	contestMost  = 10 * time.Minute
)

// contests remember how often this process wrote the same metadata to the Secret of an
// ApiToken because another client had changed it back. Two controllers that both write
// what they want at once would go on for ever.
type contests struct {
	mu   sync.Mutex
	last map[types.NamespacedName]contest
}

type contest struct {
	// layout that was written, and when.
	layout string
	at     time.Duration
	// lost is when it was first seen to be changed back; meaningful with isLost.
	lost   time.Duration
	isLost bool
	// repeats counts the writes after the first.
	repeats int
}

func (c contest) pause() time.Duration {
	if c.repeats < contestBurst {
		return 0
	}
	const doublings = 7 // from contestFirst to more than contestMost
	return min(contestMost, contestFirst<<min(c.repeats-contestBurst, doublings))
}

// judge adds what is remembered to a Secret that was read live.
func (c *contests) judge(token types.NamespacedName, layout string, v *plan.Secret, now time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	last, ok := c.last[token]
	if !ok || v.MetadataCurrent || last.layout != layout {
		return
	}
	if !last.isLost {
		last.isLost, last.lost = true, now
		c.last[token] = last
	}
	if last.forgotten() {
		return
	}
	v.Contest.Pause = last.pause()
	v.Contest.Wait = max(0, last.at+last.pause()-now)
}

// forgotten reports whether what was written held for so long that nobody fights over it.
func (c contest) forgotten() bool { return !c.isLost || c.lost-c.at > contestMost }

// wrote notes a write, and returns the pause until the next one; 0: the next change is
// repaired at once.
func (c *contests) wrote(token types.NamespacedName, layout string, now time.Duration) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.last == nil {
		c.last = map[types.NamespacedName]contest{}
	}
	next := contest{layout: layout, at: now}
	if last, ok := c.last[token]; ok && last.layout == layout && !last.forgotten() {
		next.repeats = last.repeats + 1
	}
	c.last[token] = next
	return next.pause()
}

// forget drops what is remembered of an ApiToken that is gone.
func (c *contests) forget(token types.NamespacedName) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.last, token)
}
