package conformance

import (
	"testing"

	"apitoken.dev/operator/internal/credname"
	"apitoken.dev/operator/internal/provider"
)

var finding = []Requirement{
	{
		Name: "MintedIsFoundByName", Test: foundByName,
		Sentence: "Find MUST return a minted credential under exactly its name, with its ID.",
		Applies:  byAPI,
	},
	{
		Name: "GrantIsWhatWasMinted", Test: grantIsWhatWasMinted,
		Sentence: "Where Find shows the Grant of a credential, List MUST show it too, and neither MUST be wider than what was minted, or lack a restriction of it.",
		Applies:  byAPI,
	},
	{
		Name: "OtherNameIsNotFound", Test: otherNameNotFound,
		Sentence: "Find MUST return nothing, and no error, for a name that was never minted.",
		Applies:  byAPI,
	},
	{
		Name: "ListedForOwnerAndCluster", Test: listedForOwner,
		Sentence: "List MUST yield a minted credential for its owner and for its whole cluster.",
		Applies:  roomForTwo,
	},
	{
		Name: "OtherOwnersAreNotListed", Test: otherOwners,
		Sentence: "List MUST NOT yield credentials of another owner or of another cluster.",
		Applies:  roomForTwo,
	},
	{
		Name: "ListStopsWhenAsked", Test: listStops,
		Sentence: "List MUST stop as soon as its consumer does.",
		Applies:  byAPI,
	},
	{
		Name: "StoppedListContinues", Test: stoppedListContinues,
		Sentence: "A List that starts at the Cursor of a stopped List MUST yield the credentials that the stopped List left out; a complete List MUST leave no marker.",
		Applies:  byAPI,
	},
}

var revoking = []Requirement{
	{
		Name: "RevokeByName", Test: revokeBy(func(c provider.Credential) provider.Ref { return provider.Ref{Name: c.Name} }),
		Sentence: "Revoke MUST end a credential by its name alone; then nothing is listed under it, and nothing found but what has Ended.",
		Applies:  byAPI,
	},
	{
		Name: "RevokeByNameAndID", Test: revokeBy(func(c provider.Credential) provider.Ref { return provider.Ref{Name: c.Name, ID: c.ID} }),
		Sentence: "Revoke MUST end a credential by its name and ID together; then nothing is listed under it, and nothing found but what has Ended.",
		Applies:  byAPI,
	},
	{
		Name: "RevokeTwiceIsDone", Test: revokeTwice,
		Sentence: "Revoke MUST return nil when the credential is already gone, by its name and with its ID.",
		Applies:  byAPI,
	},
	{
		Name: "RevokeOfNothingIsDone", Test: revokeNothing,
		Sentence: "Revoke MUST return nil for a name that was never minted.",
		Applies:  byAPI,
	},
	{
		Name: "RevokedIsRefused", Test: revokedIsRefused,
		Sentence: "The data plane MUST reject a credential once Revoke returned nil.",
		Applies:  byAPI,
		Needs:    func(h Harness) bool { return h.Alive != nil },
	},
}

func foundByName(t *testing.T, h Harness) {
	w := open(t, h)
	minted := w.mint(w.request(w.owner("first"))).Credential
	found := w.find(minted.Name)
	if len(found) != 1 {
		t.Fatalf("%d are found, want 1: %+v", len(found), found)
	}
	if got := found[0]; got.Name != minted.Name || got.ID != minted.ID || got.State != provider.Live {
		t.Errorf("found %+v, want name %s, ID %s, live", got, minted.Name, minted.ID)
	}
}

func grantIsWhatWasMinted(t *testing.T, h Harness) {
	w := open(t, h)
	req := w.request(w.owner("first"))
	w.mint(req)
	found, listed := w.find(req.Name), w.list(w.owner("first"))
	if len(found) != 1 || len(listed) != 1 {
		t.Fatalf("found %+v, listed %+v, want one of each", found, listed)
	}
	if (found[0].Grant == nil) != (listed[0].Grant == nil) {
		t.Errorf("Find shows the grant %+v, and List %+v", found[0].Grant, listed[0].Grant)
	}
	for _, shown := range []*provider.Grant{found[0].Grant, listed[0].Grant} {
		switch {
		case shown == nil:
		case provider.Wider(req.Grant, *shown):
			t.Errorf("shown is the grant %+v, which is wider than %+v", *shown, req.Grant)
		case len(shown.Scopes) == 0, len(req.Grant.Buckets) > 0 && len(shown.Buckets) == 0:
			t.Errorf("shown is the grant %+v of a credential minted with %+v", *shown, req.Grant)
		}
	}
}

