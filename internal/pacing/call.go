package pacing

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/trace"

	"apitoken.dev/operator/internal/audit"
	"apitoken.dev/operator/internal/metrics"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/tracing"
)

// call is one call that a Gate let through.
type call struct {
	g    *Gate
	op   operation
	span trace.Span
	// began is when it was sent, by the monotonic clock. excluded is the time that callbacks
	// of the caller have taken since then.
	began, excluded time.Duration
	// outcome writes the result to the audit trail; nil for a call that only reads.
	outcome func(audit.Outcome)
	// keyID is the public id in the provider's answer, if any.
	keyID string
}

// begin waits until a call may be sent. An error says that it was not sent; otherwise
// the caller must call end. A call that changes something is written to the audit trail
// here, before it is sent, so no call can bypass the audit trail.
func (g *Gate) begin(ctx context.Context, op operation, ref provider.Ref, t turn) (*call, error) {
	_, span := tracing.Call(ctx, g.driverType(), string(op.shown()), ref.Name)
	if err := g.enter(ctx, op, t); err != nil {
		tracing.End(span, err)
		return nil, err
	}
	span.AddEvent("sent") // the time before it was spent in the queue
	c := &call{g: g, op: op, span: span, began: g.clock.Monotonic()}
	if writes[op] {
		c.outcome = g.audit.Call(ctx, audit.Operation{Name: string(op), Provider: g.key.Audited(g.driverType()), Credential: ref.Name, KeyID: ref.ID})
	}
	return c, nil
}

// end records the result of a call, and what it says about the provider.
func (c *call) end(ctx context.Context, err error) {
	took := c.g.clock.Monotonic() - c.began - c.excluded
	if c.outcome != nil {
		c.outcome(outcomeOf(err, c.keyID, took))
	}
	metrics.Called(ctx, c.g.driverType(), string(c.op.shown()), took, err)
	c.g.leave(ctx, c.op, err)
	tracing.End(c.span, err)
}

// outcomeOf is the result of a call in the terms of the audit trail, without the
// provider's message.
func outcomeOf(err error, keyID string, took time.Duration) audit.Outcome {
	switch {
	case err == nil:
		return audit.Outcome{Result: audit.ResultOK, KeyID: keyID, Took: took}
	case provider.InDoubt(err):
		return audit.Outcome{Result: audit.ResultInDoubt, Code: string(provider.AsError(err).Code), Took: took}
	default:
		return audit.Outcome{Result: audit.ResultRejected, Code: string(provider.AsError(err).Code), Took: took}
	}
}

// exclude runs a callback of the caller, whose time does not count as the call's.
func (c *call) exclude(run func() bool) bool {
	from := c.g.clock.Monotonic()
	defer func() { c.excluded += c.g.clock.Monotonic() - from }()
	return run()
}

// Connect calls the Connect of a driver. With healthCheck the call is a health check: it
// clears the unhealthy mark, and its failure does not set it. Connecting mints nothing,
// so its error is never in doubt.
func (g *Gate) Connect(ctx context.Context, driver provider.Driver, cfg provider.Config, healthCheck bool) (provider.Client, provider.Account, error) {
	op := opConnect
	if healthCheck {
		op = opHealthCheck
	}
	g.mu.Lock()
	g.driver = driver.Type()
	g.mu.Unlock()
	one, err := g.begin(ctx, op, provider.Ref{}, turn{maxWait: g.firstWait})
	if err != nil {
		return nil, provider.Account{}, err
	}
	if healthCheck {
		g.startHealthCheck()
	}
	client, account, err := driver.Connect(ctx, cfg)
	if err != nil {
		err = connectError(err)
	}
	one.end(ctx, err)
	return client, account, err
}

// connectError marks the error of a driver's Connect as not executed.
func connectError(err error) error {
	if provider.FaultIn(err) == nil && (errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)) {
		return &provider.Error{Code: provider.CodeUnavailable, NotExecuted: true, Err: err,
			Message: fmt.Sprintf("the provider did not answer within %s", ConnectTimeout)}
	}
	e := *provider.AsError(err)
	e.NotExecuted = true
	return &e
}
