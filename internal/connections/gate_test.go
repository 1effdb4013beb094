package connections

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"

	"apitoken.dev/operator/internal/places"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/test/support/testutil"
)

var epoch = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

// plain is a client without optional powers, which answers the same to everything.
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

// The optional powers, each with a client that has it.
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

// bench is a gate with a client behind it, at a clock that stands still.
type bench struct {
	*testing.T
	clock *testutil.Clock
	gate  *gate
	inner *plain
	// told are the troubles that were told: true made the provider suspect.
	told []bool
}

func newBench(t *testing.T) *bench {
	b := &bench{T: t, clock: testutil.NewClock(epoch), inner: &plain{}}
	b.gate = &gate{provider: "p", clock: b.clock, pace: newPace(b.clock, 1, 2), rate: 1, patience: 10 * time.Second, mintWait: 3 * time.Second,
		tell: func(suspect bool) { b.told = append(b.told, suspect) }}
	return b
}

// lane is a way through the gate with a place.
func (b *bench) lane() *lane {
	b.Helper()
	place, ok := places.New(b.clock, places.Limits{}).Take(places.Want{Who: types.NamespacedName{Namespace: "team", Name: "a"}, Provider: "p"})
	if !ok {
		b.Fatal("no place")
	}
	return &lane{gate: b.gate, place: place, still: func(context.Context) error { return nil }}
}

// calls are the calls of a client with all powers, by the operation that errors name.
func (b *bench) calls(ctx context.Context) map[string]func() error {
	c := guard(struct {
		*plain
		provider.Updater
		provider.Counter
		provider.Prober
	}{b.inner, canUpdate{b.inner}, canCount{b.inner}, canProbe{b.inner}}, b.lane())
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

// spend uses up what may be sent at once.
func (b *bench) spend(calls int) {
	b.Helper()
	for range calls {
		if _, crowded, err := b.gate.pace.wait(b.Context(), "spender", 0); err != nil || crowded > 0 {
			b.Fatalf("a call would wait for %s: %v", crowded, err)
		}
	}
}

// letGo lets those that wait go, one a second. The others sleep again before the clock
// moves on: one that looked at the time and does not sleep yet would sleep too long.
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
		b.Errorf("it is to be tried again after %s, want %s", e.RetryAfter, left)
	}
}

// A guarded client has exactly the optional powers of the one behind it.
func TestGuardKeepsThePowers(t *testing.T) {
	for mask := range 8 {
		p := &plain{}
		u, c, a := canUpdate{p}, canCount{p}, canProbe{p}
		clients := []provider.Client{
			p, u, c,
			struct {
				*plain
				provider.Updater
				provider.Counter
			}{p, u, c},
			a,
			struct {
				*plain
				provider.Updater
				provider.Prober
			}{p, u, a},
			struct {
				*plain
				provider.Counter
				provider.Prober
			}{p, c, a},
			struct {
				*plain
				provider.Updater
				provider.Counter
				provider.Prober
			}{p, u, c, a},
		}
		t.Run(fmt.Sprintf("%03b", mask), func(t *testing.T) {
			b := newBench(t)
			b.gate.pace = newPace(b.clock, -1, 2)
			got := guard(clients[mask], b.lane())
			updates, hasUpdate := provider.As[provider.Updater](got)
			counts, hasCount := provider.As[provider.Counter](got)
			probes, hasProbe := provider.As[provider.Prober](got)
			if hasUpdate != (mask&1 != 0) || hasCount != (mask&2 != 0) || hasProbe != (mask&4 != 0) {
				t.Fatalf("it updates: %t, counts: %t, probes: %t", hasUpdate, hasCount, hasProbe)
			}
			if minted, err := got.Mint(t.Context(), provider.MintRequest{}); err != nil || minted.Credential.Name != "minted" {
				t.Errorf("Mint: %v, %v", minted, err)
			}
			if found, err := got.Find(t.Context(), provider.Ref{}); err != nil || len(found) != 1 || found[0].Name != "found" {
				t.Errorf("Find: %v, %v", found, err)
			}
			if hasUpdate {
				if c, err := updates.Update(t.Context(), provider.Ref{}, provider.MintRequest{}); err != nil || c.Name != "updated" {
					t.Errorf("Update: %v, %v", c, err)
				}
			}
			if hasCount {
				if c, err := counts.Occupied(t.Context()); err != nil || len(c) != 1 || c[0].Name != "occupied" {
					t.Errorf("Occupied: %v, %v", c, err)
				}
			}
			if hasProbe {
				if ok, err := probes.Accepts(t.Context(), nil, provider.Grant{}); err != nil || !ok {
					t.Errorf("Accepts: %t, %v", ok, err)
				}
			}
		})
	}
}

// List goes through as it is, and stops when its consumer does.
func TestGuardedList(t *testing.T) {
	b := newBench(t)
	var names []string
	for c, err := range guard(b.inner, b.lane()).List(t.Context(), provider.Owner{}) {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, c.Name)
	}
	for _, err := range guard(b.inner, b.lane()).List(t.Context(), provider.Owner{}) {
		if err != nil {
			t.Error(err)
		}
		break
	}
	if diff := cmp.Diff([]string{"one", "two"}, names); diff != "" || b.inner.calls != 2 {
		t.Errorf("%d calls; %s", b.inner.calls, diff)
	}
}

