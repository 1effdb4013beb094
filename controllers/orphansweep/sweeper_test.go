package orphansweep

import (
	"context"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/clock"
	"apitoken.dev/operator/internal/credname"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/test/support/fake"
)

func TestReportModeRevokesNothing(t *testing.T) {
	w := newWorld(t, Report)
	inLedger, inRetained := w.mint(w.cluster, "kept", 1), w.mint(w.cluster, "gone", 1)
	leaked, older := w.mint(w.cluster, "kept", 2), w.mint(w.cluster, "unknown", 1)
	foreign := w.mint(credname.Cluster("another"), "kept", 3)
	w.token("kept", 2, inLedger)
	w.secret("retained", "gone", inRetained, true)
	s := New(w.options)

	w.sweep(s)
	w.found() // too young
	w.clock.at += grace
	young := w.mint(w.cluster, "kept", 2)
	w.sweep(s)
	w.found(leaked, older)
	for _, name := range []string{inLedger, inRetained, foreign, leaked, older, young} {
		if !w.backend.Live(name) {
			t.Errorf("%s was revoked by a sweep that reports", name)
		}
	}
	w.clock.at += grace
	w.sweep(s)
	w.found(leaked, older, young)
}

func TestSweepListsTheProviderFirst(t *testing.T) {
	w := newWorld(t, Revoke)
	token := w.token("t", 1)
	// It is minted and recorded between the two lists: a sweep that listed the cluster
	// first would find it at the provider and in no ledger.
	minted := w.mint(w.cluster, "t", 1)
	w.clock.at += grace
	recorded := false
	w.backend.OnCall = func(ctx context.Context, call fake.Call) fake.Fault {
		if call.Verb == fake.List && call.Phase == fake.After && !recorded {
			recorded = true
			w.record(ctx, token, 1, minted)
		}
		return fake.Fault{}
	}
	w.sweep(New(w.options))
	w.found()
	if !recorded || !w.backend.Live(minted) {
		t.Errorf("recorded %t, live %t", recorded, w.backend.Live(minted))
	}
}

// reads counts the lists of ApiTokens.
type reads struct {
	client.Reader
	lists atomic.Int32
}

func (r *reads) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	if _, ok := list.(*v1alpha1.ApiTokenList); ok {
		r.lists.Add(1)
	}
	return r.Reader.List(ctx, list, opts...)
}

// TestClusterIsReadOnlyForCandidates: for a provider that shows no other credentials than
// the ledgers, the cluster is not read, and its old sightings are dropped all the same.
func TestClusterIsReadOnlyForCandidates(t *testing.T) {
	w := newWorld(t, Report)
	w.token("t", 1, w.mint(w.cluster, "t", 1))
	live := &reads{Reader: w.Client}
	w.options.Live = live
	s := New(w.options)
	minter, _ := w.options.Pool.Minter(account.Of(w.object).Key())
	s.remembered(minter).first[sighting{"gone", "id"}] = sighted{}

	w.sweep(s)
	if n := live.lists.Load(); n != 0 {
		t.Errorf("without candidates the cluster was read %d times", n)
	}
	if n := len(s.remembered(minter).first); n != 0 {
		t.Errorf("%d sightings of deleted credentials are kept", n)
	}
	w.mint(w.cluster, "t", 2)
	w.sweep(s)
	if live.lists.Load() == 0 {
		t.Error("a candidate was judged without the ledgers")
	}
}

// TestRevokedCredentialIsNoOrphan: a credential that was revoked after the list and before its
// lookup is not an orphan, even if the provider still shows it.
func TestRevokedCredentialIsNoOrphan(t *testing.T) {
	for _, keeps := range []bool{false, true} {
		w := newWorld(t, Report)
		w.backend.KeepsEnded = keeps
		old := w.mint(w.cluster, "t", 1)
		w.clock.at += grace
		w.backend.OnCall = func(ctx context.Context, call fake.Call) fake.Fault {
			if call.Verb == fake.List && call.Phase == fake.After {
				if err := w.provider.Revoke(ctx, provider.Ref{Name: old}); err != nil {
					t.Error(err)
				}
			}
			return fake.Fault{}
		}
		w.sweep(New(w.options))
		w.found()
	}
}

func TestRevokeModeRevokesUselessOrphans(t *testing.T) {
	w := newWorld(t, Revoke)
	inLedger, leaked := w.mint(w.cluster, "t", 4), w.mint(w.cluster, "t", 3)
	newest := w.mint(w.cluster, "t", 4) // the ledger's current revision
	ahead := w.mint(w.cluster, "t", 5)
	held, nobody := w.mint(w.cluster, "u", 1), w.mint(w.cluster, "unknown", 7)
	foreign := w.mint(credname.Cluster("another"), "t", 1)
	w.token("t", 4, inLedger)
	w.secret("held", "u", held, false)
	w.clock.at += grace
	w.sweep(New(w.options))

	live := map[string]bool{}
	for _, name := range []string{inLedger, leaked, newest, ahead, held, nobody, foreign} {
		live[name] = w.backend.Live(name)
	}
	want := map[string]bool{inLedger: true, leaked: false, newest: false, ahead: true, held: true, nobody: false, foreign: true}
	if diff := cmp.Diff(want, live); diff != "" {
		t.Errorf("live, by name: %s", diff)
	}
	for _, name := range []string{leaked, nobody} {
		for _, line := range []string{"audit=call", "audit=outcome"} {
			if !regexp.MustCompile("msg=audit " + line + " .*operation=revoke .*credential=" + name + " .*reason=Orphaned askedBy=sweep").MatchString(w.logs.String()) {
				t.Errorf("no line %s of the audit trail for %s", line, name)
			}
		}
	}
	told := w.events()
	for _, text := range []string{leaked, nobody, "were revoked", ahead, held} {
		if !strings.Contains(told, text) {
			t.Errorf("the events %q do not contain %q", told, text)
		}
	}
	if got := w.gauge("p"); got != 2 {
		t.Errorf("%v orphans are left, want 2", got)
	}
}

