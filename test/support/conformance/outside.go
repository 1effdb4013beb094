package conformance

import (
	"testing"

	"apitoken.dev/operator/internal/provider"
)

var outside = []Requirement{
	{
		Name: "DeletedElsewhereIsGone", Test: deletedElsewhere,
		Sentence: "A credential that another client deleted MUST NOT be found, and Revoke MUST return nil for it, by its name and with its ID.",
		Applies:  byAPI,
		Needs:    func(h Harness) bool { return h.Outside.Delete != nil },
	},
}

func deletedElsewhere(t *testing.T, h Harness) {
	w := open(t, h)
	minted := w.mint(w.request(w.owner("first"))).Credential
	h.Outside.Delete(minted.Name)
	if found := w.find(minted.Name); len(found) != 0 {
		t.Errorf("found %+v after another client deleted it", found)
	}
	w.revoke(provider.Ref{Name: minted.Name, ID: minted.ID})
	w.revoke(provider.Ref{Name: minted.Name})
}
