package places

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"apitoken.dev/operator/test/support/testutil"
)

var epoch = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

// hall is Places with a clock that stands still, and a list of those that were woken.
type hall struct {
	*testing.T
	*Places
	clock *testutil.Clock
	woken []string
}

func newHall(t *testing.T, limits Limits) *hall {
	h := &hall{T: t, clock: testutil.NewClock(epoch)}
	h.Places = New(h.clock, limits)
	h.OnTurn(func(who types.NamespacedName) { h.woken = append(h.woken, who.String()) })
	return h
}

func who(namespace, name string) types.NamespacedName {
	return types.NamespacedName{Namespace: namespace, Name: name}
}

// at is a Want of one namespace at a shared provider.
func at(provider, namespace string, n int) Want {
	return Want{Who: who(namespace, fmt.Sprint(n)), Provider: provider, Shared: true, Class: Issues}
}

// take takes a place, which must be available.
func (h *hall) take(w Want) *Place {
	h.Helper()
	place, ok := h.Take(w)
	if !ok {
		h.Fatalf("%s does not get a place at %s", w.Who, w.Provider)
	}
	return place
}

// queue asks for a place that is not there.
func (h *hall) queue(w Want) {
	h.Helper()
	if _, ok := h.Take(w); ok {
		h.Fatalf("%s gets a place at %s", w.Who, w.Provider)
	}
}

// wakes checks who was woken since the last call.
func (h *hall) wakes(want ...string) {
	h.Helper()
	if !slices.Equal(h.woken, want) {
		h.Fatalf("woken are %v, want %v", h.woken, want)
	}
	h.woken = nil
}

// empty checks that nothing is remembered of those who have left.
func (h *hall) empty() {
	h.Helper()
	if len(h.tickets)+len(h.lines)+len(h.tenants)+len(h.order)+len(h.turns)+h.busy != 0 {
		h.Errorf("left are %d tickets, %d lines, %d tenants, %d in order, %d turns and %d places",
			len(h.tickets), len(h.lines), len(h.tenants), len(h.order), len(h.turns), h.busy)
	}
}

// TestEveryLimitIsEnforced: with one request more than a limit allows, one waits and is
// woken when a place is released.
func TestEveryLimitIsEnforced(t *testing.T) {
	own := func(n int) Want { w := at("a", "x", n); w.Shared = false; return w }
	account := func(n int) Want { w := at(fmt.Sprint(n), "x", n); w.Account = "full"; return w }
	tests := map[string]struct {
		limits Limits
		want   func(n int) Want
	}{
		"of a shared provider":              {Limits{Shared: 3, Provider: 1, Namespace: 9, InAll: 9}, func(n int) Want { return at("a", "x", n) }},
		"of a provider of one namespace":    {Limits{Shared: 1, Provider: 3, Namespace: 9, InAll: 9}, own},
		"of an account, at many providers":  {Limits{Account: 3, Shared: 1, Namespace: 9, InAll: 9}, account},
		"of a namespace, at many providers": {Limits{Shared: 1, Namespace: 3, InAll: 9}, func(n int) Want { return at(fmt.Sprint(n), "x", n) }},
		"in all":                            {Limits{Shared: 1, Namespace: 1, InAll: 3}, func(n int) Want { return at(fmt.Sprint(n), fmt.Sprint(n), n) }},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			h := newHall(t, test.limits)
			var taken []*Place
			for n := range 3 {
				taken = append(taken, h.take(test.want(n)))
			}
			last := test.want(3)
			h.queue(last)
			h.queue(last)
			taken[1].Release()
			taken[1].Release()
			h.wakes(last.Who.String())
			taken = append(taken, h.take(last))
			for _, p := range taken {
				p.Release()
			}
			h.wakes()
			h.empty()
		})
	}
}

