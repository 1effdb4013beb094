package fake_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/test/support/fake"
)

var owner = provider.Owner{Cluster: "cccccccc", Namespace: "ns", Token: "token"}

// name of every request.
const name = "n"

func request() provider.MintRequest {
	return provider.MintRequest{Name: name, Owner: owner, Grant: provider.Grant{
		Scopes: []string{"objectstorage:object-read-only"}, ExpiresAt: start.Add(time.Hour),
	}}
}

func connect(t *testing.T, d *fake.Driver) provider.Client {
	t.Helper()
	client, _, err := d.Connect(t.Context(), provider.Config{UserAgent: "first"})
	if err != nil {
		t.Fatalf("Connect: %v", err)
	}
	return client
}

func TestMintFaultsHaveTheirEffect(t *testing.T) {
	cases := map[string]struct {
		reason string
		fault  fake.Fault
		live   bool // right after the call
		landed bool // after Land
		doubt  bool
		fails  bool
	}{
		"none":        {reason: "the zero fault lets a call through", live: true, landed: true},
		"reject":      {reason: "an explicit rejection has no effect, ever", fault: fake.Fault{Kind: fake.Reject}, fails: true},
		"rate limit":  {reason: "too many requests is an explicit rejection", fault: fake.Fault{Kind: fake.RateLimit}, fails: true},
		"in doubt":    {reason: "an error before the effect", fault: fake.Fault{Kind: fake.InDoubt}, fails: true, doubt: true},
		"lost answer": {reason: "the effect is there although the caller got an error", fault: fake.Fault{Kind: fake.LoseAnswer}, live: true, landed: true, fails: true, doubt: true},
		"land late":   {reason: "the effect comes after the caller gave up", fault: fake.Fault{Kind: fake.LandLate}, landed: true, fails: true, doubt: true},
		"partial":     {reason: "remains give no access", fault: fake.Fault{Kind: fake.Partial}, fails: true, doubt: true},
		"hide":        {reason: "a hidden credential works", fault: fake.Fault{Kind: fake.Hide}, live: true, landed: true},
	}
	for title, tc := range cases {
		t.Run(title, func(t *testing.T) {
			b := fake.NewBackend(&frozen{now: start})
			b.Script(fake.Mint, tc.fault)
			_, err := connect(t, fake.New(b)).Mint(t.Context(), request())
			if (err != nil) != tc.fails || provider.InDoubt(err) != tc.doubt {
				t.Errorf("%s: got error %v (in doubt %t)", tc.reason, err, provider.InDoubt(err))
			}
			if got := b.Live(name); got != tc.live {
				t.Errorf("%s: live right after: got %t, want %t", tc.reason, got, tc.live)
			}
			if got := len(b.InFlight()) > 0; got != (tc.fault.Kind == fake.LandLate) {
				t.Errorf("%s: in flight: got %t", tc.reason, got)
			}
			b.Land()
			if got := b.Live(name); got != tc.landed {
				t.Errorf("%s: live after Land: got %t, want %t", tc.reason, got, tc.landed)
			}
			if got := b.MintCount(name); got != 1 {
				t.Errorf("MintCount: got %d, want 1", got)
			}
		})
	}
}

func TestLateRequestLandsAfterItsCallerGaveUp(t *testing.T) {
	clock := &frozen{now: start}
	b := fake.NewBackend(clock)
	client := connect(t, fake.New(b))
	b.Script(fake.Mint, fake.Fault{Kind: fake.LandLate, At: start.Add(time.Minute), Wait: true})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { _, err := client.Mint(ctx, request()); ended <- err }()
	cancel()
	if err := <-ended; !provider.InDoubt(err) {
		t.Errorf("Mint: %v is not in doubt", err)
	}
	if err := client.Revoke(t.Context(), provider.Ref{Name: name}); err != nil {
		t.Errorf("Revoke: %v", err)
	}
	if b.Live(name) {
		t.Error("live before its time")
	}
	clock.now = start.Add(time.Minute)
	if !b.Live(name) {
		t.Error("not live although its time has come: a revoke before that cannot have ended it")
	}
}

