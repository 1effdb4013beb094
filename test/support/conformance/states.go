package conformance

import (
	"slices"
	"testing"

	"apitoken.dev/operator/internal/provider"
)

// States produces the states of a credential at a provider, or explains why the
// provider lacks them. A Harness sets one of both for each state.
type States struct {
	// Disable switches the credentials of a name off, as another client would. Enable
	// switches them on again, and does nothing if there are no such credentials.
	Disable, Enable func(name string)
	// DisableID switches off a manual credential.
	DisableID func(id string)
	// NeverDisabled explains why no credential of the provider is Disabled.
	NeverDisabled string
	// End ends the credentials of a name permanently, as another client would, in such a
	// way that the provider continues to show them.
	End func(name string)
	// NeverEnded explains why the provider shows no credential that has Ended.
	NeverEnded string
}

var states = []Requirement{
	{
		Name: "NewIsLive", Test: newIsLive,
		Sentence: "Mint MUST return a credential that is Live, and Find and List MUST show it as Live.",
		Applies:  byAPI,
	},
	{
		Name: "DisabledIsShown", Test: disabledIsShown,
		Sentence: "Find and List MUST show a credential that another client switched off as Disabled, and as Live once it is switched on again.",
		Applies:  disables,
		Needs:    switches,
	},
	{
		Name: "DisabledIsRevoked", Test: disabledIsRevoked,
		Sentence: "Revoke MUST end a credential that is Disabled: it MUST NOT come back, and nothing MUST be found under its name but what has Ended.",
		Applies:  disables,
		Needs:    switches,
	},
	{
		Name: "DisabledTakesItsSlot", Test: disabledTakesItsSlot,
		Sentence: "Where Capabilities.MaxLive is set, Occupied MUST return a credential that is Disabled.",
		Applies:  func(h Harness) bool { return disables(h) && limited(h) },
		Needs:    switches,
	},
	{
		Name: "EndedIsNotListed", Test: endedIsNotListed,
		Sentence: "A credential that has Ended MUST NOT be listed. Find MUST return nothing for it, or show it as Ended, by its name and with its ID.",
		Applies:  ends,
		Needs:    ending,
	},
	{
		Name: "EndedIsRevoked", Test: endedIsRevoked,
		Sentence: "Revoke MUST return nil for a credential that has Ended, by its name and with its ID.",
		Applies:  ends,
		Needs:    ending,
	},
	{
		Name: "EndedTakesNoSlot", Test: endedTakesNoSlot,
		Sentence: "Where Capabilities.MaxLive is set, Occupied MUST NOT return what has Ended, and a Mint MUST work in its place.",
		Applies:  func(h Harness) bool { return ends(h) && limited(h) },
		Needs:    ending,
	},
	{
		Name: "SwitchedOffIsNotDeleted", Test: switchedOffIsNotDeleted,
		Sentence: "Accepts MUST return an error, not false, for a credential that a user switched off: it can come back, so it was not deleted.",
		Applies:  func(h Harness) bool { return manual(h) && h.States.NeverDisabled == "" },
		Needs:    func(h Harness) bool { return handsOver(h) && h.States.DisableID != nil },
	},
}

// disables and ends report whether a provider has credentials in that state. If it
// does, the Harness must produce one.
func disables(h Harness) bool { return byAPI(h) && h.States.NeverDisabled == "" }
func ends(h Harness) bool     { return byAPI(h) && h.States.NeverEnded == "" }

func switches(h Harness) bool { return h.States.Disable != nil && h.States.Enable != nil }
func ending(h Harness) bool   { return h.States.End != nil }

// openRaw connects without the operator's wrapper, which leaves out credentials that
// have Ended.
func openRaw(t *testing.T, h Harness) *world {
	t.Helper()
	return openWith(t, h, h.Driver)
}

// checkStates fails if the provider shows a state that it lacks according to the
// Harness.
func (w *world) checkStates(shown []provider.Credential) {
	w.t.Helper()
	for state, never := range map[provider.State]string{provider.Disabled: w.h.States.NeverDisabled, provider.Ended: w.h.States.NeverEnded} {
		is := func(c provider.Credential) bool { return c.State == state }
		if never != "" && slices.ContainsFunc(shown, is) {
			w.t.Errorf("%+v: one is %s, but but the harness rules that state out: %s", shown, state, never)
		}
	}
}

