package connections

import (
	"context"
	"sync/atomic"
	"time"

	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/places"
	"apitoken.dev/operator/internal/provider"
)

// lane is the way of one caller through a gate: it is open while the caller has a
// place at the provider.
type lane struct {
	*gate
	place *places.Place
	// reads: the endpoint is not verified, and only reads are sent to it.
	reads bool
	// still returns an error unless the endpoint of the connection is, at the API
	// server, the verified one.
	still func(ctx context.Context) error
	// begun: the caller has begun an action, and finishes it.
	begun atomic.Bool
}

// begin lets a call through when it is its turn. The first call of a caller waits
// for the provider's pace for a short time only; what follows finishes the action.
func (l *lane) begin(ctx context.Context, op operation, ref provider.Ref) (*call, error) {
	if err := l.may(op); err != nil {
		return nil, err
	}
	patience := l.patience
	switch {
	case op == opMint || op == opUpdate:
		patience = l.mintWait
	case l.begun.Load():
		patience = max(patience, l.mintWait)
	}
	c, err := l.gate.begin(ctx, op, ref, caller{tenant: l.place.Tenant(), patience: patience})
	if err == nil {
		l.begun.Store(true)
	}
	return c, err
}

// may returns an error unless the caller has a place and the endpoint takes the operation.
func (l *lane) may(op operation) error {
	if err := l.place.Check(l.provider); err != nil {
		return noPlace(err)
	}
	if l.reads && writes[op] {
		return &provider.Error{Code: provider.CodeUnavailable, NotExecuted: true, Err: account.ErrEndpointUnverified,
			Message: "the request was not sent: the endpoint is not verified yet"}
	}
	return nil
}

// confirm returns an error unless a Mint may be sent now, by a live read.
func (l *lane) confirm(ctx context.Context) error {
	if err := l.may(opMint); err != nil {
		return err
	}
	return l.still(ctx)
}

// blocked returns what a Mint would be refused with now, before it is reserved.
func (l *lane) blocked() error { return l.gate.blocked(l.place.Tenant()) }

// caller is who makes a call: whom turns are shared with, and how long it waits.
type caller struct {
	tenant   string
	patience time.Duration
}

// noPlace says that a call was not sent because its caller has no place. That is a
// mistake in the operator, and has no consequence but that the call is not made.
func noPlace(err error) error {
	return &provider.Error{Code: provider.CodeUnavailable, NotExecuted: true, Err: err,
		Message: "the request was not sent: its reconcile has no place at this provider"}
}
