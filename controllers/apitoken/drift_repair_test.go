package apitoken_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/operator"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/registry"
	"apitoken.dev/operator/test/support/fake"
)

// newUnlistingWorld returns a world whose provider lists its newest credentials only.
func newUnlistingWorld(t *testing.T) *world {
	t.Helper()
	w := newEmptyWorld(t)
	w.driver.Caps.Listed = 1000
	w.createMinter()
	w.createProvider()
	return w
}

// The status of a backup says Missing. The operator calls Find first, which returns the credential.
func TestRestoredDriftRepairsNothing(t *testing.T) {
	t.Parallel()
	w := newSweepingWorld(t)
	name := activeOf(w.issue("training", longLived)).Name
	w.declareRepair()
	w.editStatus(func(s *v1alpha1.ApiTokenStatus) { s.Credentials[0].Drift = v1alpha1.DriftMissing })
	w.Until(func() string {
		if e := activeOf(w.token("training")); e == nil || e.Drift != "" {
			return "the drift stays"
		}
		return ""
	})
	if token := w.waitReady("training"); activeOf(token).Name != name || len(w.minted()) != 1 {
		t.Errorf("issued %v, in use %s", w.minted(), activeOf(token).Name)
	}
	w.expectEvent("CredentialRecovered", "as it was issued")
}

// If lists are incomplete, one response without the credential does not make it Missing.
func TestFindThatShowsNothingOnceChangesNothing(t *testing.T) {
	t.Parallel()
	w := newUnlistingWorld(t)
	d := &forgetful{Driver: w.driver}
	drivers, err := registry.New(registry.Entry{Driver: d, Settings: func(s registry.Spec) (any, bool) { return nil, s.AWS != nil }})
	w.OK(err)
	w.startSweeping(func(o *operator.Options) { o.Registry = drivers })
	w.declareRepair()
	w.issue("training", longLived)
	d.armed.Store(true)
	finds := w.backend.Count(fake.Find)
	w.advanceHoursUntil(func() string { // Find omits the credential every other time
		if w.backend.Count(fake.Find) < finds+3 {
			return "the provider was not asked three times"
		}
		return ""
	})
	token := w.waitIdle("training")
	if activeOf(token).Drift != "" || !meta.IsStatusConditionTrue(token.Status.Conditions, v1alpha1.ConditionReady) || len(w.minted()) != 1 {
		t.Errorf("status %+v, issued %v", token.Status, w.minted())
	}
	if d.hidden.Load() == 0 {
		t.Error("nothing was hidden")
	}
}

// forgetful is a driver whose Find returns nothing every other time, once armed.
type forgetful struct {
	*fake.Driver
	armed         atomic.Bool
	asked, hidden atomic.Int64
}

func (d *forgetful) Connect(ctx context.Context, cfg provider.Config) (provider.Client, provider.Account, error) {
	c, account, err := d.Driver.Connect(ctx, cfg)
	return forgetfulClient{c, d}, account, err
}

type forgetfulClient struct {
	provider.Client
	d *forgetful
}

func (c forgetfulClient) Find(ctx context.Context, ref provider.Ref) ([]provider.Credential, error) {
	found, err := c.Client.Find(ctx, ref)
	if err == nil && c.d.armed.Load() && c.d.asked.Add(1)%2 == 1 {
		c.d.hidden.Add(1)
		return nil, nil
	}
	return found, err
}

// Find returns nothing for all credentials. Only five of them drift, although each is checked
// separately.
func TestSingleChecksStopAtTheDriftLimit(t *testing.T) {
	t.Parallel()
	w := newUnlistingWorld(t)
	w.startSweeping()
	var names []string
	for i := range 8 {
		names = append(names, fmt.Sprintf("t-%d", i))
		w.backend.Delete(activeOf(w.issue(names[i], longLived)).Name)
	}
	w.advanceHoursUntil(func() string {
		var events eventsv1.EventList
		w.OK(w.List(w.Context(), &events, client.InNamespace(w.ns)))
		for i := range events.Items {
			if strings.Contains(events.Items[i].Note, "looks like a mistake") {
				return ""
			}
		}
		return "no event says that it looks like a mistake"
	})
	drifting := 0
	for _, name := range names {
		if activeOf(w.waitIdle(name)).Drift != "" {
			drifting++
		}
	}
	if drifting != 5 || len(w.minted()) != len(names) {
		t.Errorf("%d credentials drift, and %d were issued", drifting, len(w.minted()))
	}
}
