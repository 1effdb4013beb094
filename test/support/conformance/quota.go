package conformance

import (
	"testing"

	"apitoken.dev/operator/internal/provider"
)

var quota = []Requirement{
	{
		Name: "OccupiedCountsEverything", Test: occupiedCounts,
		Sentence: "Where Capabilities.MaxLive is set, the client MUST be a Counter, and Occupied MUST return the credentials of every cluster.",
		Applies:  limited,
	},
	{
		Name: "FullAccountRejectsMint", Test: fullAccount,
		Sentence: "A Mint into an account with Capabilities.MaxLive credentials MUST fail with CodeQuota, not in doubt, and leave nothing; once one was revoked, a Mint MUST work.",
		Applies:  limited,
	},
}

func limited(h Harness) bool { return byAPI(h) && h.Driver.Capabilities().MaxLive > 0 }

func (w *world) occupied() []provider.Credential {
	w.t.Helper()
	counter, ok := provider.As[provider.Counter](w.client)
	if !ok {
		w.t.Fatal("the client is not a provider.Counter")
	}
	out, err := counter.Occupied(w.ctx)
	if err != nil {
		w.t.Fatalf("Occupied: %v", err)
	}
	return out
}

func occupiedCounts(t *testing.T, h Harness) {
	w, foreign := open(t, h), open(t, h)
	before := len(w.occupied())
	made := []provider.Credential{foreign.mint(foreign.request(foreign.owner("first"))).Credential}
	if most(h, 2) == 2 {
		made = append(made, w.mint(w.request(w.owner("first"))).Credential)
	}
	now := w.occupied()
	if len(now) != before+len(made) {
		t.Errorf("%d are occupied, want the %d of before and %d more", len(now), before, len(made))
	}
	ids := map[string]string{}
	for _, c := range now {
		ids[c.ID] = c.Name
	}
	for _, c := range made {
		if name, ok := ids[c.ID]; !ok || name != c.Name {
			t.Errorf("Occupied does not return %s of %s", c.ID, c.Name)
		}
	}
}

func fullAccount(t *testing.T, h Harness) {
	w := open(t, h)
	room := h.Driver.Capabilities().MaxLive - len(w.occupied())
	if room < 1 {
		t.Fatalf("the account is full before the test: %+v", w.occupied())
	}
	var last provider.Credential
	for range room {
		last = w.mint(w.request(w.owner("first"))).Credential
	}
	req := w.request(w.owner("second"))
	w.tidy(req.Name)
	_, err := w.client.Mint(w.ctx, req)
	if e := provider.AsError(err); err == nil || e.Code != provider.CodeQuota || !e.NotExecuted {
		t.Errorf("Mint into a full account: got %v (in doubt %t), want a rejection with %s", err, provider.InDoubt(err), provider.CodeQuota)
	}
	checkMessage(t, h, err)
	if found := w.find(req.Name); len(found) != 0 {
		t.Errorf("found %+v although the account was full", found)
	}
	w.revoke(provider.Ref{Name: last.Name})
	w.mint(w.request(w.owner("second")))
}
