package pacing

import (
	"context"
	"errors"
	"time"

	"apitoken.dev/operator/internal/provider"
)

// Failure is the last failed call to a provider.
type Failure struct {
	// At is the wall time.
	At time.Time
	// Operation that failed: connect, mint, find, list, revoke, update or probe.
	Operation string
	Code      provider.Code
	// Message is safe to show.
	Message string
}

// Health is what the calls to a provider say about it.
type Health struct {
	// Unhealthy: a call failed in a way that says something about the provider rather
	// than about the call. It stays true until the next health check begins.
	Unhealthy bool
	// LastError is nil when no call failed in this process.
	LastError *Failure
}

// Health returns what the calls so far say about the provider.
func (g *Gate) Health() Health {
	g.mu.Lock()
	defer g.mu.Unlock()
	return Health{Unhealthy: g.unhealthy, LastError: g.last}
}

// leave records how a call ended.
func (g *Gate) leave(ctx context.Context, op operation, err error) {
	var refusal *provider.Refusal
	switch {
	case err == nil:
		g.mu.Lock()
		g.rateLimited, g.unanswered = 0, 0
		g.mu.Unlock()
	case errors.Is(ctx.Err(), context.Canceled), errors.As(err, &refusal):
		// Canceled by the caller, or never sent: it says nothing about the provider.
	default:
		unhealthy := g.record(op, provider.AsError(err))
		if op != opHealthCheck {
			g.failed(unhealthy)
		}
	}
}

// record stores an error and reports whether it made the provider unhealthy.
func (g *Gate) record(op operation, e *provider.Error) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.last = &Failure{At: g.clock.Now(), Operation: string(op.shown()), Code: e.Code, Message: e.Message}
	g.startPause(e)
	if e.Code == provider.CodeUnavailable {
		g.unanswered++
	} else {
		g.unanswered = 0
	}
	if op == opHealthCheck || g.unhealthy || !g.concerning(op, e.Code) {
		return false
	}
	g.unhealthy = true
	return true
}

// concerning reports whether an error says something about the provider rather than
// about the call. The lock is held.
func (g *Gate) concerning(op operation, code provider.Code) bool {
	switch code {
	case provider.CodeUnauthenticated, provider.CodePermissionDenied, provider.CodeAccountBlocked:
		return true
	case provider.CodeUnavailable:
		return op == opConnect || g.unanswered >= maxUnanswered
	case provider.CodeInvalid, provider.CodeQuota, provider.CodeRateLimited, provider.CodeUnknown:
		return false
	default:
		return false
	}
}

// startHealthCheck clears the unhealthy mark: the result of the check decides from now on.
func (g *Gate) startHealthCheck() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.unhealthy, g.unanswered = false, 0
}
