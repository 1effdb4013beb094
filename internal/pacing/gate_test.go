package pacing

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"

	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/places"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/test/support/testutil"
)

var epoch = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

// plain is a client without optional interfaces, which gives every call the same answer.
type plain struct {
	calls int
	err   error
	// during runs while a call is made.
	during func()
}

func (p *plain) answer() error {
	p.calls++
	if p.during != nil {
		p.during()
	}
	return p.err
}

func (p *plain) Mint(context.Context, provider.MintRequest) (provider.Minted, error) {
	return provider.Minted{Credential: provider.Credential{Name: "minted"}}, p.answer()
}

func (p *plain) Find(context.Context, provider.Ref) ([]provider.Credential, error) {
	return []provider.Credential{{Name: "found"}}, p.answer()
}

func (p *plain) List(context.Context, provider.Owner) iter.Seq2[provider.Credential, error] {
	return func(yield func(provider.Credential, error) bool) {
		if err := p.answer(); err != nil {
			yield(provider.Credential{}, err)
			return
		}
		for _, name := range []string{"one", "two"} {
			if !yield(provider.Credential{Name: name}, nil) {
				return
			}
		}
	}
}

func (p *plain) Revoke(context.Context, provider.Ref) error { return p.answer() }

// The optional interfaces, each with a client that has it.
type (
	canUpdate struct{ *plain }
	canCount  struct{ *plain }
	canProbe  struct{ *plain }
)

func (c canUpdate) Update(context.Context, provider.Ref, provider.MintRequest) (provider.Credential, error) {
	return provider.Credential{Name: "updated"}, c.answer()
}

func (c canCount) Occupied(context.Context) ([]provider.Credential, error) {
	return []provider.Credential{{Name: "occupied"}}, c.answer()
}

func (c canProbe) Accepts(context.Context, map[string]provider.Value, provider.Grant) (bool, error) {
	return true, c.answer()
}

// bench is a gate and its client, with a stopped clock.
type bench struct {
	*testing.T
	clock *testutil.Clock
	gate  *Gate
	inner *plain
	// failed has an entry for each reported failure: true made the provider unhealthy.
	failed []bool
}

func newBench(t *testing.T) *bench {
	b := &bench{T: t, clock: testutil.NewClock(epoch), inner: &plain{}}
	b.gate = New(Options{Provider: account.Key{Kind: "TokenProvider", Namespace: "ml", Name: "store"}, Clock: b.clock,
		Rate: 1, Burst: 2, MintWait: 3 * time.Second, Failed: func(unhealthy bool) { b.failed = append(b.failed, unhealthy) }})
	b.gate.firstWait = 10 * time.Second
	return b
}

// caller is a caller with a place at the provider, whose Mints are confirmed.
func (b *bench) caller() Caller {
	b.Helper()
	place, ok := places.New(b.clock, places.Limits{}).Take(
		places.Want{Who: types.NamespacedName{Namespace: "team", Name: "a"}, Provider: b.gate.key.String()})
	if !ok {
		b.Fatal("no place")
	}
	return Caller{Place: place, Confirm: func(context.Context) error { return nil }}
}

// calls are the calls of a client with all powers, by the operation that errors name.
func (b *bench) calls(ctx context.Context) map[string]func() error {
	c := b.gate.Client(withPowers(b.inner, "Updater", "Counter", "Prober"), b.caller())
	return map[string]func() error{
		"mint": func() error { _, err := c.Mint(ctx, provider.MintRequest{}); return err },
		"find": func() error { _, err := c.Find(ctx, provider.Ref{}); return err },
		"list": func() error {
			for _, err := range c.List(ctx, provider.Owner{}) {
				if err != nil {
					return err
				}
			}
			return nil
		},
		"list slots": func() error { _, err := c.(provider.Counter).Occupied(ctx); return err },
		"revoke":     func() error { return c.Revoke(ctx, provider.Ref{}) },
		"update": func() error {
			_, err := c.(provider.Updater).Update(ctx, provider.Ref{}, provider.MintRequest{})
			return err
		},
		"probe": func() error { _, err := c.(provider.Prober).Accepts(ctx, nil, provider.Grant{}); return err },
	}
}

// spend uses up the burst.
func (b *bench) spend(calls int) {
	b.Helper()
	for range calls {
		if _, tooLong, err := b.gate.limiter.wait(b.Context(), "spender", 0); err != nil || tooLong > 0 {
			b.Fatalf("a call would wait for %s: %v", tooLong, err)
		}
	}
}