// TestNamespacesTakeTurns: a namespace that comes after 1,500 of another one is
// served after one of them.
func TestNamespacesTakeTurns(t *testing.T) {
	h := newHall(t, Limits{Shared: 16, Namespace: 16, InAll: 192})
	var running []*Place
	for n := range 1500 {
		if p, ok := h.Take(at("shared", "many", n)); ok {
			running = append(running, p)
		}
	}
	if len(running) != 16 {
		t.Fatalf("%d have a place", len(running))
	}
	victim := at("shared", "victim", 0)
	h.queue(victim)
	others := 0
	for i := 0; !slices.Contains(h.woken, victim.Who.String()); i++ {
		running[i].Release()
		others = len(h.woken)
	}
	if others > 2 { // one of the other namespace may be first in the round
		t.Errorf("%d others were served first", others-1)
	}
	h.take(victim)
}

// TestNamespacesOfAnySizeAreServedEqually: ten namespaces of very different sizes in one
// line. Their turns differ by at most one while each has waiting objects.
func TestNamespacesOfAnySizeAreServedEqually(t *testing.T) {
	h := newHall(t, Limits{Shared: 4, Namespace: 16, InAll: 192})
	wants := map[types.NamespacedName]Want{}
	running := map[types.NamespacedName]*Place{}
	for ns := range 10 {
		for n := range 20 + ns*30 {
			w := at("shared", fmt.Sprintf("ns-%d", ns), n)
			wants[w.Who] = w
			if p, ok := h.Take(w); ok {
				running[w.Who] = p
			}
		}
	}
	served := map[string]int{}
	for range 150 {
		for name, p := range running { // any of them
			p.Release()
			delete(running, name)
			break
		}
		for _, name := range h.woken {
			w := wants[who(name[:4], name[5:])]
			running[w.Who] = h.take(w)
			served[w.Who.Namespace]++
		}
		h.woken = nil
	}
	least, most := 1000, 0
	for ns := range 10 {
		n := served[fmt.Sprintf("ns-%d", ns)]
		least, most = min(least, n), max(most, n)
	}
	if most-least > 1 {
		t.Errorf("they were served unequally: %v", served)
	}
}

// TestNamespaceIsOrderedByClassAndDueTime: first what ends access, then rotations by due
// time, then first issues in the order of their requests.
func TestNamespaceIsOrderedByClassAndDueTime(t *testing.T) {
	h := newHall(t, Limits{Shared: 1})
	first := h.take(at("a", "x", 0))
	wants := []Want{
		{Who: who("x", "unadmitted"), Class: Rest},
		{Who: who("x", "new"), Class: Issues},
		{Who: who("x", "newer"), Class: Issues},
		{Who: who("x", "no-end"), Class: Rotates},
		{Who: who("x", "later"), Class: Rotates, Due: epoch.Add(time.Hour)},
		{Who: who("x", "sooner"), Class: Rotates, Due: epoch.Add(time.Minute)},
		{Who: who("x", "revoke"), Class: Ends},
	}
	byName := map[string]Want{}
	for _, w := range wants {
		w.Provider, w.Shared = "a", true
		byName[w.Who.String()] = w
		h.queue(w)
	}
	h.queue(byName["x/newer"]) // asking again changes nothing
	var order []string
	for place := first; len(order) < len(wants); {
		place.Release()
		order = append(order, h.woken...)
		place = h.take(byName[h.woken[0]])
		h.woken = nil
	}
	want := []string{"x/revoke", "x/sooner", "x/later", "x/no-end", "x/new", "x/newer", "x/unadmitted"}
	if !slices.Equal(order, want) {
		t.Errorf("served are %v, want %v", order, want)
	}
}

// TestMoreUrgentRequestMovesUp: a waiting object that asks again for something more urgent.
func TestMoreUrgentRequestMovesUp(t *testing.T) {
	h := newHall(t, Limits{Shared: 1})
	first := h.take(at("a", "x", 0))
	h.queue(at("a", "x", 1))
	h.queue(at("a", "x", 2))
	h.queue(at("a", "y", 1))
	urgent := at("a", "x", 2)
	urgent.Class = Ends
	h.queue(urgent)
	first.Release()
	h.wakes("x/2")
}

