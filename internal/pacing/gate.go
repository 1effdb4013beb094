// Package pacing limits what is sent to a provider. All calls to one provider pass its
// Gate, whichever reconcile makes them. A Gate keeps to the rate limit, holds calls back
// while the provider asked for a pause, derives the provider's health from the answers,
// and records each call in the metrics, the traces and the audit trail.
package pacing

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/audit"
	"apitoken.dev/operator/internal/clock"
	"apitoken.dev/operator/internal/metrics"
	"apitoken.dev/operator/internal/provider"
)

const (
	// DefaultRate is the number of requests per second that one provider receives.
	DefaultRate = 10
	// DefaultBurst is the number of requests that an idle provider receives at once.
	DefaultBurst = 20
	// DefaultMintWait is the longest that a Mint or an Update is queued, and any call that
	// continues an action. A Mint must end within a minute of its reservation, and the
	// request takes time too.
	DefaultMintWait = 20 * time.Second
	// firstWait is the longest that the first call of an action is queued. The reconcile
	// holds a place at the provider for that time.
	firstWait = 5 * time.Second
	// sweepWait is the longest that one request of a list of the whole cluster is queued.
	sweepWait = time.Hour
	// ConnectTimeout bounds one attempt to connect.
	ConnectTimeout = 30 * time.Second

	// firstPause is the pause after a "too many requests" without Retry-After; it
	// doubles with each such answer in a row, up to maxPause.
	firstPause = time.Second
	maxPause   = time.Minute
	// maxRetryAfter bounds the pause that a provider may ask for.
	maxRetryAfter = time.Hour
	// maxUnanswered is the number of unanswered calls in a row that makes a provider
	// unhealthy. A single one may be a network error.
	maxUnanswered = 3
)

// operation is the name of a call, as in status.lastError.
type operation string

const (
	opConnect operation = "connect"
	// opHealthCheck is a connect of a health check. Its failures do not trigger another
	// health check.
	opHealthCheck operation = "health-check"
	opMint        operation = "mint"
	opFind        operation = "find"
	opList        operation = "list"
	opRevoke      operation = "revoke"
	opUpdate      operation = "update"
	opProbe       operation = "probe"
)

// writes are the operations that change something at the provider. They are audited,
// and never sent to an unverified endpoint.
var writes = map[operation]bool{opMint: true, opUpdate: true, opRevoke: true}

// shown is the operation as users see it.
func (op operation) shown() operation {
	if op == opHealthCheck {
		return opConnect
	}
	return op
}

// ErrNotSent is the cause of an error for a call that was not sent, because the
// provider asked for a pause or too many calls are queued.
var ErrNotSent = errors.New("the request was not sent")

// Options of a Gate.
type Options struct {
	Provider account.Key
	// Generation of the provider's spec; see Follow.
	Generation int64
	Clock      clock.Clock
	// Rate is the number of calls per second; unlimited when negative. Burst is the
	// number of calls that may go at once after an idle time.
	Rate  float64
	Burst int
	// MintWait is the longest that a Mint or an Update is queued, and any call that
	// continues an action.
	MintWait time.Duration
	// Audit receives every call that changes something at the provider; nil: none.
	Audit *audit.Log
	// Failed is called after every failed call outside a health check. Unhealthy is true
	// if that call made the provider unhealthy. Failed must not block.
	Failed func(unhealthy bool)
}

// Gate controls all calls to one provider. It outlives connections. It is safe for
// concurrent use.
type Gate struct {
	key   account.Key
	audit *audit.Log
	clock clock.Clock
	// limiter is the rate limiter.
	limiter *limiter
	rate    float64
	// firstWait is the longest that the first call of an action is queued; mintWait is
	// Options.MintWait.
	firstWait, mintWait time.Duration
	failed              func(unhealthy bool)

	mu         sync.Mutex
	generation int64
	// driver is the type of the driver that connected last, for metrics and traces.
	driver string
	// pausedUntil is when the pause ends, and pausedSince when the provider last asked for
	// it, by the monotonic clock. resumesAt is the end by the wall clock, for messages.
	pausedUntil, pausedSince time.Duration
	resumesAt                time.Time
	// rateLimited and unanswered count such answers in a row.
	rateLimited, unanswered int
	unhealthy               bool
	last                    *Failure
}

// New returns the Gate of a provider to which nothing was sent yet.
func New(o Options) *Gate {
	return &Gate{key: o.Provider, generation: o.Generation, audit: o.Audit, clock: o.Clock, rate: o.Rate,
		firstWait: firstWait, mintWait: o.MintWait, limiter: newLimiter(o.Clock, o.Rate, o.Burst), failed: o.Failed}
}

// Follow records the generation of the provider's spec. A new one can name another server,
// so the pause of the old server ends.
func (g *Gate) Follow(generation int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.generation != generation {
		g.generation, g.pausedUntil, g.rateLimited, g.unanswered = generation, 0, 0, 0
	}
}

// turn is how a call is queued: the tenant that it counts for, and the longest wait.
type turn struct {
	tenant  string
	maxWait time.Duration
}

// Sweep waits until one request of a list of the whole cluster may be sent.
func (g *Gate) Sweep(ctx context.Context) error {
	return g.enter(ctx, opList, turn{maxWait: sweepWait})
}

// enter waits until a call may be sent. An error says that it was not sent.
func (g *Gate) enter(ctx context.Context, op operation, t turn) error {
	if err := g.pause(op); err != nil {
		return g.held(op, metrics.HoldPause, err)
	}
	waited, tooLong, err := g.limiter.wait(ctx, t.tenant, t.maxWait)
	if err != nil {
		return g.held(op, metrics.HoldGivenUp, &provider.Error{Code: provider.CodeRateLimited, NotExecuted: true, Err: err,
			Message: "the request was canceled while it was queued by the rate limit"})
	}
	if tooLong > 0 {
		return g.held(op, metrics.HoldCrowded, g.crowded(tooLong, t.maxWait))
	}
	if err := g.pause(op); err != nil { // an answer asked for it while this call was queued
		return g.held(op, metrics.HoldPause, err)
	}
	metrics.Waited(g.driverType(), waited)
	return nil
}

// blocked returns the error that a Mint of a tenant would fail with now; nil when it
// would be sent.
func (g *Gate) blocked(tenant string) error {
	if err := g.pause(opMint); err != nil {
		return g.held(opMint, metrics.HoldPause, err)
	}
	maxWait := min(g.firstWait, g.mintWait)
	if wait := g.limiter.estimate(tenant); wait > maxWait {
		return g.held(opMint, metrics.HoldCrowded, g.crowded(wait, maxWait))
	}
	return nil
}

// held counts a call that is not sent, and returns its error.
func (g *Gate) held(op operation, why metrics.Hold, err error) error {
	metrics.HeldBack(g.driverType(), string(op.shown()), why)
	return err
}

// crowded is the error of a call that would be queued longer than its maxWait.
func (g *Gate) crowded(wait, maxWait time.Duration) error {
	return &provider.Error{Code: provider.CodeRateLimited, NotExecuted: true, RetryAfter: wait, Err: ErrNotSent,
		Message: fmt.Sprintf("the request was not sent: at %g requests per second, it would be queued for more than %s", g.rate, maxWait)}
}

// driverType is the type of the driver that connected last.
func (g *Gate) driverType() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.driver
}
