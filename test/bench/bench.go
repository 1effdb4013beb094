package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"

	"apitoken.dev/operator/test/support/testenv"
)

// bench is both sides on one API server.
type bench struct {
	settings settings
	user     user
	subject  *subject
	floor    *floor
	// minted are the names of the ApiTokens that the operator has issued.
	minted []string
}

// newBench starts the API server and the operator.
func newBench(ctx context.Context, s settings) (b *bench, stop func(), err error) {
	env, stopEnv, err := testenv.StartMain()
	if err != nil {
		return nil, nil, err
	}
	b = &bench{settings: s, subject: newSubject(env.Config, s)}
	stop = func() {
		if b.subject.stop != nil {
			if err := b.subject.stop(); err != nil {
				fmt.Fprintln(os.Stderr, "bench:", err)
			}
		}
		stopEnv()
	}
	if err := b.begin(ctx, env); err != nil {
		stop()
		return nil, nil, err
	}
	return b, stop, nil
}

func (b *bench) begin(ctx context.Context, env *testenv.Env) error {
	var uncounted traffic
	admin, err := newClient(uncounted.configure(env.Config, "bench-user"))
	if err != nil {
		return err
	}
	b.user = user{Client: admin, concurrency: b.settings.concurrency}
	if b.floor, err = newFloor(env.Config, b.settings.concurrency); err != nil {
		return err
	}
	if err := b.user.prepare(ctx); err != nil {
		return err
	}
	if err := b.subject.start(ctx); err != nil {
		return err
	}
	return b.user.providerReady(ctx)
}

// warmup is how many tokens each side makes before anything is measured.
func warmup(s settings) int { return max(s.concurrency, 1) }

func (b *bench) warmUp(ctx context.Context, r *results) error {
	n := warmup(b.settings)
	if _, err := b.mint(ctx, "warm", n); err != nil {
		return err
	}
	if err := b.floor.learn(ctx, b.user, b.subject.progress); err != nil {
		return err
	}
	if _, err := b.write(ctx, "warm", n); err != nil {
		return err
	}
	b.subject.traffic.take()
	b.floor.traffic.take()
	r.heapBefore = liveHeap()
	return nil
}

// mintAll lets operator and floor take turns, so that other load on the machine
// affects both alike.
func (b *bench) mintAll(ctx context.Context, r *results) error {
	before, err := readWork()
	if err != nil {
		return err
	}
	for i := range b.settings.rounds {
		if err := b.round(ctx, r, i); err != nil {
			return err
		}
	}
	after, err := readWork()
	if err != nil {
		return err
	}
	r.reconciles = after.reconciles - before.reconciles
	r.heapAfter = liveHeap()
	return errors.Join(b.checkMinted(1), b.user.check(ctx, b.minted, 1))
}

// round is one batch of each side. The sides alternate in starting a round.
func (b *bench) round(ctx context.Context, r *results, i int) error {
	// The tokens that do not divide evenly go to the first rounds.
	n, prefix := (b.settings.tokens+b.settings.rounds-1-i)/b.settings.rounds, fmt.Sprintf("r%02d", i)
	var one round
	mint := func() (err error) {
		peak := watchHeap()
		one.operator, err = b.mint(ctx, prefix, n)
		r.heapPeak = max(r.heapPeak, peak())
		return err
	}
	write := func() (err error) {
		one.floor, err = b.write(ctx, prefix, n)
		return err
	}
	sides := []func() error{mint, write}
	if i%2 == 1 {
		slices.Reverse(sides)
	}
	for _, side := range sides {
		if err := side(); err != nil {
			return err
		}
	}
	r.rounds = append(r.rounds, one)
	r.operator, r.floor = r.operator.plus(b.subject.traffic.take()), r.floor.plus(b.floor.traffic.take())
	return nil
}

// checkMinted checks that the provider has the given number of live credentials per token.
func (b *bench) checkMinted(each int) error {
	if live, want := len(b.subject.backend.LiveNames()), each*len(b.minted); live != want {
		return fmt.Errorf("%d credentials are live at the provider, want %d", live, want)
	}
	return nil
}

func names(prefix string, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("%s-%05d", prefix, i)
	}
	return out
}

// mint declares tokens and measures how the operator issues them. All are declared, and
// the operator has seen them, before the clock starts and the operator can write.
func (b *bench) mint(ctx context.Context, prefix string, n int) (cost, error) {
	names, s := names(prefix, n), b.subject
	b.minted = append(b.minted, names...)
	runtime.GC()
	s.traffic.hold()
	s.progress.expect(names, 0)
	declaring := startWatch()
	if _, err := b.user.declare(ctx, mintedNamespace, names); err != nil {
		return cost{}, err
	}
	return b.released(ctx, n, declaring)
}

// released lets the operator write, and measures until it has nothing left to do.
func (b *bench) released(ctx context.Context, n int, declaring stopwatch) (cost, error) {
	s := b.subject
	c := cost{tokens: n}
	if err := s.progress.allSeen(ctx); err != nil {
		return c, err
	}
	if err := s.traffic.quiet(ctx); err != nil {
		return c, err
	}
	c.before = declaring.used()
	clock := startWatch()
	s.traffic.release()
	if err := s.progress.allReady(ctx); err != nil {
		return c, err
	}
	c.wall = clock.elapsed()
	if err := s.traffic.quiet(ctx); err != nil {
		return c, err
	}
	c.cpu = clock.used()
	return c, nil
}

// write declares tokens and measures how the floor makes the writes of the operator.
func (b *bench) write(ctx context.Context, prefix string, n int) (cost, error) {
	c, f := cost{tokens: n}, b.floor
	runtime.GC()
	declaring := startWatch()
	tokens, err := b.user.declare(ctx, floorNamespace, names(prefix, n))
	if err != nil {
		return c, err
	}
	if err := f.traffic.quiet(ctx); err != nil {
		return c, err
	}
	c.before = declaring.used()
	clock := startWatch()
	if err := f.write(ctx, tokens); err != nil {
		return c, err
	}
	c.wall = clock.elapsed()
	if err := f.traffic.quiet(ctx); err != nil {
		return c, err
	}
	c.cpu = clock.used()
	return c, nil
}