func otherNameNotFound(t *testing.T, h Harness) {
	w := open(t, h)
	w.mint(w.request(w.owner("first")))
	if found := w.find(w.request(w.owner("first")).Name); len(found) != 0 {
		t.Errorf("found %+v under a name never minted", found)
	}
}

func listedForOwner(t *testing.T, h Harness) {
	w := open(t, h)
	first := w.mint(w.request(w.owner("first"))).Credential
	second := w.mint(w.request(w.owner("second"))).Credential
	mine := w.list(w.owner("first"))
	if len(mine) != 1 || mine[0].Name != first.Name || mine[0].ID != first.ID || mine[0].State != provider.Live {
		t.Errorf("listed for its owner: %+v, want only %+v", mine, first)
	}
	all := names(w.list(provider.Owner{Cluster: w.config.Cluster}))
	if len(all) != 2 || !all[first.Name] || !all[second.Name] {
		t.Errorf("listed for the cluster: %v, want %s and %s", all, first.Name, second.Name)
	}
}

func otherOwners(t *testing.T, h Harness) {
	w, foreign := open(t, h), open(t, h)
	w.mint(w.request(w.owner("first")))
	foreign.mint(foreign.request(foreign.owner("first")))
	elsewhere := provider.Owner{Cluster: w.config.Cluster, Namespace: "elsewhere", Token: "first"}
	for _, owner := range []provider.Owner{w.owner("second"), elsewhere} {
		if got := w.list(owner); len(got) != 0 {
			t.Errorf("listed for %+v: %+v, want nothing", owner, got)
		}
	}
	for _, c := range w.list(provider.Owner{Cluster: w.config.Cluster}) {
		name, err := credname.Parse(c.Name)
		if err != nil || !name.InCluster(w.config.Cluster) {
			t.Errorf("the cluster's list holds %s of another cluster", c.Name)
		}
	}
}

func listStops(t *testing.T, h Harness) {
	w := open(t, h)
	for range most(h, 3) {
		w.mint(w.request(w.owner("first")))
	}
	seen := 0
	for _, err := range w.client.List(w.ctx, w.owner("first")) {
		if err != nil {
			t.Fatalf("List: %v", err)
		}
		seen++
		break
	}
	if seen != 1 {
		t.Errorf("%d were yielded before stopping, want 1", seen)
	}
}

func revokeBy(ref func(provider.Credential) provider.Ref) func(*testing.T, Harness) {
	return func(t *testing.T, h Harness) {
		w := open(t, h)
		minted := w.mint(w.request(w.owner("first"))).Credential
		w.revoke(ref(minted))
		if found := w.left(minted.Name); len(found) != 0 {
			t.Errorf("found %+v after it was revoked", found)
		}
		if listed := w.list(w.owner("first")); len(listed) != 0 {
			t.Errorf("listed %+v after it was revoked", listed)
		}
	}
}

func revokeTwice(t *testing.T, h Harness) {
	w := open(t, h)
	minted := w.mint(w.request(w.owner("first"))).Credential
	for _, ref := range []provider.Ref{{Name: minted.Name}, {Name: minted.Name}, {Name: minted.Name, ID: minted.ID}} {
		w.revoke(ref)
	}
}

func revokeNothing(t *testing.T, h Harness) {
	w := open(t, h)
	w.revoke(provider.Ref{Name: w.request(w.owner("first")).Name})
}

func revokedIsRefused(t *testing.T, h Harness) {
	w := open(t, h)
	minted := w.mint(w.request(w.owner("first")))
	w.wantAlive(minted, true)
	w.revoke(provider.Ref{Name: minted.Credential.Name})
	w.wantAlive(minted, false)
}