// letGo advances the clock by a second for each queued call. The others must sleep again
// before that: a call that has read the time and does not sleep yet would sleep too long.
func (b *bench) letGo(ended <-chan error, n int) {
	b.Helper()
	for left := n; left > 0; left-- {
		if err := b.clock.WaitForSleepers(b.Context(), left); err != nil {
			b.Fatal(err)
		}
		b.clock.Advance(time.Second)
		if err := <-ended; err != nil {
			b.Error(err)
		}
	}
}

// held checks that an error says that nothing was sent, and for how long.
func (b *bench) held(err error, left time.Duration) {
	b.Helper()
	var e *provider.Error
	if !errors.As(err, &e) || e.Code != provider.CodeRateLimited || provider.InDoubt(err) || !errors.Is(err, ErrNotSent) {
		b.Fatalf("got %v, want an error that says that nothing was sent", err)
	}
	if e.RetryAfter != left {
		b.Errorf("the retry is due after %s, want %s", e.RetryAfter, left)
	}
}

func TestListStopsWithItsConsumer(t *testing.T) {
	b := newBench(t)
	var names []string
	for c, err := range b.gate.Client(b.inner, b.caller()).List(t.Context(), provider.Owner{}) {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, c.Name)
	}
	for _, err := range b.gate.Client(b.inner, b.caller()).List(t.Context(), provider.Owner{}) {
		if err != nil {
			t.Error(err)
		}
		break
	}
	if diff := cmp.Diff([]string{"one", "two"}, names); diff != "" || b.inner.calls != 2 {
		t.Errorf("%d calls; %s", b.inner.calls, diff)
	}
}

// TestCallsAreQueuedByTheRateLimit: two calls are sent at once, the third a second later. A
// canceled call sends nothing and does not count against the rate.
func TestCallsAreQueuedByTheRateLimit(t *testing.T) {
	b := newBench(t)
	calls := b.calls(t.Context())
	for range 2 {
		if err := calls["find"](); err != nil {
			t.Fatal(err)
		}
	}
	canceled, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.calls(canceled)["revoke"]() }()
	if err := b.clock.WaitForSleepers(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) || provider.InDoubt(err) || b.inner.calls != 2 {
		t.Errorf("given up: %v, and %d calls", err, b.inner.calls)
	}
	go func() { ended <- calls["revoke"]() }()
	if err := b.clock.WaitForSleepers(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	b.clock.Advance(time.Second)
	if err := <-ended; err != nil || b.inner.calls != 3 {
		t.Errorf("after its turn: %v, and %d calls", err, b.inner.calls)
	}
}

