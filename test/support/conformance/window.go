package conformance

import (
	"testing"

	"apitoken.dev/operator/internal/provider"
)

var window = []Requirement{
	{
		Name: "UnlistedIsNotNothing", Test: unlistedFind,
		Sentence: "Where the provider lists only its newest credentials, Find of a name that may no longer be listed MUST return it or an error that is in doubt, never nothing.",
		Applies:  windowed,
		Needs:    crowds,
	},
	{
		Name: "UnlistedIsFoundByID", Test: unlistedByID,
		Sentence: "Find MUST return a credential that is no longer listed when its ID is given, and once it was revoked only what has Ended, without an error.",
		Applies:  windowed,
		Needs:    crowds,
	},
	{
		Name: "NewNameIsNotUnlisted", Test: sinceProves,
		Sentence: "Find MUST return nothing, and no error, for an unlisted name that was reserved after the oldest listed credential was made.",
		Applies:  windowed,
		Needs:    crowds,
	},
	{
		Name: "UnlistedIsNotRevoked", Test: unlistedRevoke,
		Sentence: "Revoke by the name alone of a credential that may no longer be listed MUST end it or return an error, and Revoke with its ID MUST work.",
		Applies:  windowed,
		Needs:    crowds,
	},
}

func windowed(h Harness) bool { return byAPI(h) && h.Driver.Capabilities().Listed > 0 }

func crowds(h Harness) bool { return h.Crowd != nil }

// unlisted mints a credential, then makes enough others that it is no longer listed.
// The others are removed before the credential is revoked.
func (w *world) unlisted() provider.Minted {
	w.t.Helper()
	minted := w.mint(w.request(w.owner("first")))
	w.t.Cleanup(w.h.Crowd(w.h.Driver.Capabilities().Listed))
	return minted
}

func unlistedFind(t *testing.T, h Harness) {
	w := open(t, h)
	minted := w.unlisted().Credential
	found, err := w.client.Find(w.ctx, provider.Ref{Name: minted.Name})
	switch {
	case err != nil && !provider.InDoubt(err):
		t.Errorf("Find of a name that fell out: error %v is not in doubt", err)
	case err == nil && len(live(found)) != 1:
		t.Errorf("Find of a name that fell out: got %+v and no error", found)
	}
	checkMessage(t, h, err)
}

func unlistedByID(t *testing.T, h Harness) {
	w := open(t, h)
	minted := w.unlisted().Credential
	ref := provider.Ref{Name: minted.Name, ID: minted.ID}
	found, err := w.client.Find(w.ctx, ref)
	if err != nil || len(found) != 1 || found[0].ID != minted.ID || found[0].Name != minted.Name || found[0].State != provider.Live {
		t.Errorf("Find with the ID: got %+v and error %v, want %s", found, err, minted.ID)
	}
	w.revoke(ref)
	if found, err := w.client.Find(w.ctx, ref); err != nil || len(provider.Occupying(found)) != 0 {
		t.Errorf("Find with the ID of what was revoked: got %+v and error %v", found, err)
	}
}

func sinceProves(t *testing.T, h Harness) {
	w := open(t, h)
	w.unlisted()
	req := w.request(w.owner("first"))
	// The grant ends after every listed credential was made.
	found, err := w.client.Find(w.ctx, provider.Ref{Name: req.Name, Since: req.Grant.ExpiresAt})
	if err != nil || len(found) != 0 {
		t.Errorf("Find of a name that is newer than what is listed: got %+v and error %v", found, err)
	}
}

func unlistedRevoke(t *testing.T, h Harness) {
	w := open(t, h)
	minted := w.unlisted()
	ref := provider.Ref{Name: minted.Credential.Name, ID: minted.Credential.ID}
	err := w.client.Revoke(w.ctx, provider.Ref{Name: ref.Name})
	checkMessage(t, h, err)
	found, findErr := w.client.Find(w.ctx, ref)
	if findErr != nil {
		t.Fatalf("Find with the ID: %v", findErr)
	}
	if err == nil && len(provider.Occupying(found)) != 0 {
		t.Errorf("Revoke by name returned nil and left %+v", found)
	}
	w.revoke(ref)
	w.wantAlive(minted, false)
}