// wantShown fails unless Find and List show exactly one credential of a name, in a
// state.
func (w *world) wantShown(c provider.Credential, state provider.State) {
	w.t.Helper()
	for how, got := range map[string][]provider.Credential{"Find": w.find(c.Name), "List": w.list(w.owner("first"))} {
		if len(got) != 1 || got[0].Name != c.Name || got[0].State != state {
			w.t.Errorf("%s shows %+v, want only %s, %s", how, got, c.Name, state)
		}
	}
}

func newIsLive(t *testing.T, h Harness) {
	w := openRaw(t, h)
	minted := w.mint(w.request(w.owner("first"))).Credential
	if minted.State != provider.Live {
		t.Errorf("Mint returned a credential that is %q, want %s", minted.State, provider.Live)
	}
	w.wantShown(minted, provider.Live)
}

func disabledIsShown(t *testing.T, h Harness) {
	w := openRaw(t, h)
	minted := w.mint(w.request(w.owner("first")))
	h.States.Disable(minted.Credential.Name)
	w.wantShown(minted.Credential, provider.Disabled)
	w.wantAlive(minted, false)
	h.States.Enable(minted.Credential.Name)
	w.wantShown(minted.Credential, provider.Live)
	w.wantAlive(minted, true)
}

func disabledIsRevoked(t *testing.T, h Harness) {
	w := openRaw(t, h)
	minted := w.mint(w.request(w.owner("first")))
	h.States.Disable(minted.Credential.Name)
	w.revoke(provider.Ref{Name: minted.Credential.Name})
	h.States.Enable(minted.Credential.Name)
	if left := w.left(minted.Credential.Name); len(left) != 0 {
		t.Errorf("found %+v after it was revoked", left)
	}
	w.wantAlive(minted, false)
}

func (w *world) occupies(c provider.Credential) bool {
	w.t.Helper()
	return slices.ContainsFunc(w.occupied(), func(o provider.Credential) bool { return o.ID == c.ID && o.Name == c.Name })
}

func disabledTakesItsSlot(t *testing.T, h Harness) {
	w := openRaw(t, h)
	minted := w.mint(w.request(w.owner("first"))).Credential
	h.States.Disable(minted.Name)
	if !w.occupies(minted) {
		t.Errorf("Occupied does not return %s, which is Disabled", minted.Name)
	}
}

func endedIsNotListed(t *testing.T, h Harness) {
	w := openRaw(t, h)
	minted := w.mint(w.request(w.owner("first")))
	name, id := minted.Credential.Name, minted.Credential.ID
	h.States.End(name)
	for _, ref := range []provider.Ref{{Name: name}, {Name: name, ID: id}} {
		found, err := w.client.Find(w.ctx, ref)
		if err != nil || len(provider.Occupying(found)) != 0 {
			t.Errorf("Find(%+v) of what has ended: got %+v, %v", ref, found, err)
		}
	}
	for _, owner := range []provider.Owner{w.owner("first"), {Cluster: w.config.Cluster}} {
		if listed := w.list(owner); len(listed) != 0 {
			t.Errorf("List(%+v) yields what has ended: %+v", owner, listed)
		}
	}
	w.wantAlive(minted, false)
}

func endedIsRevoked(t *testing.T, h Harness) {
	w := openRaw(t, h)
	minted := w.mint(w.request(w.owner("first"))).Credential
	h.States.End(minted.Name)
	w.revoke(provider.Ref{Name: minted.Name})
	w.revoke(provider.Ref{Name: minted.Name, ID: minted.ID})
}

func endedTakesNoSlot(t *testing.T, h Harness) {
	w := openRaw(t, h)
	room := h.Driver.Capabilities().MaxLive - len(w.occupied())
	if room < 1 {
		t.Fatalf("the account is full before the test: %+v", w.occupied())
	}
	var last provider.Credential
	for range room {
		last = w.mint(w.request(w.owner("first"))).Credential
	}
	h.States.End(last.Name)
	if w.occupies(last) {
		t.Errorf("Occupied returns %s, which has ended", last.Name)
	}
	w.mint(w.request(w.owner("first")))
}

func switchedOffIsNotDeleted(t *testing.T, h Harness) {
	w := open(t, h)
	req := w.request(w.owner("first"))
	minted := w.mint(req)
	h.States.DisableID(minted.Credential.ID)
	accepted, err := w.accepts(w.ctx, minted, req.Grant)
	if err == nil {
		t.Errorf("Accepts of what was switched off: got %t and no error", accepted)
	}
	checkMessage(t, h, err)
}
