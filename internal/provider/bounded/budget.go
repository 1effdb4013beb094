package bounded

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"apitoken.dev/operator/internal/provider"
)

// kind is a kind of call and its limits.
type kind struct {
	name string
	// time from the start of the call to its end.
	time time.Duration
	// requests over HTTP, including retries of an SDK.
	requests int
	// bytes of all answers, decoded.
	bytes int64
	// items is how many credentials the answer may hold.
	items int
	// paced: Options.Pace is called before each request but the first.
	paced bool
	// once: a result without an error is valid even after the deadline, because it exists.
	once bool
}

// The limits of calls. Those of a sweep are sized for 10,000 credentials of a
// provider that needs one request for each of them, at ten requests a second.
const (
	callTime     = time.Minute
	callRequests = 50
	callBytes    = 16 << 20
	callItems    = 1000

	sweepTime     = 45 * time.Minute
	sweepRequests = 12_000
	sweepBytes    = 64 << 20
	sweepItems    = 20_000

	// mintTime is a last resort: the attempt that calls Mint or Update ends earlier.
	mintTime = 2 * time.Minute
)

// The kinds of calls.
var (
	connect  = kind{name: "Connect", time: callTime, requests: callRequests, bytes: callBytes}
	mint     = kind{name: "Mint", time: mintTime, requests: callRequests, bytes: callBytes, once: true}
	find     = kind{name: "Find", time: callTime, requests: callRequests, bytes: callBytes, items: callItems}
	list     = kind{name: "List", time: callTime, requests: callRequests, bytes: callBytes, items: callItems}
	sweep    = kind{name: "List", time: sweepTime, requests: sweepRequests, bytes: sweepBytes, items: sweepItems, paced: true}
	revoke   = kind{name: "Revoke", time: callTime, requests: callRequests, bytes: callBytes}
	update   = kind{name: "Update", time: mintTime, requests: callRequests, bytes: callBytes}
	occupied = kind{name: "Occupied", time: callTime, requests: callRequests, bytes: callBytes, items: sweepItems}
	accepts  = kind{name: "Accepts", time: callTime, requests: callRequests, bytes: callBytes}
)

// budget has the remaining limits of one call. It is safe for concurrent use.
type budget struct {
	kind  kind
	owner string
	pace  func(context.Context) error
	// call is the context of the call; it ends with it. Cancel ends both; nil where a
	// driver is used without a wrapper.
	call   context.Context
	cancel context.CancelFunc

	mu    sync.Mutex
	begun int
	// sent counts the requests that were handed to a connection.
	sent  int
	bytes int64
	items int
	// reached is the first limit that was reached.
	reached *provider.Error
}

type budgetKey struct{}

// errOverdue is the cause of a context whose call took too long.
var errOverdue = errors.New("the call took too long")

// begin returns the context of a call, without a cursor. End releases everything that
// the call holds.
func begin(ctx context.Context, o Options, k kind) (call context.Context, b *budget, end context.CancelFunc) {
	ctx, end = context.WithTimeoutCause(provider.WithCursor(ctx, nil), k.time, errOverdue)
	b = &budget{kind: k, owner: o.Owner, pace: o.Pace, call: ctx, cancel: end}
	return context.WithValue(ctx, budgetKey{}, b), b, end
}

// budgetOf returns the budget of the call that a request belongs to; nil if it
// belongs to no call.
func budgetOf(ctx context.Context) *budget {
	b, _ := ctx.Value(budgetKey{}).(*budget)
	return b
}

// request counts a request, and waits for its turn if the call is paced.
func (b *budget) request(ctx context.Context) error {
	b.mu.Lock()
	b.begun++
	n := b.begun
	b.mu.Unlock()
	if n > b.kind.requests {
		return b.stop(fmt.Sprintf("it needed more than %d requests, so what it found is not complete: "+
			"the account holds too many credentials, or the provider's pages do not end", b.kind.requests))
	}
	if n > 1 && b.kind.paced && b.pace != nil {
		return b.pace(ctx)
	}
	return nil
}

// handed notes that a request was handed to a connection: it may be carried out.
func (b *budget) handed() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sent++
}

// read counts the bytes of an answer.
func (b *budget) read(n int) error {
	b.mu.Lock()
	b.bytes += int64(n)
	over := b.bytes > b.kind.bytes
	b.mu.Unlock()
	if over {
		return b.stop(fmt.Sprintf("the provider answered with more than %d MiB in all", b.kind.bytes>>20))
	}
	return nil
}

// item counts a credential of the answer.
func (b *budget) item() error {
	b.mu.Lock()
	b.items++
	over := b.items > b.kind.items
	b.mu.Unlock()
	if over {
		return b.stop(fmt.Sprintf("the provider showed more than %d credentials", b.kind.items))
	}
	return nil
}

// stop notes that a limit was reached and returns the error of the call.
func (b *budget) stop(why string) *provider.Error {
	return b.end(&provider.Error{Code: provider.CodeUnknown, Message: "the call was stopped: " + why, Err: provider.ErrCut})
}

// giveUp ends the call, because a limit was reached while the driver runs.
func (b *budget) giveUp(why string) {
	_ = b.stop(why)
	if b.cancel != nil {
		b.cancel()
	}
}

// refuse notes that a request was not sent because of the address of its host. The
// host is from the provider's spec; the message does not say what it resolves to.
func (b *budget) refuse(host string) {
	b.mu.Lock()
	nothing := b.sent == 0
	b.mu.Unlock()
	_ = b.end(&provider.Error{Code: provider.CodeInvalid, NotExecuted: nothing, Err: ErrAddress, Message: fmt.Sprintf("the host %q resolves to an address "+
		"that a TokenProvider must not reach: a loopback, link-local or metadata address, one of the shared range 100.64.0.0/10, or a private one "+
		"where --tenant-endpoints excludes those. Write the vendor's address as the endpoint, or ask the administrators of the cluster "+
		"for a ClusterTokenProvider or for another --tenant-endpoints", host)})
}

func (b *budget) end(e *provider.Error) *provider.Error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.reached == nil {
		b.reached = e
	}
	return b.reached
}

// verdict returns the error of a call that ended with err: a limit that was
// reached is an error, even if the driver returned none.
func (b *budget) verdict(ctx context.Context, err error) error {
	b.mu.Lock()
	reached := b.reached
	b.mu.Unlock()
	switch {
	case reached != nil:
		return reached
	case err != nil && !provider.InDoubt(err), ctx.Err() == nil, err == nil && b.kind.once:
		return err
	case errors.Is(context.Cause(ctx), errOverdue):
		return &provider.Error{Code: provider.CodeUnavailable, Err: errors.Join(provider.ErrCut, ctx.Err(), err),
			Message: fmt.Sprintf("the call was stopped: it took longer than %s", b.kind.time)}
	case err == nil:
		return &provider.Error{Code: provider.CodeUnavailable, Err: ctx.Err(), Message: "the call was canceled before it was complete"}
	}
	return err
}
