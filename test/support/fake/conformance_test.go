package fake_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/test/support/conformance"
	"apitoken.dev/operator/test/support/fake"
)

// frozen is a clock that stands still.
type frozen struct{ now time.Time }

func (c *frozen) Now() time.Time                                   { return c.now }
func (c *frozen) Monotonic() time.Duration                         { return 0 }
func (c *frozen) Sleep(ctx context.Context, _ time.Duration) error { return ctx.Err() }

// ticking is a clock that moves on a millisecond each time it is read.
type ticking struct {
	frozen
	mu sync.Mutex
}

func (c *ticking) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(time.Millisecond)
	return c.now
}

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// switchboard answers OnCall with the fault that is switched on.
type switchboard struct {
	mu   sync.Mutex
	pick func(fake.Call) fake.Fault
}

func (s *switchboard) onCall(_ context.Context, call fake.Call) fake.Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pick == nil {
		return fake.Fault{}
	}
	return s.pick(call)
}

func (s *switchboard) set(pick func(fake.Call) fake.Fault) (restore func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pick = pick
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.pick = nil
	}
}

// always makes a switch that puts one fault on every call, before its effect.
func (s *switchboard) always(f fake.Fault) func() func() {
	return func() func() {
		return s.set(func(call fake.Call) fake.Fault {
			if call.Phase == fake.Before {
				return f
			}
			return fake.Fault{}
		})
	}
}

// steps makes a switch that puts these faults on, by how many requests were let through.
func (s *switchboard) steps(kinds ...fake.FaultKind) func(int) func() {
	return func(after int) func() {
		return s.always(fake.Fault{Kind: append(kinds, fake.None)[min(after, len(kinds))]})()
	}
}

func (s *switchboard) hang() (<-chan struct{}, func()) {
	waiting := make(chan struct{})
	var once sync.Once
	return waiting, s.set(func(fake.Call) fake.Fault {
		once.Do(func() { close(waiting) })
		return fake.Fault{Kind: fake.Hang}
	})
}

// slow answers each request after the first ones only when its client has given up.
func (s *switchboard) slow(after int) func() {
	return s.set(func(call fake.Call) fake.Fault {
		if after == 0 && call.Phase == fake.After {
			return fake.Fault{Kind: fake.Hang}
		}
		return fake.Fault{}
	})
}

func (s *switchboard) faults(b *fake.Backend) conformance.Faults {
	return conformance.Faults{
		LoseAnswers:     s.steps(fake.LoseAnswer),
		FailAfterCommit: s.steps(fake.LoseAnswer),
		HTML:            s.steps(fake.LoseAnswer),
		Slow:            s.slow,
		Reject:          s.always(fake.Fault{Kind: fake.Reject}),
		RateLimit:       s.always(fake.Fault{Kind: fake.RateLimit, RetryAfter: time.Second}),
		Interrupt:       s.steps(fake.InDoubt, fake.Partial),
		Hang:            s.hang,
		Skew:            func(d time.Duration) func() { b.Skew(d); return func() { b.Skew(0) } },
	}
}

// drivers are the drivers of the fake that the suite runs on, by what is changed.
var drivers = map[string]func(*fake.Driver){
	"updates": func(d *fake.Driver) { d.Caps.Updates = []provider.Field{provider.FieldExpiry} },
	"two":     func(d *fake.Driver) { d.Caps.MaxLive = 2 },
	"one":     func(d *fake.Driver) { d.Caps.MaxLive = 1 },
	"listed":  func(d *fake.Driver) { d.Caps.Listed = 6 },
	"buckets": func(d *fake.Driver) { d.Caps.Narrows = []provider.Field{provider.FieldBuckets} },
	"grants":  func(d *fake.Driver) { d.Backend.ShowsGrants = true },
	"ended":   func(d *fake.Driver) { d.Backend.KeepsEnded, d.Caps.MaxLive = true, 2 },
	"manual": func(d *fake.Driver) {
		d.Caps.ExpiryEnforcedBy = provider.EnforcedByUser
		d.ManualForm = func(r provider.MintRequest) (provider.Form, bool) {
			return provider.Form{
				Where: "Panel > Keys > Add", Revoke: "Panel > Keys > Delete",
				Fields: []provider.FormField{{Label: "Name", Value: r.Owner.Namespace + "-" + r.Owner.Token}},
				Keys:   []string{fake.KeyID, fake.KeySecret},
			}, true
		}
	},
}