func TestManyOrphansAreNotRevoked(t *testing.T) {
	w := newWorld(t, Revoke)
	var names []string
	for range 6 {
		names = append(names, w.mint(w.cluster, "unknown", 1))
	}
	w.clock.at += grace
	w.sweep(New(w.options))
	for _, name := range names {
		if !w.backend.Live(name) {
			t.Errorf("%s was revoked, as one of six orphans among six credentials", name)
		}
	}
	if got := w.gauge("p"); got != 6 {
		t.Errorf("the metric is %v", got)
	}
	if !strings.Contains(w.logs.String(), "suggests a mistake") {
		t.Errorf("the log is %s", w.logs.String())
	}
}

func TestUnknownAgeCountsFromTheFirstSighting(t *testing.T) {
	w := newWorld(t, Report)
	s := New(w.options)
	m, c := s.remembered(account.MinterIdentity{}), provider.Credential{Name: "n", ID: "id"}
	if s.oldEnough(c, m, 1) {
		t.Error("old enough at first sight")
	}
	w.clock.at += grace - time.Second
	if s.oldEnough(c, m, 2) {
		t.Error("old enough too soon")
	}
	s.judge(inventory{}, &cluster{}, m, 3) // an incomplete list that does not show it
	w.clock.at += time.Second
	if !s.oldEnough(c, m, 4) {
		t.Error("not old enough after the grace")
	}
	s.judge(inventory{complete: true}, &cluster{}, m, 5)
	if len(m.first) != 0 {
		t.Error("a deleted credential is remembered")
	}
	s.forget(nil)
	if len(s.memories) != 0 {
		t.Error("deleted credentials are remembered")
	}
}

func TestOneAccountIsSweptOnce(t *testing.T) {
	w := newWorld(t, Report)
	w.newProvider("q")
	w.mint(w.cluster, "unknown", 1)
	w.clock.at += grace
	s := New(w.options)
	w.sweep(s)
	if got := w.gauge("p") + w.gauge("q"); got != 1 {
		t.Errorf("two providers of one account have %v orphans together", got)
	}
	if n := w.backend.Count(fake.List); n != 1 {
		t.Errorf("the account was listed %d times", n)
	}
	w.OK(w.Patch(t.Context(), w.object, client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"finalizers":null}}`))))
	w.OK(w.Delete(t.Context(), w.object))
	w.sweep(s)
	if _, counted := s.reported[account.Of(w.object).Key()]; counted {
		t.Errorf("a deleted provider is still counted: %v", s.reported)
	}
	if got := w.gauge("p") + w.gauge("q"); got != 1 {
		t.Errorf("the other provider of the account has %v orphans", got)
	}
}

func TestFailingProviderDoesNotStopTheSweep(t *testing.T) {
	w := newWorld(t, Revoke)
	leaked := w.mint(w.cluster, "unknown", 1)
	w.clock.at += grace
	s := New(w.options)
	w.backend.Script(fake.List, fake.Fault{Kind: fake.InDoubt})
	if err := s.Sweep(t.Context()); err == nil || !strings.Contains(err.Error(), w.namespace+"/p") {
		t.Errorf("got %v", err)
	}
	w.backend.Script(fake.Revoke, fake.Fault{Kind: fake.InDoubt})
	if err := s.Sweep(t.Context()); err == nil || !strings.Contains(err.Error(), leaked) {
		t.Errorf("got %v", err)
	}
	w.sweep(s)
	if w.backend.Live(leaked) {
		t.Error("the orphan is still live")
	}
}

func TestSweepsAreOneIntervalApart(t *testing.T) {
	w := newWorld(t, Report)
	ctx, cancel := context.WithCancel(t.Context())
	sweeps := 0
	w.options.Clock = &stopping{manualClock: w.clock, after: 3, stop: cancel, sweeps: &sweeps}
	if err := New(w.options).Start(ctx); err != nil {
		t.Fatal(err)
	}
	if n := w.backend.Count(fake.List); n != 3 {
		t.Errorf("%d sweeps", n)
	}
	if w.clock.at < 2*DefaultInterval || w.clock.at > 4*DefaultInterval {
		t.Errorf("three sweeps took %s", w.clock.at)
	}
}

// stopping ends the context instead of sleeping again.
type stopping struct {
	*manualClock
	after  int
	stop   func()
	sweeps *int
}

func (c *stopping) Sleep(ctx context.Context, d time.Duration) error {
	if *c.sweeps++; *c.sweeps > c.after {
		c.stop()
		return ctx.Err()
	}
	return c.manualClock.Sleep(ctx, d)
}

var _ clock.Clock = (*stopping)(nil)

func TestUnknownModeIsRefused(t *testing.T) {
	for s, ok := range map[string]bool{"Report": true, "Revoke": true, "revoke": false, "": false} {
		if _, err := ParseMode(s); (err == nil) != ok {
			t.Errorf("%q: %v", s, err)
		}
	}
}
