package memory

import (
	"time"

	"k8s.io/apimachinery/pkg/types"
)

const (
	// contestBurst is how often a Secret's metadata is repaired without a pause, because
	// users make several changes in a row.
	contestBurst = 5
	// contestFirst is the pause after that. It doubles each time, up to contestMost.
	contestFirst = 5 * time.Second
	contestMost  = 10 * time.Minute
)

// Contests remember how often this process wrote the same metadata to the Secret of an
// ApiToken because another client had reverted it. Without pauses, two controllers with
// different declarations would overwrite each other forever.
type Contests struct{ last *byToken[contest] }

type contest struct {
	// layout that was written, and when.
	layout string
	at     time.Duration
	// lost is when it was first seen to be reverted; valid only if isLost is true.
	lost   time.Duration
	isLost bool
	// repeats counts the writes after the first.
	repeats int
}

func newContests(m *Memory) *Contests { return &Contests{perToken[contest](m)} }

func (c *contest) pause() time.Duration {
	if c.repeats < contestBurst {
		return 0
	}
	const doublings = 7 // from contestFirst to more than contestMost
	return min(contestMost, contestFirst<<min(c.repeats-contestBurst, doublings))
}

// over reports whether the last write stayed in place for longer than any pause.
func (c *contest) over() bool { return !c.isLost || c.lost-c.at > contestMost }

// Lost records that a live Secret lacks its declared layout. It returns the pause between
// two writes, and how much of it is left.
func (c *Contests) Lost(token types.NamespacedName, layout string, now time.Duration) (pause, wait time.Duration) {
	c.last.edit(token, func(last *contest) bool {
		if last.layout != layout {
			return last.layout != ""
		}
		if !last.isLost {
			last.isLost, last.lost = true, now
		}
		if !last.over() {
			pause = last.pause()
			wait = max(0, last.at+pause-now)
		}
		return true
	})
	return pause, wait
}

// Wrote records a write and returns the pause until the next one; 0 means that the next
// change is repaired at once.
func (c *Contests) Wrote(token types.NamespacedName, layout string, now time.Duration) (pause time.Duration) {
	c.last.edit(token, func(last *contest) bool {
		next := contest{layout: layout, at: now}
		if last.layout == layout && !last.over() {
			next.repeats = last.repeats + 1
		}
		*last, pause = next, next.pause()
		return true
	})
	return pause
}
