package connections

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/trace"

	"apitoken.dev/operator/internal/metrics"
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
}

// begin lets a call through, when it is its turn, or returns an error that says
// that it was not sent. A call that was let through has to end.
func (g *gate) begin(ctx context.Context, op operation, credential string, by caller) (*call, error) {
	_, span := tracing.Call(ctx, g.driverType(), string(op.shown()), credential)
	if err := g.enter(ctx, op, by); err != nil {
		tracing.End(span, err)
		return nil, err
	}
	span.AddEvent("sent") // what was before it was the wait for its turn
	return &call{g: g, op: op, span: span, began: g.clock.Monotonic()}, nil
}

// end counts a call, and takes note of what its end says about the provider.
func (c *call) end(ctx context.Context, err error) {
	metrics.Called(ctx, c.g.driverType(), string(c.op.shown()), c.g.clock.Monotonic()-c.began-c.apart, err)
	c.g.leave(ctx, c.op, err)
	tracing.End(c.span, err)
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
