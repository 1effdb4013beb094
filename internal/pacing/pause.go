package pacing

import (
	"time"

	"apitoken.dev/operator/internal/provider"
)

// pause returns an error while the provider wants no requests. A pause can last an hour,
// and must not keep access alive that must end. So a revocation, and the Find that confirms
// it, wait for at most one minute of the pause.
func (g *Gate) pause(op operation) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	until := g.pausedUntil
	if op == opRevoke || op == opFind {
		until = min(until, g.pausedSince+maxPause)
	}
	left := until - g.clock.Monotonic()
	if left <= 0 {
		return nil
	}
	return &provider.Error{Code: provider.CodeRateLimited, NotExecuted: true, RetryAfter: left, Err: ErrNotSent,
		Message: "the provider asked for a pause; nothing is sent to it until " + g.resumesAt.UTC().Format(time.RFC3339)}
}

// startPause begins the pause that an answer asks for. The lock is held.
func (g *Gate) startPause(e *provider.Error) {
	pause := min(e.RetryAfter, maxRetryAfter)
	switch {
	case e.Code != provider.CodeRateLimited:
		g.rateLimited = 0
	case pause <= 0:
		pause = maxPause
		if g.rateLimited < 10 {
			pause = min(maxPause, firstPause<<g.rateLimited)
		}
		g.rateLimited++
	}
	if pause <= 0 {
		return
	}
	g.pausedSince = g.clock.Monotonic()
	if until := g.pausedSince + pause; until > g.pausedUntil {
		// Rounded up to whole seconds, so the time in a message is never before the end.
		g.pausedUntil, g.resumesAt = until, g.clock.Now().Add(pause+time.Second-1).Truncate(time.Second)
	}
}
