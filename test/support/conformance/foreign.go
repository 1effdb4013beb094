package conformance

import (
	"testing"

	"apitoken.dev/operator/internal/provider"
)

var foreign = []Requirement{
	{
		Name: "RefWithoutNameIsRefused", Test: refWithoutName,
		Sentence: "Find, Revoke and Update MUST reject a Ref without a name, not in doubt, and leave the credential of its ID alone.",
		Applies:  byAPI,
	},
	{
		Name: "FindShowsOnlyItsName", Test: withMinted((*world).findsOnlyMine),
		Sentence: "Find with the ID of a credential of another owner or another cluster MUST NOT return that credential, and MUST return the credential that has the name.",
		Applies:  roomForTwo,
	},
	{
		Name: "RevokeEndsOnlyItsName", Test: withMinted((*world).revokesOnlyMine),
		Sentence: "Revoke with the ID of a credential of another owner or another cluster MUST leave that credential as it is.",
		Applies:  roomForTwo,
	},
	{
		Name: "UpdateChangesOnlyItsName", Test: withMinted((*world).updatesOnlyMine),
		Sentence: "Update with the ID of a credential of another owner or another cluster MUST return an error and leave that credential as it is.",
		Applies:  func(h Harness) bool { return roomForTwo(h) && updates(h) },
		Needs:    func(h Harness) bool { return h.Changed != nil },
	},
	{
		Name: "FindShowsNothingManual", Test: withManual((*world).findsOnlyMine),
		Sentence: "Find with the ID of a credential that a user made, or of the minting credential, MUST NOT return that credential.",
		Applies:  roomForTwo,
		Needs:    makesManual,
	},
	{
		Name: "RevokeEndsNothingManual", Test: withManual((*world).revokesOnlyMine),
		Sentence: "Revoke with the ID of a credential that a user made, or of the minting credential, MUST leave that credential as it is.",
		Applies:  roomForTwo,
		Needs:    makesManual,
	},
	{
		Name: "UpdateChangesNothingManual", Test: withManual((*world).updatesOnlyMine),
		Sentence: "Update with the ID of a credential that a user made, or of the minting credential, MUST return an error and leave that credential as it is.",
		Applies:  func(h Harness) bool { return roomForTwo(h) && updates(h) },
		Needs:    func(h Harness) bool { return makesManual(h) && h.Changed != nil },
	},
}

func makesManual(h Harness) bool { return h.Outside.Make != nil && h.Outside.State != nil }

// other is a credential that no call may change. check fails t if one did.
type other struct {
	id    string
	check func(t *testing.T)
}

// otherMinted mints a credential with another client.
func otherMinted(from *world, owner provider.Owner) other {
	req := from.request(owner)
	minted := from.mint(req)
	before := from.find(req.Name)
	state := stateOf(from.h, minted.Credential.ID)
	return other{id: minted.Credential.ID, check: func(t *testing.T) {
		t.Helper()
		after := from.find(req.Name)
		if len(before) != 1 || len(after) != 1 || after[0].ID != before[0].ID || after[0].State != provider.Live || !after[0].ExpiresAt.Equal(before[0].ExpiresAt) {
			t.Errorf("the other credential was %+v and is %+v", before, after)
		}
		if stateOf(from.h, minted.Credential.ID) != state {
			t.Error("the other credential was changed at the provider")
		}
		from.wantAlive(minted, true)
	}}
}

// stateOf describes a credential at the provider. Without the hook it is constant.
func stateOf(h Harness, id string) string {
	if h.Outside.State == nil {
		return ""
	}
	return h.Outside.State(id)
}

func otherManual(h Harness, id string) other {
	before := stateOf(h, id)
	return other{id: id, check: func(t *testing.T) {
		t.Helper()
		switch stateOf(h, id) {
		case before:
		case "":
			t.Error("the other credential is gone")
		default:
			t.Error("the other credential was changed at the provider")
		}
	}}
}

