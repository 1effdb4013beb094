package fake_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/conformance"
	"apitoken.dev/operator/internal/provider/fake"
)

// frozen is a clock that stands still.
type frozen struct{ now time.Time }

func (c *frozen) Now() time.Time                                   { return c.now }
func (c *frozen) Monotonic() time.Duration                         { return 0 }
func (c *frozen) Sleep(ctx context.Context, _ time.Duration) error { return ctx.Err() }

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

func harness() conformance.Harness {
	backend := fake.NewBackend(&frozen{now: start})
	backend.Token = "CANARY-minting-credential"
	faults := &switchboard{}
	backend.OnCall = faults.onCall
	driver := fake.New(backend)
	driver.Caps.Scopes = []string{"objectstorage:object-read-only"}
	driver.Caps.MaxLifetime = 48 * time.Hour
	token := func(s string) map[string]provider.Value {
		return map[string]provider.Value{fake.TokenKey: provider.NewValue(s)}
	}
	return conformance.Harness{
		Driver:     driver,
		Config:     provider.Config{Credentials: token(backend.Token)},
		Wrong:      token("CANARY-not-the-token"),
		SecretKeys: []string{fake.KeyID, fake.KeySecret},
		Grant: func() provider.Grant {
			return provider.Grant{
				Scopes: driver.Caps.Scopes, Buckets: []string{"datasets"}, ExpiresAt: start.Add(time.Hour),
			}
		},
		Alive: func(_ context.Context, m provider.Minted) (bool, error) {
			return backend.Accepts(m.Secret[fake.KeyID].Reveal(), m.Secret[fake.KeySecret].Reveal()), nil
		},
		Refused: map[string]conformance.Refused{
			"unknown scope": {
				Change: func(r *provider.MintRequest) { r.Grant.Scopes = []string{"billing:read-only"} },
				Reason: provider.RefusedScope, Field: "spec.scopes[0]",
			},
			"too long": {
				Change: func(r *provider.MintRequest) { r.Grant.ExpiresAt = start.Add(49 * time.Hour) },
				Reason: provider.RefusedLifetime, Field: "spec.expiresIn",
			},
		},
		Faults: conformance.Faults{
			LoseAnswers: faults.steps(fake.LoseAnswer),
			Reject:      faults.always(fake.Fault{Kind: fake.Reject}),
			RateLimit:   faults.always(fake.Fault{Kind: fake.RateLimit, RetryAfter: time.Second}),
			Interrupt:   faults.steps(fake.InDoubt, fake.Partial),
			Hang:        faults.hang,
		},
	}
}

func TestConformance(t *testing.T) { conformance.Run(t, harness()) }