// TestUnclaimedTurnPassesOn after TurnFor. The object keeps its position for its next
// request.
func TestUnclaimedTurnPassesOn(t *testing.T) {
	h := newHall(t, Limits{Shared: 1})
	first := h.take(at("a", "x", 0))
	for n := range 3 {
		h.queue(at("a", "x", n+1))
	}
	first.Release()
	h.wakes("x/1")
	h.clock.Advance(TurnFor - 1)
	h.queue(at("a", "x", 4))
	h.wakes()
	h.clock.Advance(1)
	h.queue(at("a", "x", 5))
	h.wakes("x/2")
	second := h.take(at("a", "x", 2))
	h.queue(at("a", "x", 1)) // here it is at last
	second.Release()
	h.wakes("x/1")
	h.take(at("a", "x", 1)).Release()
	h.wakes("x/3")
}

// TestRunPassesUnclaimedTurnsOn without a call of another reconcile.
func TestRunPassesUnclaimedTurnsOn(t *testing.T) {
	clock := testutil.NewClock(epoch)
	s := New(clock, Limits{Shared: 1})
	woken := make(chan string, 10)
	s.OnTurn(func(who types.NamespacedName) { woken <- who.Name })
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- s.Run(ctx) }()
	first, _ := s.Take(at("a", "x", 0))
	s.Take(at("a", "x", 1))
	s.Take(at("a", "x", 2))
	first.Release()
	if got := <-woken; got != "1" {
		t.Fatalf("%s was woken", got)
	}
	if err := clock.WaitForSleepers(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	clock.Advance(TurnFor)
	if got := <-woken; got != "2" {
		t.Fatalf("%s was woken", got)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestLeaveFreesItsTurn for the next one. A place that is held is kept.
func TestLeaveFreesItsTurn(t *testing.T) {
	h := newHall(t, Limits{Shared: 1})
	first := h.take(at("a", "x", 0))
	h.queue(at("a", "x", 1))
	h.queue(at("a", "x", 2))
	h.queue(at("a", "x", 3))
	h.Leave(who("x", "1"))
	first.Release()
	h.wakes("x/2")
	h.Leave(who("x", "2"))
	h.wakes("x/3")
	last := h.take(at("a", "x", 3))
	h.Leave(who("x", "3")) // it holds a place, and keeps it
	if err := last.Check("a"); err != nil {
		t.Error(err)
	}
	last.Release()
	h.empty()
}

func TestChangeOfProviderLeavesTheOldLine(t *testing.T) {
	h := newHall(t, Limits{Shared: 1})
	first, other := h.take(at("a", "x", 0)), h.take(at("b", "x", 9))
	h.queue(at("a", "x", 1))
	h.queue(at("b", "x", 1))
	first.Release()
	h.wakes()
	other.Release()
	h.wakes("x/1")
	if place := h.take(at("b", "x", 1)); place.Check("a") == nil || place.Check("b") != nil {
		t.Error("it has a place at the wrong provider")
	}
}

// TestSleepReleasesThePlace. The mint still counts in Limits.Asleep and Limits.InAll.
func TestSleepReleasesThePlace(t *testing.T) {
	h := newHall(t, Limits{Shared: 1, Asleep: 2, InAll: 3})
	mint := func(ns string, n int) Want { w := at("a", ns, n); w.Mints = true; return w }
	ended := make(chan error, 3)
	sleep := func(p *Place) {
		go func() { ended <- p.Sleep(t.Context(), 10*time.Second) }()
	}
	asleep := []*Place{h.take(mint("x", 0))}
	h.queue(mint("x", 1))
	sleep(asleep[0])
	h.ok(h.clock.WaitForSleepers(t.Context(), 1))
	h.wakes("x/1")
	asleep = append(asleep, h.take(mint("x", 1)))
	sleep(asleep[1])
	h.ok(h.clock.WaitForSleepers(t.Context(), 2))
	h.queue(mint("x", 2)) // nothing more is reserved in this namespace
	revoke := at("a", "x", 3)
	revoke.Class = Ends
	h.take(revoke).Release() // and all else goes on
	asleep = append(asleep, h.take(mint("y", 0)))
	sleep(asleep[2])
	h.ok(h.clock.WaitForSleepers(t.Context(), 3))
	h.queue(at("a", "z", 0)) // nor in all
	if err := asleep[2].Check("a"); !errors.Is(err, ErrNoPlace) {
		t.Errorf("one that sleeps may call: %v", err)
	}
	h.clock.Advance(10 * time.Second)
	for range 3 {
		h.ok(<-ended)
	}
	if s := h.Stats(); s.Asleep != 3 || s.Waiting != 2 || s.Oldest != 10*time.Second {
		t.Errorf("counted are %+v", s)
	}
	asleep[2].Release()
	h.wakes("z/0")
	asleep[0].Release()
	h.take(at("a", "z", 0)).Release()
	asleep[1].Release()
	h.wakes("x/2")
	h.take(mint("x", 2)).Release()
	h.empty()
}

func (h *hall) ok(err error) {
	h.Helper()
	if err != nil {
		h.Fatal(err)
	}
}

// TestFreedPlaceServesAnyLine: while all places of the operator are taken, a released one
// goes to the next namespace, even if the same line has waiting objects.
func TestFreedPlaceServesAnyLine(t *testing.T) {
	h := newHall(t, Limits{Shared: 16, Namespace: 16, InAll: 4})
	var held []*Place
	for n := range 4 {
		held = append(held, h.take(at("slow", "x", n)))
	}
	for n := range 100 {
		h.queue(at("slow", "x", 4+n))
	}
	h.queue(at("fast", "victim", 0))
	held[0].Release()
	h.wakes("x/4")
	held[1].Release()
	h.wakes("victim/0")
}

// TestAwaitBlocksUntilItsTurn, or until its context ends.
func TestAwaitBlocksUntilItsTurn(t *testing.T) {
	s := New(testutil.NewClock(epoch), Limits{Shared: 1})
	first, err := s.Await(t.Context(), at("a", "x", 0))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Await(ctx, at("a", "x", 1)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	type result struct {
		place *Place
		err   error
	}
	ended := make(chan result)
	go func() {
		place, err := s.Await(t.Context(), at("a", "x", 2))
		ended <- result{place, err}
	}()
	first.Release()
	got := <-ended
	if got.err != nil || got.place.Check("a") != nil {
		t.Errorf("got %v", got.err)
	}
	got.place.Release()
	if s.Stats() != (Stats{}) {
		t.Errorf("left are %+v", s.Stats())
	}
}

// TestCheckRejectsOtherPlaces: nil, and one that was released.
func TestCheckRejectsOtherPlaces(t *testing.T) {
	var none *Place
	none.Release()
	if err := none.Check("a"); !errors.Is(err, ErrNoPlace) {
		t.Errorf("got %v", err)
	}
	h := newHall(t, Limits{})
	p := h.take(at("a", "x", 0))
	p.Release()
	if err := p.Check("a"); !errors.Is(err, ErrNoPlace) {
		t.Errorf("one that was given back: %v", err)
	}
	if p.Tenant() != "x" || none.Tenant() != "" {
		t.Error("the place has another tenant")
	}
}

// TestRandomEventsKeepTheInvariants: no limit is exceeded, no object waits while a place is
// free, and nothing is kept of objects that left.
func TestRandomEventsKeepTheInvariants(t *testing.T) {
	limits := Limits{Shared: 3, SharedEach: 2, Provider: 2, Account: 1, Namespace: 4, Asleep: 3, InAll: 9}
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 1))
		h := newHall(t, limits)
		var taken []*Place
		for range 300 {
			switch n := random.IntN(10); {
			case n < 5:
				provider := random.IntN(4)
				w := at(fmt.Sprint(provider), fmt.Sprintf("ns-%d", random.IntN(5)), random.IntN(12))
				w.Shared, w.Mints, w.Class = provider < 2, random.IntN(3) == 0, Class(random.IntN(4))
				if random.IntN(4) == 0 {
					w.Account = "one"
				}
				if t := h.tickets[w.Who]; t != nil && (t.state == held || t.state == asleep) {
					continue // a reconcile asks once
				}
				if p, ok := h.Take(w); ok {
					taken = append(taken, p)
				}
			case n < 8 && len(taken) > 0:
				i := random.IntN(len(taken))
				if n == 7 {
					h.locked(func() { h.fallAsleep(taken[i].t) })
					continue
				}
				taken[i].Release()
				taken = slices.Delete(taken, i, i+1)
			case n == 8:
				h.Leave(who(fmt.Sprintf("ns-%d", random.IntN(5)), fmt.Sprint(random.IntN(12))))
			default:
				h.clock.Advance(time.Duration(random.IntN(3000)) * time.Millisecond)
			}
			h.consistent()
		}
		for _, p := range taken {
			p.Release()
		}
		for _, ticket := range h.tickets {
			h.Leave(ticket.want.Who)
		}
		for len(h.tickets) > 0 { // those that were woken by the others' leaving
			for _, ticket := range h.tickets {
				h.Leave(ticket.want.Who)
			}
		}
		h.empty()
	}
}