// Two calls go at once, the third waits a second; a wait that ends with its
// context sends nothing and gives its turn back.
func TestCallsWaitForTheirTurn(t *testing.T) {
	b := newBench(t)
	calls := b.calls(t.Context())
	for range 2 {
		if err := calls["find"](); err != nil {
			t.Fatal(err)
		}
	}
	impatient, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.calls(impatient)["revoke"]() }()
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

// A Mint that would wait too long is not sent; other calls wait.
func TestMintDoesNotWaitLong(t *testing.T) {
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
	client := guard(b.inner, b.lane())
	b.held(Blocked(client), 4*time.Second)
	b.held(calls["update"](), 4*time.Second)
	err := calls["mint"]()
	b.held(err, 4*time.Second)
	if !strings.Contains(err.Error(), "within 3s") || b.inner.calls != 2 {
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

// After an answer that asks for a pause nothing is sent until it is over.
func TestPauseHoldsForAllCalls(t *testing.T) {
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
	b.held(Blocked(guard(b.inner, b.lane())), 40*time.Second)
	if b.inner.calls != 1 {
		t.Errorf("%d calls were sent", b.inner.calls)
	}
	b.clock.Advance(40 * time.Second)
	if err := calls["mint"](); err != nil {
		t.Error(err)
	}
	if h := b.gate.health(); h.LastError.Code != provider.CodeUnavailable || h.LastError.Operation != "revoke" || !h.LastError.At.Equal(epoch) {
		t.Errorf("the last error is %+v, and a call that was held back is none", h.LastError)
	}
}

// A call that waits for its turn is not sent into a pause that began meanwhile.
func TestPauseBeginsWhileACallWaits(t *testing.T) {
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

func TestLengthOfAPause(t *testing.T) {
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

// What the pause was asked of may be another server under a new declaration.
func TestNewDeclarationEndsAPause(t *testing.T) {
	b := newBench(t)
	b.gate.leave(t.Context(), opFind, &provider.Error{Code: provider.CodeRateLimited, RetryAfter: time.Hour})
	b.gate.follow(0)
	b.held(b.gate.pause(opMint), time.Hour)
	b.gate.follow(1)
	if err := b.gate.pause(opMint); err != nil {
		t.Error(err)
	}
}

// A long pause keeps nothing alive that has to end: revoking waits for a minute of it.
func TestRevokingWaitsForAMinuteOfAPause(t *testing.T) {
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

func TestSuspicion(t *testing.T) {
	failed := func(code provider.Code) error { return &provider.Error{Code: code} }
	down := failed(provider.CodeUnavailable)
	tests := map[string]struct {
		op      operation
		answers []error
		suspect bool
	}{
		"credentials refused":          {opFind, []error{failed(provider.CodeUnauthenticated)}, true},
		"a right is missing":           {opRevoke, []error{failed(provider.CodePermissionDenied)}, true},
		"the account is blocked":       {opMint, []error{failed(provider.CodeAccountBlocked)}, true},
		"once without an answer":       {opMint, []error{down}, false},
		"three times without":          {opMint, []error{down, down, down}, true},
		"twice, and an answer between": {opMint, []error{down, down, nil, down}, false},
		"twice, and a refusal between": {opMint, []error{down, down, failed(provider.CodeInvalid), down}, false},
		"no answer to a connect":       {opConnect, []error{down}, true},
		"an examination fails":         {opExamine, []error{failed(provider.CodeUnauthenticated), down, down, down}, false},
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
			if got := b.gate.health().Suspect; got != test.suspect {
				t.Errorf("suspect: %t", got)
			}
			told := false
			for _, suspect := range b.told {
				told = told || suspect
			}
			if told != test.suspect {
				t.Errorf("it was told %v", b.told)
			}
		})
	}
}

// A suspicion is told once, and ends when the provider is examined.
func TestSuspicionEndsWithAnExamination(t *testing.T) {
	b := newBench(t)
	refused := &provider.Error{Code: provider.CodeUnauthenticated}
	for range 2 {
		b.gate.leave(t.Context(), opFind, refused)
	}
	b.gate.examining()
	if b.gate.health().Suspect {
		t.Error("it is still suspect")
	}
	b.gate.leave(t.Context(), opFind, refused)
	if diff := cmp.Diff([]bool{true, false, true}, b.told); diff != "" {
		t.Error(diff)
	}
}

// The last error is in our words and names the call; what the caller gave up, or
// the driver refused without sending it, says nothing about the provider.
func TestLastError(t *testing.T) {
	b := newBench(t)
	b.inner.err = errors.New("CANARY in a raw error")
	for name, call := range b.calls(t.Context()) {
		b.clock.Advance(time.Minute)
		if err := call(); err == nil {
			t.Fatalf("%s: no error", name)
		}
		want := &Trouble{At: b.clock.Now(), Operation: strings.TrimSuffix(name, " slots"), Code: provider.CodeUnknown,
			Message: provider.AsError(b.inner.err).Message}
		if diff := cmp.Diff(want, b.gate.health().LastError); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	before := b.gate.health()
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	b.gate.leave(canceled, opFind, &provider.Error{Code: provider.CodeUnauthenticated})
	b.gate.leave(t.Context(), opMint, &provider.Error{Code: provider.CodeUnauthenticated, Err: &provider.Refusal{}})
	b.gate.leave(t.Context(), opMint, nil)
	if diff := cmp.Diff(before, b.gate.health()); diff != "" {
		t.Error(diff)
	}
	b.gate.leave(t.Context(), opExamine, &provider.Error{Code: provider.CodeUnauthenticated})
	if got := b.gate.health().LastError.Operation; got != "connect" {
		t.Errorf("an examination is shown as %q", got)
	}
}
