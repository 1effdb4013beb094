package apitoken_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/operator"
	"apitoken.dev/operator/test/support/fake"
)

// blocking blocks every call of a verb until release is closed.
func blocking(verb fake.Verb, release <-chan struct{}) func(context.Context, fake.Call) fake.Fault {
	return func(ctx context.Context, call fake.Call) fake.Fault {
		if call.Verb == verb && call.Phase == fake.Before {
			select {
			case <-release:
			case <-ctx.Done():
			}
		}
		return fake.Fault{}
	}
}

// newPlacesWorld returns a world with more workers than places.
func newPlacesWorld(t *testing.T) *world {
	t.Helper()
	w := newEmptyWorld(t)
	w.createMinter()
	w.createProvider()
	w.start(func(o *operator.Options) { o.Concurrency = 16 })
	return w
}

// Without a place at the provider, an ApiToken gets only its finalizer, however often it is reconciled.
// A credential is issued once there is a place.
func TestNothingIsReservedWithoutAPlace(t *testing.T) {
	t.Parallel()
	w := newPlacesWorld(t)
	release := make(chan struct{})
	w.hook(blocking(fake.Mint, release))
	names := make([]string, operator.DefaultProviderPlaces+1)
	for n := range names {
		names[n] = fmt.Sprintf("t%d", n)
		w.declare(names[n])
	}
	last := ""
	w.Until(func() string {
		if n := w.backend.Count(fake.Mint); n != operator.DefaultProviderPlaces {
			return fmt.Sprintf("%d mints are in progress", n)
		}
		for _, name := range names {
			if token := w.token(name); len(token.Status.Credentials) == 0 && len(token.Finalizers) > 0 {
				last = name
				return ""
			}
		}
		return "none waits"
	})
	if token := w.waitIdle(last); len(token.Status.Credentials) != 0 {
		t.Errorf("it has reserved %+v", token.Status.Credentials)
	}
	w.expectMints(operator.DefaultProviderPlaces)
	close(release)
	for _, name := range names {
		w.waitReady(name)
	}
	w.expectMints(len(names))
}

// While new credentials are not usable yet, other ApiTokens use the places. A namespace can have twice
// as many attempts as places.
func TestWaitForUsableReleasesThePlace(t *testing.T) {
	t.Parallel()
	w := newEmptyWorld(t)
	w.driver.UsableAfter = 10 * time.Second
	w.createMinter()
	w.createProvider()
	w.start(func(o *operator.Options) { o.Concurrency, o.NamespacePlaces = 40, 4 })
	const most = 2 * 4
	for n := range most + 2 {
		w.declare(fmt.Sprintf("t%d", n))
	}
	w.Until(func() string {
		if n := w.backend.Count(fake.Mint); n != most {
			return fmt.Sprintf("%d mints, want %d", n, most)
		}
		return ""
	})
	waiting := 0
	for n := range most + 2 {
		name := fmt.Sprintf("t%d", n)
		if len(w.token(name).Status.Credentials) > 0 {
			continue // its reconcile is in progress
		}
		if len(w.waitIdle(name).Status.Credentials) == 0 {
			waiting++
		}
	}
	if waiting != 2 {
		t.Errorf("%d wait and have reserved nothing, want 2", waiting)
	}
	w.expectMints(most)
	w.Until(func() string { // each attempt must sleep before the clock moves
		w.clock.Advance(10 * time.Second)
		for n := range most + 2 {
			if token := w.token(fmt.Sprintf("t%d", n)); activeOf(token) == nil || activeOf(token).State != v1alpha1.StateActive {
				return token.Name + " is not issued"
			}
		}
		return ""
	})
}