// consistent checks the counters against the tickets.
func (h *hall) consistent() {
	h.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	used, tenants, mints, busy := map[string]int{}, map[string]int{}, map[string]int{}, 0
	for _, t := range h.tickets {
		switch t.state {
		case turn, held:
			used[t.group.line.name]++
			tenants[t.group.tenant.name]++
			fallthrough
		case asleep:
			mints[t.group.tenant.name] += oneIf(t.want.Mints)
			busy++
		case waiting:
			if t.group.waiting[t.index] != t || !slices.Contains(t.group.line.groups, t.group) || !slices.Contains(h.order, t.group.tenant) {
				h.Fatal("one that waits is in no line")
			}
		case late, left:
		}
	}
	if busy != h.busy || full(busy-1, h.limits.InAll) {
		h.Fatalf("%d places are taken, counted are %d", busy, h.busy)
	}
	for name, l := range h.lines {
		for who, n := range l.by {
			if n <= 0 || l.each > 0 && n > l.each {
				h.Fatalf("%s: %s has %d places", name, who.name, n)
			}
		}
		if l.used != used[name] || full(l.used-1, l.limit) {
			h.Fatalf("%s: %d places are taken, counted are %d of %d", name, used[name], l.used, l.limit)
		}
		for _, g := range l.groups {
			first := g.waiting[0]
			if h.possible(first) {
				h.Fatalf("%s waits although there is a place", first.want.Who)
			}
		}
	}
	for name, x := range h.tenants {
		if x.used != tenants[name] || x.mints != mints[name] || full(x.used-1, h.limits.Namespace) {
			h.Fatalf("%s has %d places, counted are %d", name, tenants[name], x.used)
		}
	}
}

// Run it with the race detector.
func TestConcurrentUseLosesNoPlace(t *testing.T) {
	s := New(testutil.NewClock(epoch), Limits{Shared: 2, Namespace: 3, InAll: 8})
	var all sync.WaitGroup
	for n := range 40 {
		all.Go(func() {
			for i := range 20 {
				place, err := s.Await(t.Context(), at(fmt.Sprint(i%3), fmt.Sprint(n%5), n))
				if err != nil {
					t.Error(err)
					return
				}
				_ = s.Stats()
				place.Release()
			}
		})
	}
	all.Wait()
	if s.Stats() != (Stats{}) {
		t.Errorf("left are %+v", s.Stats())
	}
}