func TestHiddenCredentialIsFoundAfterReveal(t *testing.T) {
	b := fake.NewBackend(&frozen{now: start})
	client := connect(t, fake.New(b))
	b.Script(fake.Mint, fake.Fault{Kind: fake.Hide})
	if _, err := client.Mint(t.Context(), request()); err != nil {
		t.Fatal(err)
	}
	if found, err := client.Find(t.Context(), provider.Ref{Name: name}); err != nil || len(found) != 0 {
		t.Errorf("Find shows a hidden credential: %v, %v", found, err)
	}
	b.Reveal()
	if found, err := client.Find(t.Context(), provider.Ref{Name: name}); err != nil || len(found) != 1 {
		t.Errorf("Find after Reveal: %v, %v, want one", found, err)
	}
}

func TestAnotherAccountIsEmpty(t *testing.T) {
	b := fake.NewBackend(&frozen{now: start})
	driver := fake.New(b)
	if _, err := connect(t, driver).Mint(t.Context(), request()); err != nil {
		t.Fatal(err)
	}
	b.UseAccount("another")
	client, account, err := driver.Connect(t.Context(), provider.Config{})
	if err != nil || account.ID != "another" {
		t.Fatalf("Connect: account %q, error %v", account.ID, err)
	}
	if found, err := client.Find(t.Context(), provider.Ref{Name: name}); err != nil || len(found) != 0 {
		t.Errorf("another account shows %v, %v", found, err)
	}
	if err := client.Revoke(t.Context(), provider.Ref{Name: name}); err != nil {
		t.Errorf("Revoke: %v", err)
	}
	if !b.Live(name) {
		t.Error("another account ended the credential")
	}
}

func TestSameNameTwiceIsTwoCredentials(t *testing.T) {
	b := fake.NewBackend(&frozen{now: start})
	client := connect(t, fake.New(b))
	for range 2 {
		if _, err := client.Mint(t.Context(), request()); err != nil {
			t.Fatal(err)
		}
	}
	if got := b.MintCount(name); got != 2 {
		t.Errorf("MintCount: got %d, want 2", got)
	}
	if diff := cmp.Diff([]string{name, name}, b.LiveOf(owner)); diff != "" {
		t.Errorf("LiveOf (-want +got):\n%s", diff)
	}
}

func TestExpiryEndsACredential(t *testing.T) {
	clock := &frozen{now: start}
	b := fake.NewBackend(clock)
	if _, err := connect(t, fake.New(b)).Mint(t.Context(), request()); err != nil {
		t.Fatal(err)
	}
	clock.now = start.Add(time.Hour)
	if b.Live(name) {
		t.Error("live at its expiry")
	}
}

func TestOnCallSeesBothPhases(t *testing.T) {
	b := fake.NewBackend(&frozen{now: start})
	var seen []fake.Call
	b.OnCall = func(_ context.Context, call fake.Call) fake.Fault {
		seen = append(seen, call)
		if call.Verb == fake.Mint && call.Phase == fake.After {
			return fake.Fault{Kind: fake.LoseAnswer}
		}
		return fake.Fault{}
	}
	_, err := connect(t, fake.New(b)).Mint(t.Context(), request())
	if !provider.InDoubt(err) || !b.Live(name) {
		t.Errorf("a fault after the effect: error %v, live %t", err, b.Live(name))
	}
	call := func(verb fake.Verb, phase fake.Phase, name string, of provider.Owner) fake.Call {
		return fake.Call{Verb: verb, Phase: phase, Name: name, Owner: of, Client: "first", Account: fake.DefaultAccount}
	}
	want := []fake.Call{
		call(fake.Connect, fake.Before, "", provider.Owner{}), call(fake.Connect, fake.After, "", provider.Owner{}),
		call(fake.Mint, fake.Before, name, owner), call(fake.Mint, fake.After, name, owner),
	}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Errorf("OnCall (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, b.Calls()); diff != "" {
		t.Errorf("Calls (-want +got):\n%s", diff)
	}
}

// The explorer ends a process inside a call with a panic, and the backend continues.
func TestPanicBeforeTheEffectPreventsIt(t *testing.T) {
	for _, phase := range []fake.Phase{fake.Before, fake.After} {
		b := fake.NewBackend(&frozen{now: start})
		client := connect(t, fake.New(b))
		b.OnCall = func(_ context.Context, call fake.Call) fake.Fault {
			if call.Phase == phase {
				panic("the process dies")
			}
			return fake.Fault{}
		}
		func() {
			defer func() { _ = recover() }()
			_, _ = client.Mint(t.Context(), request())
		}()
		if got, want := b.Live(name), phase == fake.After; got != want {
			t.Errorf("died %s the effect: live %t, want %t", phase, got, want)
		}
	}
}
