package apitoken_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/test/support/fake"
)

// newProbingWorld returns a world whose driver probes new credentials.
func newProbingWorld(t *testing.T) *world {
	t.Helper()
	w := newEmptyWorld(t)
	w.driver.Caps.TriesNew = true
	w.createMinter()
	w.createProvider()
	w.start()
	return w
}

// rejectProbes makes the data plane reject every credential while it returns true.
func (w *world) rejectProbes() *atomic.Bool {
	var refuses atomic.Bool
	w.hook(func(_ context.Context, c fake.Call) fake.Fault {
		if c.Verb == fake.Accepts && c.Phase == fake.Before && refuses.Load() {
			return fake.Fault{Kind: fake.Reject, Code: provider.CodeUnavailable}
		}
		return fake.Fault{}
	})
	return &refuses
}

// The probe uses the new credential itself.
func TestNewCredentialIsProbedBeforePublish(t *testing.T) {
	t.Parallel()
	w := newProbingWorld(t)
	w.hook(func(ctx context.Context, c fake.Call) fake.Fault {
		key := client.ObjectKey{Namespace: w.ns, Name: "training"}
		if c.Verb == fake.Accepts && w.Get(ctx, key, &corev1.Secret{}) == nil {
			t.Error("it was published before it was tried")
		}
		return fake.Fault{}
	})
	w.declare("training")
	w.waitReady("training")
	if n := w.backend.Count(fake.Accepts); n != 1 {
		t.Errorf("it was tried %d times", n)
	}
	w.expectMints(1)
}

// An unavailable data plane does not cause new credentials.
func TestUnansweredProbeDoesNotRejectTheCredential(t *testing.T) {
	t.Parallel()
	w := newProbingWorld(t)
	w.rejectProbes().Store(true)
	w.declare("training")
	w.waitReady("training")
	w.expectMints(1)
}

// waitRejectedRevoked advances the clock until a rejected credential is revoked. The Secret must keep
// the working credential.
func (w *world) waitRejectedRevoked(works string) {
	w.Helper()
	w.Until(func() string {
		w.clock.Advance(5 * time.Second)
		if w.backend.Count(fake.Revoke) == 0 {
			return "the rejected credential is not revoked"
		}
		return ""
	})
	if got := w.usableCredential("training"); got != works {
		w.Errorf("the Secret has %s, want %s", got, works)
	}
}

// The rejected credential is revoked, and the working one stays.
func TestRejectedNewCredentialIsNotPublished(t *testing.T) {
	t.Parallel()
	w := newProbingWorld(t)
	w.declare("training")
	first := activeOf(w.waitReady("training")).Name
	w.waitIdle("training")
	w.hook(func(_ context.Context, c fake.Call) fake.Fault {
		if c.Verb == fake.Mint && c.Phase == fake.After {
			w.backend.Deny(c.Name) // the data plane rejects it
		}
		return fake.Fault{}
	})
	w.edit("training", func(t *v1alpha1.ApiToken) { t.Spec.Rotation.Generation++ })
	w.Until(func() string {
		w.clock.Advance(5 * time.Second)
		if w.backend.Count(fake.Accepts) < 5 {
			return "the new credential is not tried"
		}
		return ""
	})
	w.waitRejectedRevoked(first)
}

// A credential that was rejected once is published only after an accepted probe. A probe without an
// answer does not suffice.
func TestRejectedProbeIsNotUndoneByAFailedOne(t *testing.T) {
	t.Parallel()
	w := newProbingWorld(t)
	w.declare("training")
	first := activeOf(w.waitReady("training")).Name
	w.waitIdle("training")
	var answers atomic.Bool // for the first probe of each credential
	w.hook(func(_ context.Context, c fake.Call) fake.Fault {
		switch {
		case c.Verb == fake.Mint && c.Phase == fake.After:
			w.backend.Deny(c.Name)
			answers.Store(true)
		case c.Verb == fake.Accepts && c.Phase == fake.Before && !answers.Swap(false):
			return fake.Fault{Kind: fake.Reject, Code: provider.CodeUnavailable}
		}
		return fake.Fault{}
	})
	w.edit("training", func(t *v1alpha1.ApiToken) { t.Spec.Rotation.Generation++ })
	w.waitRejectedRevoked(first)
}
