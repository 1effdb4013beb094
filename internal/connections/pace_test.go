package connections

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

// TestNamespacesShareThePace: while many calls of one namespace wait, the first
// call of another one goes at once, and those that follow go in turns.
func TestNamespacesShareThePace(t *testing.T) {
	clock := testutil.NewClock(epoch)
	p := newPace(clock, 10, 20)
	send := func(tenant string, n int) []*waiting {
		calls := make([]*waiting, n)
		for i := range calls {
			calls[i] = &waiting{wake: func() {}}
			p.enter(tenant, calls[i])
		}
		p.serve()
		return calls
	}
	went := func(calls []*waiting) int {
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
	for len(p.round) > 0 {
		clock.Advance(p.next(clock.Monotonic()))
		p.serve()
	}
	if got := clock.Monotonic(); went(many) != 30 || got > 2*time.Second {
		t.Errorf("after %s, %d of 30 went", got, went(many))
	}
}

// TestALineOfOthersIsNotHopeless: at a slow pace, the calls of one namespace that
// wait are no reason to refuse the call of another, which goes after one of them.
func TestALineOfOthersIsNotHopeless(t *testing.T) {
	p := newPace(testutil.NewClock(epoch), 1, 1)
	for range 12 {
		p.enter("many", &waiting{wake: func() {}})
	}
	p.serve() // one went
	if got := p.estimate("many"); got != 12*time.Second {
		t.Errorf("one more call of the namespace with the line waits %s, want 12s", got)
	}
	if got := p.estimate("victim"); got != 2*time.Second {
		t.Errorf("the first call of another namespace waits %s, want 2s: after one of the line", got)
	}
	p.enter("victim", &waiting{wake: func() {}})
	if got := p.estimate("victim"); got != 4*time.Second {
		t.Errorf("its second call waits %s, want 4s", got)
	}
}

// TestPaceIsKept: in any second no more calls go than the rate and the burst allow.
func TestPaceIsKept(t *testing.T) {
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
			p := newPace(clock, test.rate, test.burst)
			for n := range 60 {
				for {
					_, crowded, err := p.wait(t.Context(), fmt.Sprint(n), 0)
					if err != nil {
						t.Fatal(err)
					}
					if crowded == 0 {
						break
					}
					clock.Advance(crowded)
				}
			}
			if got := clock.Monotonic(); got != test.want {
				t.Errorf("it took %s, want %s", got, test.want)
			}
		})
	}
}

// TestPatienceEnds: one that was overtaken gives up when its time is over, and
// uses nothing up.
func TestPatienceEnds(t *testing.T) {
	clock := testutil.NewClock(epoch)
	p := newPace(clock, 1, 1)
	if _, crowded, _ := p.wait(t.Context(), "x", 0); crowded != 0 {
		t.Fatal("the first call waits")
	}
	type result struct {
		crowded time.Duration
		err     error
	}
	ended := make(chan result)
	go func() {
		_, crowded, err := p.wait(t.Context(), "x", time.Second)
		ended <- result{crowded, err}
	}()
	if err := clock.WaitForSleepers(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	p.mu.Lock()
	p.spent += time.Minute // as if others had gone first
	p.mu.Unlock()
	clock.Advance(time.Second)
	if got := <-ended; got.err != nil || got.crowded != time.Minute {
		t.Errorf("got %+v", got)
	}
	if len(p.round) != 0 {
		t.Error("it still waits")
	}
}

// TestNoCallWithoutAPlace: a connection is of no use without a place, or after it
// was given back, or with a place at another provider.
func TestNoCallWithoutAPlace(t *testing.T) {
	b := newBench(t)
	elsewhere, _ := places.New(b.clock, places.Limits{}).Take(places.Want{Who: types.NamespacedName{Name: "a"}, Provider: "q"})
	released := b.lane()
	released.place.Release()
	for name, l := range map[string]*lane{
		"none": {gate: b.gate}, "given back": released, "another provider's": {gate: b.gate, place: elsewhere},
	} {
		if _, err := guard(b.inner, l).Mint(t.Context(), provider.MintRequest{}); !errors.Is(err, places.ErrNoPlace) || provider.InDoubt(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if b.inner.calls != 0 {
		t.Errorf("%d calls were sent", b.inner.calls)
	}
}

// TestFirstCallsWaitBriefly: the first call of an action is not sent when it would
// wait longer than its patience; one that finishes the action waits longer.
func TestFirstCallsWaitBriefly(t *testing.T) {
	b := newBench(t)
	b.gate.patience, b.gate.mintWait = time.Second, 20*time.Second
	b.spend(2)
	ended := make(chan error, 3)
	for range 2 {
		first := b.lane()
		first.begun.Store(true)
		go func() { ended <- guard(b.inner, first).Revoke(context.WithoutCancel(t.Context()), provider.Ref{}) }()
	}
	if err := b.clock.WaitForSleepers(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	l := b.lane()
	client := guard(b.inner, l)
	b.held(client.Revoke(t.Context(), provider.Ref{}), 3*time.Second)
	if l.begun.Load() {
		t.Error("a call that was not sent has begun nothing")
	}
	b.letGo(ended, 2)
	b.clock.Advance(time.Second)
	if err := client.Revoke(t.Context(), provider.Ref{}); err != nil || !l.begun.Load() {
		t.Errorf("got %v", err)
	}
}
