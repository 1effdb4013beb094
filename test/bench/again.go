package main

import (
	"context"
	"errors"
	"time"
)

// restarted is the cost of a restart over healthy tokens.
type restarted struct {
	tokens     int
	synced     time.Duration // until the caches were filled
	reconciled time.Duration // until every token was reconciled
	cpu        time.Duration
	sent       sent
	calls      int
}

// restart stops the operator and starts it again with all minted tokens.
func (b *bench) restart(ctx context.Context, r *results) error {
	s := b.subject
	if err := s.stop(); err != nil {
		return err
	}
	before, err := readWork()
	if err != nil {
		return err
	}
	s.traffic.take()
	calls, clock := s.calls(), startWatch()
	if err := s.start(ctx); err != nil {
		return err
	}
	r.restart = restarted{tokens: len(b.minted), synced: clock.elapsed()}
	if err := s.idle(ctx, before.reconciles+len(b.minted)); err != nil {
		return err
	}
	r.restart.reconciled = clock.elapsed()
	if err := s.traffic.quiet(ctx); err != nil {
		return err
	}
	r.restart.cpu, r.restart.sent, r.restart.calls = clock.used(), s.traffic.take(), s.calls()-calls
	return errors.Join(b.checkMinted(1), b.user.check(ctx, b.minted, 1))
}

// rotateAll rotates every token at once. The old credentials stay valid for their overlap.
func (b *bench) rotateAll(ctx context.Context, r *results) error {
	s := b.subject
	s.traffic.take()
	s.traffic.hold()
	s.progress.expect(b.minted, 1)
	asking := startWatch()
	if err := b.user.rotate(ctx, b.minted, 1); err != nil {
		return err
	}
	var err error
	if r.rotation, err = b.released(ctx, len(b.minted), asking); err != nil {
		return err
	}
	r.rotated = s.traffic.take()
	return errors.Join(b.checkMinted(2), b.user.check(ctx, b.minted, 2))
}