// TestMintIsNotQueuedForLong: a Mint that would be queued longer than MintWait is not sent.
func TestMintIsNotQueuedForLong(t *testing.T) {
	b := newBench(t)
	calls := b.calls(t.Context())
	for range 2 {
		if err := calls["find"](); err != nil {
			t.Fatal(err)
		}
	}
	ended := make(chan error, 3)
	for range 3 {
		go func() { ended <- calls["revoke"]() }()
	}
	if err := b.clock.WaitForSleepers(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	client := b.gate.Client(b.inner, b.caller())
	b.held(Blocked(client), 4*time.Second)
	b.held(calls["update"](), 4*time.Second)
	err := calls["mint"]()
	b.held(err, 4*time.Second)
	if !strings.Contains(err.Error(), "more than 3s") || b.inner.calls != 2 {
		t.Errorf("%v, and %d calls", err, b.inner.calls)
	}
	b.letGo(ended, 3)
	if err := Blocked(client); err != nil {
		t.Errorf("it would wait a second, and yet %v", err)
	}
	if err := Blocked(b.inner); err != nil {
		t.Errorf("a client without a gate: %v", err)
	}
}

func TestPauseHoldsBackAllCalls(t *testing.T) {
	b := newBench(t)
	b.inner.err = &provider.Error{Code: provider.CodeUnavailable, RetryAfter: time.Minute, Message: "the provider has a problem"}
	calls := b.calls(t.Context())
	if err := calls["revoke"](); provider.AsError(err).Code != provider.CodeUnavailable {
		t.Fatal(err)
	}
	b.inner.err = nil
	b.clock.Advance(20 * time.Second)
	for name, call := range calls {
		err := call()
		b.held(err, 40*time.Second)
		if !strings.Contains(err.Error(), "2030-01-01T00:01:00Z") {
			t.Errorf("%s: %q does not say when it goes on", name, err)
		}
	}
	b.held(Blocked(b.gate.Client(b.inner, b.caller())), 40*time.Second)
	if b.inner.calls != 1 {
		t.Errorf("%d calls were sent", b.inner.calls)
	}
	b.clock.Advance(40 * time.Second)
	if err := calls["mint"](); err != nil {
		t.Error(err)
	}
	if h := b.gate.Health(); h.LastError.Code != provider.CodeUnavailable || h.LastError.Operation != "revoke" || !h.LastError.At.Equal(epoch) {
		t.Errorf("the last error is %+v, and a call that was held back does not count", h.LastError)
	}
}

func TestPauseHoldsBackQueuedCalls(t *testing.T) {
	b := newBench(t)
	b.spend(2)
	ended := make(chan error, 1)
	go func() { ended <- b.calls(t.Context())["revoke"]() }()
	if err := b.clock.WaitForSleepers(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	b.gate.leave(t.Context(), opFind, &provider.Error{Code: provider.CodeRateLimited, RetryAfter: 10 * time.Second})
	b.clock.Advance(time.Second)
	b.held(<-ended, 9*time.Second)
	if b.inner.calls != 0 {
		t.Error("it was sent")
	}
}

func TestPauseFollowsRetryAfterOrDoubles(t *testing.T) {
	limited := func(after time.Duration) *provider.Error {
		return &provider.Error{Code: provider.CodeRateLimited, RetryAfter: after}
	}
	many := make([]*provider.Error, 40)
	for i := range many {
		many[i] = limited(0)
	}
	tests := map[string]struct {
		answers []*provider.Error
		want    time.Duration
	}{
		"as asked":                     {[]*provider.Error{limited(90 * time.Second)}, 90 * time.Second},
		"an hour at most":              {[]*provider.Error{limited(30 * time.Hour)}, time.Hour},
		"a shorter one ends none":      {[]*provider.Error{limited(time.Minute), limited(time.Second)}, time.Minute},
		"none is asked for":            {many[:1], time.Second},
		"none is asked for, again":     {many[:3], 4 * time.Second},
		"none is asked for, for long":  {many, time.Minute},
		"an answer is between":         {[]*provider.Error{limited(0), nil, limited(0)}, time.Second},
		"another error is between":     {[]*provider.Error{limited(0), {Code: provider.CodeInvalid}, limited(0)}, time.Second},
		"an error that asks for none":  {[]*provider.Error{{Code: provider.CodeUnavailable}}, 0},
		"any error may ask for a wait": {[]*provider.Error{{Code: provider.CodeQuota, RetryAfter: 5 * time.Second}}, 5 * time.Second},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			for _, e := range test.answers {
				if e == nil {
					b.gate.leave(t.Context(), opFind, nil)
					continue
				}
				b.gate.leave(t.Context(), opFind, e)
			}
			if err := b.gate.pause(opMint); test.want > 0 {
				b.held(err, test.want)
			} else if err != nil {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestNewDeclarationEndsAPause: the new declaration may name another server.
func TestNewDeclarationEndsAPause(t *testing.T) {
	b := newBench(t)
	b.gate.leave(t.Context(), opFind, &provider.Error{Code: provider.CodeRateLimited, RetryAfter: time.Hour})
	b.gate.Follow(0)
	b.held(b.gate.pause(opMint), time.Hour)
	b.gate.Follow(1)
	if err := b.gate.pause(opMint); err != nil {
		t.Error(err)
	}
}

// TestRevocationWaitsForAMinuteOfAPause: a long pause must not keep a credential alive.
func TestRevocationWaitsForAMinuteOfAPause(t *testing.T) {
	b := newBench(t)
	limited := &provider.Error{Code: provider.CodeRateLimited, RetryAfter: time.Hour}
	b.gate.leave(t.Context(), opRevoke, limited)
	b.held(b.gate.pause(opRevoke), time.Minute)
	b.clock.Advance(time.Minute)
	for _, op := range []operation{opRevoke, opFind} {
		if err := b.gate.pause(op); err != nil {
			t.Errorf("%s is held back: %v", op, err)
		}
	}
	b.held(b.gate.pause(opMint), 59*time.Minute)
	limited.RetryAfter = 10 * time.Minute
	b.gate.leave(t.Context(), opRevoke, limited) // it asks again
	b.held(b.gate.pause(opRevoke), time.Minute)
	b.held(b.gate.pause(opMint), 59*time.Minute)
}

func TestErrorsThatMakeAProviderUnhealthy(t *testing.T) {
	failed := func(code provider.Code) error { return &provider.Error{Code: code} }
	down := failed(provider.CodeUnavailable)
	tests := map[string]struct {
		op        operation
		answers   []error
		unhealthy bool
	}{
		"credentials rejected":         {opFind, []error{failed(provider.CodeUnauthenticated)}, true},
		"a right is missing":           {opRevoke, []error{failed(provider.CodePermissionDenied)}, true},
		"the account is blocked":       {opMint, []error{failed(provider.CodeAccountBlocked)}, true},
		"once without an answer":       {opMint, []error{down}, false},
		"three times without":          {opMint, []error{down, down, down}, true},
		"twice, and an answer between": {opMint, []error{down, down, nil, down}, false},
		"twice, and a refusal between": {opMint, []error{down, down, failed(provider.CodeInvalid), down}, false},
		"no answer to a connect":       {opConnect, []error{down}, true},
		"a failed health check":        {opHealthCheck, []error{failed(provider.CodeUnauthenticated), down, down, down}, false},
		"a quota":                      {opMint, []error{failed(provider.CodeQuota)}, false},
		"an invalid request":           {opMint, []error{failed(provider.CodeInvalid)}, false},
		"too many requests":            {opMint, []error{failed(provider.CodeRateLimited)}, false},
		"unknown errors":               {opMint, []error{errors.New("x"), errors.New("x"), errors.New("x")}, false},
		"it works":                     {opMint, []error{nil}, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			for _, err := range test.answers {
				b.gate.leave(t.Context(), test.op, err)
			}
			if got := b.gate.Health().Unhealthy; got != test.unhealthy {
				t.Errorf("unhealthy: %t", got)
			}
			if reported := slices.Contains(b.failed, true); reported != test.unhealthy {
				t.Errorf("the reported failures are %v", b.failed)
			}
		})
	}
}

// TestHealthCheckClearsUnhealthy: until then, further failures are not reported as unhealthy.
func TestHealthCheckClearsUnhealthy(t *testing.T) {
	b := newBench(t)
	refused := &provider.Error{Code: provider.CodeUnauthenticated}
	for range 2 {
		b.gate.leave(t.Context(), opFind, refused)
	}
	b.gate.startHealthCheck()
	if b.gate.Health().Unhealthy {
		t.Error("it is still unhealthy")
	}
	b.gate.leave(t.Context(), opFind, refused)
	if diff := cmp.Diff([]bool{true, false, true}, b.failed); diff != "" {
		t.Error(diff)
	}
}

// TestLastErrorNamesTheCall without the raw error. Calls that the caller canceled or the
// driver refused are no errors of the provider.
func TestLastErrorNamesTheCall(t *testing.T) {
	b := newBench(t)
	b.inner.err = errors.New("CANARY in a raw error")
	for name, call := range b.calls(t.Context()) {
		b.clock.Advance(time.Minute)
		if err := call(); err == nil {
			t.Fatalf("%s: no error", name)
		}
		want := &Failure{At: b.clock.Now(), Operation: strings.TrimSuffix(name, " slots"), Code: provider.CodeUnknown,
			Message: provider.AsError(b.inner.err).Message}
		if diff := cmp.Diff(want, b.gate.Health().LastError); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	before := b.gate.Health()
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	b.gate.leave(canceled, opFind, &provider.Error{Code: provider.CodeUnauthenticated})
	b.gate.leave(t.Context(), opMint, &provider.Error{Code: provider.CodeUnauthenticated, Err: &provider.Refusal{}})
	b.gate.leave(t.Context(), opMint, nil)
	if diff := cmp.Diff(before, b.gate.Health()); diff != "" {
		t.Error(diff)
	}
	b.gate.leave(t.Context(), opHealthCheck, &provider.Error{Code: provider.CodeUnauthenticated})
	if got := b.gate.Health().LastError.Operation; got != "connect" {
		t.Errorf("a health check is shown as %q", got)
	}
}
