package connections

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/audit"
	"apitoken.dev/operator/internal/clock"
	"apitoken.dev/operator/internal/metrics"
	"apitoken.dev/operator/internal/provider"
)

const (
	// DefaultRate is how many requests a second one provider gets.
	DefaultRate = 10
	// DefaultBurst is how many requests a provider gets at once after a rest.
	DefaultBurst = 20
	// DefaultMintWait is the longest that a Mint or an Update waits for its turn, and
	// any call that finishes an action which has begun. The deadline of a Mint is a
	// minute from its reservation, and the request takes time too.
	DefaultMintWait = 20 * time.Second
	// paceWait is the longest that the first call of an action waits for its turn. It
	// holds a place at the provider for that time.
	paceWait = 5 * time.Second

	// firstPause is the pause after an answer "too many requests" that asks for
	// none; it doubles with each such answer, up to mostPause.
	firstPause = time.Second
	mostPause  = time.Minute
	// longestPause bounds what a provider may ask for.
	longestPause = time.Hour
	// unansweredMost is how many calls in a row have to fail without an answer until
	// the provider is suspected: one may be the network's doing.
	unansweredMost = 3
)

// operation is a call as status.lastError names it.
type operation string

const (
	opConnect operation = "connect"
	// opExamine is a connect of the one who examines the provider: it is no reason
	// to have it examined once more.
	opExamine operation = "examine"
	opMint    operation = "mint"
	opFind    operation = "find"
	opList    operation = "list"
	opRevoke  operation = "revoke"
	opUpdate  operation = "update"
	opProbe   operation = "probe"
)

// shown is the operation as users see it.
func (op operation) shown() operation {
	if op == opExamine {
		return opConnect
	}
	return op
}

// ErrNotSent is the cause of an error for a call that was held back here, because
// the provider asked for a pause or too many requests wait for it.
var ErrNotSent = errors.New("the request was not sent")

// Trouble is the last thing that went wrong with a provider.
type Trouble struct {
	// At is when, by the wall.
	At time.Time
	// Operation that failed: connect, mint, find, list, revoke, update or probe.
	Operation string
	Code      provider.Code
	// Message is safe to show.
	Message string
}

// Health is what the calls of a provider's clients told about it.
type Health struct {
	// Suspect: a call failed in a way that says something about the provider rather
	// than about the call. It is true until the provider is examined (Refresh).
	Suspect bool
	// LastError is nil when nothing went wrong in this process.
	LastError *Trouble
}

// gate stands before all calls to one provider, whoever makes them: it keeps to
// the provider's pace, and remembers what the answers say about its health. It
// outlives connections.
type gate struct {
	uid types.UID
	// provider is how places name it.
	provider string
	key      account.Key
	// audit is the audit trail; nil without one.
	audit *audit.Log
	clock clock.Clock
	pace  *pace
	rate  float64
	// patience is how long a first call waits for its turn, mintWait one that finishes
	// what has begun.
	patience, mintWait time.Duration
	// tell says that there is trouble, and whether that made the provider suspect.
	tell func(suspect bool)

	mu         sync.Mutex
	generation int64
	// driver is the type of the driver that connected last, for metrics and traces.
	driver string
	// shutUntil is when the pause that the provider asked for ends, by the monotonic
	// clock; opensAt the same by the wall, to be shown. shutSince is when it was asked for last.
	shutUntil time.Duration
	shutSince time.Duration
	opensAt   time.Time
	// limited and unanswered count such answers in a row.
	limited, unanswered int
	suspect             bool
	last                *Trouble
}

// follow takes note of a new declaration, which may name another server: what the
// old one asked for is over.
func (g *gate) follow(generation int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.generation != generation {
		g.generation, g.shutUntil, g.limited, g.unanswered = generation, 0, 0, 0
	}
}

// enter returns when a call may be sent, or an error that says that it was not.
func (g *gate) enter(ctx context.Context, op operation, by caller) error {
	if err := g.pause(op); err != nil {
		return g.held(op, metrics.HoldPause, err)
	}
	waited, crowded, err := g.pace.wait(ctx, by.tenant, by.patience)
	if err != nil {
		return g.held(op, metrics.HoldGivenUp, &provider.Error{Code: provider.CodeRateLimited, NotExecuted: true, Err: err,
			Message: "the request waited for its turn until it was given up"})
	}
	if crowded > 0 {
		return g.held(op, metrics.HoldCrowded, g.crowded(crowded, by.patience))
	}
	if err := g.pause(op); err != nil { // an answer asked for it while this call waited
		return g.held(op, metrics.HoldPause, err)
	}
	metrics.Waited(g.driverType(), waited)
	return nil
}