// harness is that of one of the drivers.
func harness(which string) conformance.Harness {
	clock := &ticking{frozen: frozen{now: start}}
	backend := fake.NewBackend(clock)
	backend.Token = "CANARY-minting-credential"
	faults := &switchboard{}
	backend.OnCall = faults.onCall
	driver := fake.New(backend)
	driver.Caps.Scopes = []string{"objectstorage:object-read-only"}
	driver.Caps.MaxLifetime = 48 * time.Hour
	drivers[which](driver)
	token := func(s string) map[string]provider.Value {
		return map[string]provider.Value{fake.TokenKey: provider.NewValue(s)}
	}
	until := func(d time.Duration) func() provider.Grant {
		return func() provider.Grant {
			return provider.Grant{Scopes: driver.Caps.Scopes, Buckets: []string{"datasets"}, ExpiresAt: start.Add(d)}
		}
	}
	return conformance.Harness{
		InMemory:   true,
		Driver:     driver,
		Config:     provider.Config{Credentials: token(backend.Token)},
		Wrong:      token("CANARY-not-the-token"),
		SecretKeys: []string{fake.KeyID, fake.KeySecret},
		Grant:      until(time.Hour),
		Changed:    until(2 * time.Hour),
		Alive: func(_ context.Context, m provider.Minted) (bool, error) {
			return backend.Accepts(m.Secret[fake.KeyID].Reveal(), m.Secret[fake.KeySecret].Reveal()), nil
		},
		Refused: refused(),
		Faults:  faults.faults(backend),
		States:  statesOf(backend),
		Outside: conformance.Outside{
			Delete: backend.Delete, DeleteID: backend.DeleteManual, State: backend.StateOf,
			Make: func(t *testing.T) string {
				name := backend.Stranger(1)[0]
				t.Cleanup(func() { backend.Delete(name) })
				return backend.IDOf(name)
			},
		},
		IgnoreUpdates: faults.always(fake.Fault{Kind: fake.Ignore}),
		Crowd: func(n int) func() {
			strangers := backend.Stranger(n)
			return func() {
				for _, name := range strangers {
					backend.Delete(name)
				}
			}
		},
		HandOver: func(_ *testing.T, r provider.MintRequest) map[string]provider.Value {
			return backend.MakeManual(r.Grant)
		},
	}
}

// statesOf makes the states of a backend, which continues to show revoked credentials or not.
func statesOf(b *fake.Backend) conformance.States {
	out := conformance.States{Disable: b.Disable, Enable: b.Enable, DisableID: b.DisableManual}
	if b.KeepsEnded {
		out.End = b.End
	} else {
		out.NeverEnded = "what was revoked is gone"
	}
	return out
}

func refused() map[string]conformance.Refused {
	return map[string]conformance.Refused{
		"unknown scope": {
			Change: func(r *provider.MintRequest) { r.Grant.Scopes = []string{"billing:read-only"} },
			Reason: provider.RefusedScope, Field: "spec.scopes[0]",
		},
		"too long": {
			Change: func(r *provider.MintRequest) { r.Grant.ExpiresAt = start.Add(49 * time.Hour) },
			Reason: provider.RefusedLifetime, Field: "spec.expiresIn",
		},
	}
}

func TestConformance(t *testing.T)        { conformance.Run(t, harness("updates")) }
func TestConformanceTwo(t *testing.T)     { conformance.Run(t, harness("two")) }
func TestConformanceOne(t *testing.T)     { conformance.Run(t, harness("one")) }
func TestConformanceListed(t *testing.T)  { conformance.Run(t, harness("listed")) }
func TestConformanceBuckets(t *testing.T) { conformance.Run(t, harness("buckets")) }
func TestConformanceGrants(t *testing.T)  { conformance.Run(t, harness("grants")) }
func TestConformanceEnded(t *testing.T)   { conformance.Run(t, harness("ended")) }
func TestConformanceManual(t *testing.T)  { conformance.Run(t, harness("manual")) }

func TestConformanceOverHTTP(t *testing.T) {
	h, stop := wireOf(careless{})
	t.Cleanup(stop)
	conformance.Run(t, h)
}

func TestConformanceRunsEveryRequirement(t *testing.T) {
	applies := map[string]bool{}
	all := map[string]conformance.Harness{}
	for which := range drivers {
		all[which] = harness(which)
	}
	wire, stop := wireOf(careless{})
	defer stop()
	all["over HTTP"] = wire
	for which, h := range all {
		for _, name := range conformance.NotRun(h) {
			t.Errorf("%s is not run for the driver %q", name, which)
		}
		for _, r := range conformance.Requirements {
			applies[r.Name] = applies[r.Name] || r.Applies == nil || r.Applies(h)
		}
	}
	for name, ok := range applies {
		if !ok {
			t.Errorf("%s applies to no driver", name)
		}
	}
}

// TestPagesAreTestedOrDenied: a driver over HTTP has a page for the suite, or says that
// its provider has no pages.
func TestPagesAreTestedOrDenied(t *testing.T) {
	h, stop := wireOf(careless{})
	defer stop()
	h.NextPage = nil
	if left := conformance.NotRun(h); !slices.Contains(left, "CutListIsAnError") {
		t.Errorf("without a page only %v are not run", left)
	}
	h.OnePage = true
	if left := conformance.NotRun(h); len(left) > 0 {
		t.Errorf("without pages %v are not run", left)
	}
}