// withMinted runs an action with the IDs of credentials that this operator, or that of
// another cluster, minted.
func withMinted(act func(*world, *testing.T, other)) func(*testing.T, Harness) {
	return func(t *testing.T, h Harness) {
		for name, obtain := range map[string]func(w *world) other{
			"another token":   func(w *world) other { return otherMinted(w, w.owner("second")) },
			"another cluster": func(w *world) other { from := open(w.t, h); return otherMinted(from, from.owner("first")) },
		} {
			t.Run(name, func(t *testing.T) {
				w := open(t, h)
				act(w, t, obtain(w))
			})
		}
	}
}

// withManual runs an action with the IDs of a credential that a user made and of the
// minting credential.
func withManual(act func(*world, *testing.T, other)) func(*testing.T, Harness) {
	return func(t *testing.T, h Harness) {
		t.Run("manual", func(t *testing.T) { act(open(t, h), t, otherManual(h, h.Outside.Make(t))) })
		if h.MinterID != "" {
			t.Run("minting", func(t *testing.T) { act(open(t, h), t, otherManual(h, h.MinterID)) })
		}
	}
}

// mine returns Refs with the ID of the other credential: under a name that has a
// credential, and under one that has none.
func (w *world) mine(o other) (minted, never provider.Ref, req provider.MintRequest) {
	w.t.Helper()
	req = w.request(w.owner("first"))
	w.mint(req)
	return provider.Ref{Name: req.Name, ID: o.id}, provider.Ref{Name: w.name(w.owner("first")), ID: o.id}, req
}

func (w *world) findsOnlyMine(t *testing.T, o other) {
	minted, never, _ := w.mine(o)
	found, err := w.client.Find(w.ctx, minted)
	if err != nil || len(found) != 1 || found[0].Name != minted.Name || found[0].ID == o.id {
		t.Errorf("Find with the ID of another credential: got %+v and error %v, want the one named %s", found, err, minted.Name)
	}
	found, err = w.client.Find(w.ctx, never)
	if len(found) != 0 {
		t.Errorf("Find under a name never minted, with the ID of another credential: got %+v", found)
	}
	checkMessage(t, w.h, err)
	o.check(t)
}

func (w *world) revokesOnlyMine(t *testing.T, o other) {
	minted, never, _ := w.mine(o)
	for _, ref := range []provider.Ref{never, minted} {
		err := w.client.Revoke(w.ctx, ref)
		checkMessage(t, w.h, err)
		o.check(t)
	}
}

func (w *world) updatesOnlyMine(t *testing.T, o other) {
	minted, never, req := w.mine(o)
	for _, ref := range []provider.Ref{never, minted} {
		got, err := w.update(provider.Credential{Name: ref.Name, ID: ref.ID}, req)
		if err == nil {
			t.Errorf("Update(%+v) returned %+v and no error", ref, got)
		}
		checkMessage(t, w.h, err)
		o.check(t)
	}
}

func refWithoutName(t *testing.T, h Harness) {
	w := open(t, h)
	req := w.request(w.owner("first"))
	minted := w.mint(req)
	for _, ref := range []provider.Ref{{}, {ID: minted.Credential.ID}} {
		_, findErr := w.client.Find(w.ctx, ref)
		calls := map[string]error{"Find": findErr, "Revoke": w.client.Revoke(w.ctx, ref)}
		if updates(h) && h.Changed != nil {
			_, calls["Update"] = w.update(provider.Credential{ID: ref.ID}, req)
		}
		for call, err := range calls {
			if err == nil || provider.InDoubt(err) {
				t.Errorf("%s of %+v: got %v (in doubt %t), want a rejection", call, ref, err, provider.InDoubt(err))
			}
			checkMessage(t, h, err)
		}
	}
	if found := w.find(req.Name); len(live(found)) != 1 {
		t.Errorf("found %+v, want the credential as it was", found)
	}
	w.wantAlive(minted, true)
}
