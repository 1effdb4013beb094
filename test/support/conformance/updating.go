package conformance

import (
	"testing"

	"apitoken.dev/operator/internal/provider"
)

var updating = []Requirement{
	{
		Name: "UpdateKeepsTheCredential", Test: updateKeeps,
		Sentence: "Where Capabilities.Updates lists fields, the client MUST be an Updater, and Update MUST keep name, ID and secret, and return what Find shows afterwards, with an expiry not later than asked.",
		Applies:  updates,
		Needs:    func(h Harness) bool { return h.Changed != nil },
	},
	{
		Name: "IgnoredUpdateIsAnError", Test: ignoredUpdate,
		Sentence: "An Update that the provider accepted but did not carry out MUST return an error, and a second Update MUST work.",
		Applies:  updates,
		Needs:    func(h Harness) bool { return h.Changed != nil && h.IgnoreUpdates != nil },
	},
}

func updates(h Harness) bool { return byAPI(h) && len(h.Driver.Capabilities().Updates) > 0 }

// update changes a credential to the grant that Changed returns.
func (w *world) update(c provider.Credential, req provider.MintRequest) (provider.Credential, error) {
	w.t.Helper()
	updater, ok := provider.As[provider.Updater](w.client)
	if !ok {
		w.t.Fatal("the client is not a provider.Updater")
	}
	req.Grant = w.h.Changed()
	return updater.Update(w.ctx, provider.Ref{Name: c.Name, ID: c.ID}, req)
}

func updateKeeps(t *testing.T, h Harness) {
	w := open(t, h)
	req := w.request(w.owner("first"))
	minted := w.mint(req)
	for _, which := range []string{"first", "second"} { // the second one changes nothing
		got, err := w.update(minted.Credential, req)
		if err != nil {
			t.Fatalf("%s Update: %v", which, err)
		}
		w.checkUpdated(minted, got)
	}
}

func (w *world) checkUpdated(minted provider.Minted, got provider.Credential) {
	w.t.Helper()
	if got.Name != minted.Credential.Name || got.ID != minted.Credential.ID || got.State != provider.Live {
		w.t.Errorf("Update returned %+v, want name %s, ID %s, live", got, minted.Credential.Name, minted.Credential.ID)
	}
	if end := w.h.Changed().ExpiresAt; got.ExpiresAt.After(end) {
		w.t.Errorf("after Update it ends at %s, later than the %s asked for", got.ExpiresAt, end)
	}
	found := w.find(minted.Credential.Name)
	if len(found) != 1 || found[0].ID != got.ID || found[0].State != got.State || !found[0].ExpiresAt.Equal(got.ExpiresAt) {
		w.t.Errorf("Find shows %+v, but Update returned %+v", found, got)
	}
	w.wantAlive(minted, true)
}

func ignoredUpdate(t *testing.T, h Harness) {
	w := open(t, h)
	req := w.request(w.owner("first"))
	minted := w.mint(req)
	restore := h.IgnoreUpdates()
	_, err := w.update(minted.Credential, req)
	restore()
	if err == nil {
		t.Error("an Update that changed nothing returned nil")
	}
	checkMessage(t, h, err)
	w.wantAlive(minted, true)
	got, err := w.update(minted.Credential, req)
	if err != nil {
		t.Fatalf("another Update: %v", err)
	}
	w.checkUpdated(minted, got)
}
