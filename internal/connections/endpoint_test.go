package connections

import (
	"errors"
	"testing"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/test/support/fake"
)

// moving is a world whose provider's endpoint is its region.
func moving(t *testing.T) (*world, account.Key) {
	t.Helper()
	w := newAccountWorld(t)
	return w, w.add(v1alpha1.KindTokenProvider, w.key.Namespace, "moving", "first", "a")
}

func (w *world) move(key account.Key, region string) {
	w.Helper()
	p := &v1alpha1.TokenProvider{}
	w.OK(w.Get(w.Context(), key.ObjectKey(), p))
	w.Merge(p, func() { p.Spec.AWS.Region = region })
}

func isUnverified(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, account.ErrEndpointUnverified) || provider.InDoubt(err) {
		t.Errorf("%s: got %v, want an error that says that the endpoint is not verified and nothing was sent", what, err)
	}
}

// TestConnectRefusesAnEndpointThatTheStatusDoesNotRecord: the check does not depend on
// conditions or on status.liveCredentials.
func TestConnectRefusesAnEndpointThatTheStatusDoesNotRecord(t *testing.T) {
	w, key := moving(t)
	_, err := w.pool.Connect(t.Context(), key, w.place(key))
	isUnverified(t, "before any check", err)
	if w.backend.Count(fake.Connect) != 0 {
		t.Error("the provider was called")
	}
	w.connected(key)
	w.move(key, "second")
	_, err = w.pool.Connect(t.Context(), key, w.place(key))
	isUnverified(t, "after a change", err)
	if f := w.facts(key, key.Namespace); f.Verified || f.Ready {
		t.Errorf("the facts are %+v", f)
	}
	w.move(key, "first")
	if _, err := w.pool.Connect(t.Context(), key, w.place(key)); err != nil {
		t.Errorf("after changing back: %v", err)
	}
}

// TestAnUnverifiedEndpointIsOnlyRead: the connection for the check sends no write.
func TestAnUnverifiedEndpointIsOnlyRead(t *testing.T) {
	w, key := moving(t)
	c, err := w.pool.Check(t.Context(), key, w.place(key), false)
	w.OK(err)
	if c.Endpoint.URL != "first" || c.Endpoint.Driver != fake.Type {
		t.Errorf("the endpoint is %+v", c.Endpoint)
	}
	_, err = c.Client.Mint(t.Context(), provider.MintRequest{Name: "x"})
	isUnverified(t, "Mint", err)
	isUnverified(t, "Revoke", c.Client.Revoke(t.Context(), provider.Ref{Name: "x"}))
	if _, err := c.Client.Find(t.Context(), provider.Ref{Name: "x"}); err != nil {
		t.Errorf("Find: %v", err)
	}
	if w.backend.Count(fake.Mint)+w.backend.Count(fake.Revoke) != 0 {
		t.Error("a write was sent")
	}
}

// TestMintReadsTheProviderLive: a connection that was made before a change mints nothing,
// although the cache of its process may not show the change yet.
func TestMintReadsTheProviderLive(t *testing.T) {
	w, key := moving(t)
	c := w.connected(key)
	w.move(key, "second")
	_, err := c.Client.Mint(t.Context(), provider.MintRequest{Name: "x"})
	isUnverified(t, "Mint", err)
	w.verify(t.Context(), key) // by another process
	_, err = c.Client.Mint(t.Context(), provider.MintRequest{Name: "x"})
	isUnverified(t, "Mint at the endpoint that was used before", err)
	if w.backend.Count(fake.Mint) != 0 {
		t.Error("a Mint was sent")
	}
	w.move(key, "first")
	w.verify(t.Context(), key)
	if _, err := c.Client.Mint(t.Context(), provider.MintRequest{Name: "x", Owner: provider.Owner{Cluster: "cluster", Namespace: "n", Token: "t"}}); err != nil {
		t.Errorf("after changing back: %v", err)
	}
}
