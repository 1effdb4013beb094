package pacing

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"apitoken.dev/operator/internal/places"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/test/support/testutil"
)

// TestTenantsTakeTurns: while many calls of one tenant are queued, the first call of
// another one is sent at once, and the following calls in turns.
func TestTenantsTakeTurns(t *testing.T) {
	clock := testutil.NewClock(epoch)
	p := newLimiter(clock, 10, 20)
	send := func(tenant string, n int) []*queuedCall {
		calls := make([]*queuedCall, n)
		for i := range calls {
			calls[i] = &queuedCall{wake: func() {}}
			p.enqueue(tenant, calls[i])
		}
		p.serve()
		return calls
	}
	went := func(calls []*queuedCall) int {
		n := 0
		for _, w := range calls {
			n += map[bool]int{true: 1}[w.served]
		}
		return n
	}
	many := send("many", 30)
	if went(many) != 15 { // the rest of the burst is for others
		t.Fatalf("%d went at once", went(many))
	}
	if went(send("victim", 1)) != 1 {
		t.Fatal("the first call of the victim waits")
	}
	more := send("victim", 2)
	for range 4 {
		clock.Advance(p.next(clock.Monotonic()))
		p.serve()
	}
	if went(more) != 2 || went(many) != 17 {
		t.Errorf("of the next four calls, %d are the victim's and %d the others'", went(more), went(many)-15)
	}
	for len(p.queues) > 0 {
		clock.Advance(p.next(clock.Monotonic()))
		p.serve()
	}
	if got := clock.Monotonic(); went(many) != 30 || got > 2*time.Second {
		t.Errorf("after %s, %d of 30 went", got, went(many))
	}
}

// TestLongQueueOfOneTenantDoesNotBlockAnother: at a low rate, the call of another tenant
// is sent after one call of the queue.
func TestLongQueueOfOneTenantDoesNotBlockAnother(t *testing.T) {
	p := newLimiter(testutil.NewClock(epoch), 1, 1)
	for range 12 {
		p.enqueue("many", &queuedCall{wake: func() {}})
	}
	p.serve() // one went
	if got := p.estimate("many"); got != 12*time.Second {
		t.Errorf("one more call of the namespace with the line waits %s, want 12s", got)
	}
	if got := p.estimate("victim"); got != 2*time.Second {
		t.Errorf("the first call of another namespace waits %s, want 2s: after one of the line", got)
	}
	p.enqueue("victim", &queuedCall{wake: func() {}})
	if got := p.estimate("victim"); got != 4*time.Second {
		t.Errorf("its second call waits %s, want 4s", got)
	}
}

func TestRateAndBurstAreNotExceeded(t *testing.T) {
	tests := []struct {
		rate  float64
		burst int
		want  time.Duration // for 60 calls of 60 tenants
	}{
		{10, 20, 4 * time.Second},
		{1, 1, 59 * time.Second},
		{0.5, 10, 100 * time.Second},
		{-1, 1, 0},
	}
	for _, test := range tests {
		t.Run(fmt.Sprint(test.rate, " ", test.burst), func(t *testing.T) {
			clock := testutil.NewClock(epoch)
			p := newLimiter(clock, test.rate, test.burst)
			for n := range 60 {
				for {
					_, tooLong, err := p.wait(t.Context(), fmt.Sprint(n), 0)
					if err != nil {
						t.Fatal(err)
					}
					if tooLong == 0 {
						break
					}
					clock.Advance(tooLong)
				}
			}
			if got := clock.Monotonic(); got != test.want {
				t.Errorf("it took %s, want %s", got, test.want)
			}
		})
	}
}

// TestQueuedCallGivesUpAfterMaxWait although it was overtaken, and does not count
// against the rate.
func TestQueuedCallGivesUpAfterMaxWait(t *testing.T) {
	clock := testutil.NewClock(epoch)
	p := newLimiter(clock, 1, 1)
	if _, tooLong, _ := p.wait(t.Context(), "x", 0); tooLong != 0 {
		t.Fatal("the first call waits")
	}
	type result struct {
		tooLong time.Duration
		err     error
	}
	ended := make(chan result)
	go func() {
		_, tooLong, err := p.wait(t.Context(), "x", time.Second)
		ended <- result{tooLong, err}
	}()
	if err := clock.WaitForSleepers(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	p.mu.Lock()
	p.fullAt += time.Minute // as if others had gone first
	p.mu.Unlock()
	clock.Advance(time.Second)
	if got := <-ended; got.err != nil || got.tooLong != time.Minute {
		t.Errorf("got %+v", got)
	}
	if len(p.queues) != 0 {
		t.Error("it still waits")
	}
}

// TestNothingIsSentWithoutAPlace: without a place, after it was released, or with a place
// at another provider.
func TestNothingIsSentWithoutAPlace(t *testing.T) {
	b := newBench(t)
	elsewhere, _ := places.New(b.clock, places.Limits{}).Take(places.Want{Who: types.NamespacedName{Name: "a"}, Provider: "q"})
	released := b.caller()
	released.Place.Release()
	for name, by := range map[string]Caller{"no place": {}, "released": released, "another provider's": {Place: elsewhere}} {
		if _, err := b.gate.Client(b.inner, by).Mint(t.Context(), provider.MintRequest{}); !errors.Is(err, places.ErrNoPlace) || provider.InDoubt(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if b.inner.calls != 0 {
		t.Errorf("%d calls were sent", b.inner.calls)
	}
}

// TestFirstCallOfAnActionWaitsBriefly: it is not sent when it would be queued for long. A
// further call of the action is queued for longer.
func TestFirstCallOfAnActionWaitsBriefly(t *testing.T) {
	b := newBench(t)
	b.gate.firstWait, b.gate.mintWait = time.Second, 20*time.Second
	b.spend(2)
	ended := make(chan error, 3)
	for range 2 {
		first := b.gate.Client(b.inner, b.caller())
		first.(*client).begun.Store(true)
		go func() { ended <- first.Revoke(context.WithoutCancel(t.Context()), provider.Ref{}) }()
	}
	if err := b.clock.WaitForSleepers(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	c := b.gate.Client(b.inner, b.caller())
	b.held(c.Revoke(t.Context(), provider.Ref{}), 3*time.Second)
	if c.(*client).begun.Load() {
		t.Error("a call that was not sent began the action")
	}
	b.letGo(ended, 2)
	b.clock.Advance(time.Second)
	if err := c.Revoke(t.Context(), provider.Ref{}); err != nil || !c.(*client).begun.Load() {
		t.Errorf("got %v", err)
	}
}