// blocked returns what a Mint would be refused with now, so that it is not reserved.
func (g *gate) blocked(tenant string) error {
	if err := g.pause(opMint); err != nil {
		return g.held(opMint, metrics.HoldPause, err)
	}
	patience := min(g.patience, g.mintWait)
	if wait := g.pace.estimate(tenant); wait > patience {
		return g.held(opMint, metrics.HoldCrowded, g.crowded(wait, patience))
	}
	return nil
}

// pause returns an error while the provider wants no requests. A pause of up to an
// hour must not keep access alive that has to end: what revokes a credential and
// confirms it waits for a minute of it.
func (g *gate) pause(op operation) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	until := g.shutUntil
	if op == opRevoke || op == opFind {
		until = min(until, g.shutSince+mostPause)
	}
	left := until - g.clock.Monotonic()
	if left <= 0 {
		return nil
	}
	return &provider.Error{Code: provider.CodeRateLimited, NotExecuted: true, RetryAfter: left, Err: ErrNotSent,
		Message: "the provider asked for a pause; nothing is sent to it until " + g.opensAt.UTC().Format(time.RFC3339)}
}

func (g *gate) crowded(wait, patience time.Duration) error {
	return &provider.Error{Code: provider.CodeRateLimited, NotExecuted: true, RetryAfter: wait, Err: ErrNotSent,
		Message: fmt.Sprintf("so many requests wait for this provider that one more would not be sent within %s, at %g a second", patience, g.rate)}
}

// leave takes note of how a call ended.
func (g *gate) leave(ctx context.Context, op operation, err error) {
	var refusal *provider.Refusal
	switch {
	case err == nil:
		g.mu.Lock()
		g.limited, g.unanswered = 0, 0
		g.mu.Unlock()
	case errors.Is(ctx.Err(), context.Canceled), errors.As(err, &refusal):
		// Given up by the caller, or never sent: it says nothing about the provider.
	default:
		suspect := g.fail(op, provider.AsError(err))
		if op != opExamine {
			g.tell(suspect)
		}
	}
}

// fail records an error and reports whether it made the provider suspect.
func (g *gate) fail(op operation, e *provider.Error) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.last = &Trouble{At: g.clock.Now(), Operation: string(op.shown()), Code: e.Code, Message: e.Message}
	g.shut(e)
	if e.Code == provider.CodeUnavailable {
		g.unanswered++
	} else {
		g.unanswered = 0
	}
	if op == opExamine || g.suspect || !g.alarming(op, e.Code) {
		return false
	}
	g.suspect = true
	return true
}

// shut begins the pause that an answer asks for. The lock is held.
func (g *gate) shut(e *provider.Error) {
	pause := min(e.RetryAfter, longestPause)
	switch {
	case e.Code != provider.CodeRateLimited:
		g.limited = 0
	case pause <= 0:
		pause = mostPause
		if g.limited < 10 {
			pause = min(mostPause, firstPause<<g.limited)
		}
		g.limited++
	}
	if pause <= 0 {
		return
	}
	g.shutSince = g.clock.Monotonic()
	if until := g.shutSince + pause; until > g.shutUntil {
		// What is shown is in whole seconds, and not before the end.
		g.shutUntil, g.opensAt = until, g.clock.Now().Add(pause+time.Second-1).Truncate(time.Second)
	}
}

// alarming reports whether an error says something about the provider rather than
// about the call. The lock is held.
func (g *gate) alarming(op operation, code provider.Code) bool {
	switch code {
	case provider.CodeUnauthenticated, provider.CodePermissionDenied, provider.CodeAccountBlocked:
		return true
	case provider.CodeUnavailable:
		return op == opConnect || g.unanswered >= unansweredMost
	case provider.CodeInvalid, provider.CodeQuota, provider.CodeRateLimited, provider.CodeUnknown:
		return false
	default:
		return false
	}
}

// examining ends a suspicion: the one who examines it decides now.
func (g *gate) examining() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.suspect, g.unanswered = false, 0
}

func (g *gate) health() Health {
	g.mu.Lock()
	defer g.mu.Unlock()
	return Health{Suspect: g.suspect, LastError: g.last}
}
