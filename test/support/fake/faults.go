package fake

import (
	"context"
	"time"

	"apitoken.dev/operator/internal/provider"
)

// Verb is a method of the contract.
type Verb string

// The verbs a backend sees.
const (
	Connect  Verb = "Connect"
	Mint     Verb = "Mint"
	Find     Verb = "Find"
	List     Verb = "List"
	Revoke   Verb = "Revoke"
	Update   Verb = "Update"
	Occupied Verb = "Occupied"
	Accepts  Verb = "Accepts"
)

// Phase is the time of an event in a call: before or after its effect.
type Phase string

// The phases of a call.
const (
	// Before: nothing has happened yet.
	Before Phase = "before"
	// After: the call has taken effect and has not been answered.
	After Phase = "after"
)

// Call is one request as the backend sees it.
type Call struct {
	Verb  Verb
	Phase Phase
	// Name and ID of the credential, as far as the request says.
	Name, ID string
	// Owner of a Mint, a List or an Update.
	Owner provider.Owner
	// Client is the user agent of the caller. It distinguishes processes.
	Client string
	// Account that the client is bound to; for Connect the one it will get.
	Account string
}

// FaultKind is something that goes wrong with one call.
type FaultKind string

// The kinds of fault. Those that decide about the effect (all but LoseAnswer and
// Hang) are for the phase Before; in the phase After each means a lost answer.
const (
	// None: nothing goes wrong.
	None FaultKind = ""
	// Reject: an explicit rejection, with Code (default CodeInvalid). No effect.
	Reject FaultKind = "reject"
	// RateLimit: an explicit rejection with CodeRateLimited and RetryAfter. No effect.
	RateLimit FaultKind = "rate-limit"
	// InDoubt: an error in doubt without any effect.
	InDoubt FaultKind = "in-doubt"
	// LoseAnswer: the effect happens, then an error in doubt.
	LoseAnswer FaultKind = "lose-answer"
	// LandLate: an error in doubt now; the effect happens at Land, or when the
	// clock has reached At.
	LandLate FaultKind = "land-late"
	// Hang: no answer until the context ends; without effect in the phase
	// Before, with it in the phase After.
	Hang FaultKind = "hang"
	// Hide: a Mint succeeds, but Find and List do not show it until Reveal.
	Hide FaultKind = "hide"
	// Partial: a Mint stops between its steps: remains that give no access stay,
	// and an error in doubt is returned.
	Partial FaultKind = "partial"
	// Ignore: an Update or a Revoke is accepted and changes nothing.
	Ignore FaultKind = "ignore"
)

// Fault is what the backend does with one call. The zero Fault lets it through.
type Fault struct {
	Kind FaultKind
	// Code of a Reject.
	Code provider.Code
	// RetryAfter of a RateLimit.
	RetryAfter time.Duration
	// At is when a LandLate lands by itself; zero: at Land only.
	At time.Time
	// Wait keeps the caller of a LandLate waiting until its context ends.
	Wait bool
}

// rejection returns the error of a fault that has no effect and will never have one.
func (f Fault) rejection() error {
	if f.Kind == RateLimit {
		return &provider.Error{
			Code: provider.CodeRateLimited, NotExecuted: true, RetryAfter: f.RetryAfter,
			Message: "the provider asks for fewer requests",
		}
	}
	code := f.Code
	if code == "" {
		code = provider.CodeInvalid
	}
	return &provider.Error{Code: code, NotExecuted: true, Message: "the provider rejected the request"}
}

// doubt returns the error of a call with an unknown outcome.
func doubt(ctx context.Context) error {
	return &provider.Error{
		Code: provider.CodeUnavailable, Message: "the provider did not answer", Err: context.Cause(ctx),
	}
}

// do carries out one call: it asks for a fault before and after the effect, and
// holds no lock while it asks. effect runs with the lock held, once at most; its
// error is the answer, if there is one.
func (b *Backend) do(ctx context.Context, call Call, effect func(Fault) error) error {
	call.Phase = Before
	f := b.consult(ctx, call)
	if err := b.stopBefore(ctx, call, f, effect); err != nil {
		return err
	}
	var refused error
	b.locked(func() { refused = effect(f) })
	call.Phase = After
	g := b.consult(ctx, call)
	if g.Kind == Hang {
		<-ctx.Done()
	}
	if f.Kind == LoseAnswer || f.Kind == Partial || g.Kind != None || ctx.Err() != nil {
		return doubt(ctx)
	}
	return refused
}

// stopBefore returns the error of a call that ends without its effect, or before it;
// nil continues the call.
func (b *Backend) stopBefore(ctx context.Context, call Call, f Fault, effect func(Fault) error) error {
	switch f.Kind {
	case Reject, RateLimit:
		return f.rejection()
	case InDoubt:
		return doubt(ctx)
	case Hang:
		<-ctx.Done()
		return doubt(ctx)
	case LandLate:
		b.hold(call, f.At, func() { _ = effect(f) }) // the answer is lost
		if f.Wait {
			<-ctx.Done()
		}
		return doubt(ctx)
	case None, LoseAnswer, Hide, Partial, Ignore: // these have their effect
	}
	if ctx.Err() != nil {
		return doubt(ctx)
	}
	return nil
}

// consult records the call and returns its fault: what OnCall says, or else, in
// the phase Before, the next one scripted for its verb.
func (b *Backend) consult(ctx context.Context, call Call) Fault {
	b.locked(func() { b.calls = append(b.calls, call) })
	if b.OnCall != nil {
		if f := b.OnCall(ctx, call); f.Kind != None {
			return f
		}
	}
	var f Fault
	b.locked(func() {
		if queue := b.script[call.Verb]; call.Phase == Before && len(queue) > 0 {
			f, b.script[call.Verb] = queue[0], queue[1:]
		}
	})
	return f
}

// Script queues faults for the next calls of a verb, one each; a zero Fault lets a call through.
func (b *Backend) Script(verb Verb, faults ...Fault) {
	b.locked(func() { b.script[verb] = append(b.script[verb], faults...) })
}

// held is a request that was sent and has not taken effect.
type held struct {
	call Call
	at   time.Time // zero: at Land only
	land func()
}

func (b *Backend) hold(call Call, at time.Time, land func()) {
	b.locked(func() { b.held = append(b.held, held{call: call, at: at, land: land}) })
}

// Land makes all delayed requests take effect, in the order in which they were sent,
// and returns their number.
func (b *Backend) Land() int {
	n := 0
	b.locked(func() {
		n = len(b.held)
		for _, h := range b.held {
			h.land()
		}
		b.held = nil
	})
	return n
}

// landDue makes the delayed requests that are due take effect. The lock is held.
func (b *Backend) landDue() {
	now := b.clock.Now()
	var rest []held
	for _, h := range b.held {
		if h.at.IsZero() || now.Before(h.at) {
			rest = append(rest, h)
			continue
		}
		h.land()
	}
	b.held = rest
}

// InFlight returns the delayed requests that can still take effect.
func (b *Backend) InFlight() []Call {
	var out []Call
	b.locked(func() {
		for _, h := range b.held {
			out = append(out, h.call)
		}
	})
	return out
}
