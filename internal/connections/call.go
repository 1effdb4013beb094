package connections

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/trace"

	"apitoken.dev/operator/internal/audit"
	"apitoken.dev/operator/internal/metrics"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/tracing"
)

// call is one call on its way through a gate.
type call struct {
	g    *gate
	op   operation
	span trace.Span
	// began is when it was sent, by the monotonic clock; apart is the time since
	// then that its caller took.
	began, apart time.Duration
	// outcome writes how it ended to the audit trail; nil for a call that only reads.
	outcome func(audit.Outcome)
	// keyID is the public id that the provider answered with, if any.
	keyID string
}

// begin lets a call through, when it is its turn, or returns an error that says
// that it was not sent. A call that was let through must end. A call that changes
// something is written to the audit trail here, before it is sent: no call goes around
// its gate.
func (g *gate) begin(ctx context.Context, op operation, ref provider.Ref, by caller) (*call, error) {
	_, span := tracing.Call(ctx, g.driverType(), string(op.shown()), ref.Name)
	if err := g.enter(ctx, op, by); err != nil {
		tracing.End(span, err)
		return nil, err
	}
	span.AddEvent("sent") // what was before it was the wait for its turn
	c := &call{g: g, op: op, span: span, began: g.clock.Monotonic()}
	if writes[op] {
		c.outcome = g.audit.Call(ctx, audit.Operation{Name: string(op), Provider: g.audited(), Credential: ref.Name, KeyID: ref.ID})
	}
	return c, nil
}

// audited is the provider as the audit trail names it.
func (g *gate) audited() audit.Provider { return g.key.Audited(g.driverType()) }

// end counts a call, and takes note of what its end says about the provider.
func (c *call) end(ctx context.Context, err error) {
	took := c.g.clock.Monotonic() - c.began - c.apart
	if c.outcome != nil {
		c.outcome(outcomeOf(err, c.keyID, took))
	}
	metrics.Called(ctx, c.g.driverType(), string(c.op.shown()), took, err)
	c.g.leave(ctx, c.op, err)
	tracing.End(c.span, err)
}

// outcomeOf is how a call ended, in the words of the audit trail. A provider's message
// is not part of it.
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

// pausing leaves what the caller does meanwhile out of the time of the call.
func (c *call) pausing(does func() bool) bool {
	from := c.g.clock.Monotonic()
	defer func() { c.apart += c.g.clock.Monotonic() - from }()
	return does()
}

// held counts a call that is not sent, and returns its error.
func (g *gate) held(op operation, why metrics.Hold, err error) error {
	metrics.HeldBack(g.driverType(), string(op.shown()), why)
	return err
}

// driverType is the type of the driver that connected last.
func (g *gate) driverType() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.driver
}
