package orphansweep

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/connections"
	"apitoken.dev/operator/internal/places"
	"apitoken.dev/operator/internal/provider"
)

// TestManyAtOnceAreOnlyReported: more than 5 and more than a tenth at once change no
// ApiToken. A recovery is looked up all the same.
func TestManyAtOnceAreOnlyReported(t *testing.T) {
	w := newWorld(t, Report)
	back := w.inUse("back", func(e *v1alpha1.LedgerEntry) { e.Drift = v1alpha1.DriftMissing })
	var gone []string
	for i := range 6 {
		gone = append(gone, w.inUse(fmt.Sprintf("gone-%d", i)))
		w.backend.Delete(gone[i])
	}
	s, got := w.doubts()
	w.doubted(s, got, back)
	w.doubted(s, got, back)
	told := w.events()
	if !strings.Contains(told, "6 of 7 credentials in use") || !strings.Contains(told, reasonDrifted) || !strings.Contains(told, "and 1 more") {
		t.Errorf("the events are %q", told)
	}
	if n := w.drifted(v1alpha1.DriftMissing); n != 6 {
		t.Errorf("the metric is %v, want 6", n)
	}
	var more []string
	for i := range 54 { // now they are no more than a tenth
		more = append(more, w.inUse(fmt.Sprintf("lives-%d", i)))
	}
	w.doubted(s, got, append(gone, back)...)
	if told := w.events(); told != "" {
		t.Errorf("with %d more the events are %q", len(more), told)
	}
}

// TestCredentialMissingInOneListIsNotDoubted: the next list shows it again.
func TestCredentialMissingInOneListIsNotDoubted(t *testing.T) {
	w := newWorld(t, Report)
	hidden := w.inUse("hidden")
	hiding := &hidingPool{Connector: w.options.Pool}
	w.options.Pool = hiding
	s, got := w.doubts()
	for range 3 {
		hiding.name = hidden
		w.doubted(s, got)
		hiding.name = ""
		w.doubted(s, got)
	}
}

// TestCutListMakesNothingMissing: only complete lists count.
func TestCutListMakesNothingMissing(t *testing.T) {
	w := newWorld(t, Report)
	w.inUse("hidden")
	hiding := &hidingPool{Connector: w.options.Pool, fails: true}
	w.options.Pool = hiding
	s, got := w.doubts()
	for range 3 {
		w.clock.at += time.Minute
		if err := s.Sweep(t.Context()); err == nil {
			t.Error("the list did not fail")
		}
	}
	if found := got(); len(found) > 1 { // its daily time may have come once
		t.Errorf("doubted are %v", found)
	}
}

// TestUnlistedCredentialsAreLookedUpOnceADay: this holds for providers that do not list
// all, and for manual credentials.
func TestUnlistedCredentialsAreLookedUpOnceADay(t *testing.T) {
	for name, newest := range map[string]bool{"the newest only": true, "manual": false} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, Report)
			var all []string
			for i := range 3 {
				all = append(all, w.inUse(fmt.Sprintf("u-%d", i), func(e *v1alpha1.LedgerEntry) { e.ByHand = !newest }))
			}
			drifting := w.inUse("drifts", func(e *v1alpha1.LedgerEntry) { e.ByHand, e.Drift = !newest, v1alpha1.DriftMissing })
			w.options.Pool = &hidingPool{Connector: w.options.Pool, newest: newest}
			s, got := w.doubts()
			for day := range 2 {
				asked := map[string]int{}
				for range 24 {
					w.clock.at += time.Hour
					w.sweep(s)
					for _, name := range got() {
						asked[name]++
					}
				}
				for _, name := range all {
					if asked[name] != 1 {
						t.Errorf("day %d: %s was looked up %d times", day, name, asked[name])
					}
				}
				if asked[drifting] != 24 {
					t.Errorf("day %d: the one that drifts was looked up %d times", day, asked[drifting])
				}
			}
		})
	}
}

// TestLookupsStopWhenManyDrift: at a provider that does not list all, no other credential
// is looked up.
func TestLookupsStopWhenManyDrift(t *testing.T) {
	w := newWorld(t, Report)
	for i := range 6 {
		w.inUse(fmt.Sprintf("drifts-%d", i), func(e *v1alpha1.LedgerEntry) { e.Drift = v1alpha1.DriftMissing })
	}
	lives := w.inUse("lives")
	w.options.Pool = &hidingPool{Connector: w.options.Pool, newest: true}
	s, got := w.doubts()
	for range 24 {
		w.clock.at += time.Hour
		w.sweep(s)
		if slices.Contains(got(), lives) {
			t.Fatal("another credential is looked up")
		}
	}
}

// hidingPool is a Connector to a provider whose list hides a credential.
type hidingPool struct {
	Connector
	// name is the credential that List hides. With fails, List ends with an error.
	name  string
	fails bool
	// newest: the provider lists its newest credentials only.
	newest bool
}

func (p *hidingPool) Connect(ctx context.Context, key account.Key, place *places.Place) (connections.Connection, error) {
	c, err := p.Connector.Connect(ctx, key, place)
	if c.Client = (hidingClient{c.Client, p}); p.newest {
		c.Capabilities.Listed = 1
	}
	return c, err
}

type hidingClient struct {
	provider.Client
	p *hidingPool
}

func (c hidingClient) List(ctx context.Context, owner provider.Owner) iter.Seq2[provider.Credential, error] {
	return func(yield func(provider.Credential, error) bool) {
		if c.p.fails {
			yield(provider.Credential{}, &provider.Error{Code: provider.CodeUnavailable, Message: "down"})
			return
		}
		for one, err := range c.Client.List(ctx, owner) {
			if err == nil && one.Name == c.p.name {
				continue
			}
			if !yield(one, err) {
				return
			}
		}
	}
}
