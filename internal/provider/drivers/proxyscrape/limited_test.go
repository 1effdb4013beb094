package proxyscrape

import (
	"slices"
	"strings"
	"testing"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/test/support/simulate/proxyscrapesim"
)

// limited returns a simulator whose minting key can access one subaccount.
func limited(t *testing.T) (*proxyscrapesim.Simulator, provider.Client) {
	t.Helper()
	s, cfg := newSimulator(t)
	s.Limit("minter", firstSubaccount)
	client, _ := connect(t, cfg)
	return s, client
}

// The minting key is limited to a subaccount, and the ApiToken declares none. The API copies the list of
// the minting key.
func TestSubaccountsOfTheCreatorAreAccepted(t *testing.T) {
	s, client := limited(t)
	req := request(t)
	minted, err := client.Mint(t.Context(), req)
	if err != nil {
		t.Fatalf("Mint: %v", err)
	}
	if got := s.Named(req.Name); len(got) != 1 || !slices.Equal(got[0].Subaccounts, []string{firstSubaccount}) {
		t.Fatalf("the simulator has %+v", got)
	}
	ref := provider.Ref{Name: req.Name, ID: minted.Credential.ID}
	req.Grant.AllowedIPs = nil
	if _, err := client.(provider.Updater).Update(t.Context(), ref, req); err != nil {
		t.Errorf("Update: %v", err)
	}
}

// No subaccounts are declared, and the new key has a list that no minting key has.
func TestOtherSubaccountsAreNotAccepted(t *testing.T) {
	s := newStub(t)
	s.Limit("minter", firstSubaccount)
	s.client, _ = connect(t, s.config)
	s.Add(proxyscrapesim.Key{Name: "reader", Permissions: []string{"residential:read"}, Subaccounts: []string{secondSubaccount}})
	req := request(t)
	s.answers["POST "] = reaction{status: 200, body: keyJSON(t, req, func(k map[string]any) {
		k["allowed_subaccounts"] = []string{strings.ToUpper(secondSubaccount)}
	})}
	_, err := s.client.Mint(t.Context(), req)
	checkError(t, err, provider.CodeUnknown, false, "in allowed_subaccounts")
	delete(s.answers, "POST ")

	minted := mint(t, s.client).Credential
	s.answers["GET /{id}"] = reaction{status: 200, body: keyJSON(t, req, func(k map[string]any) {
		k["id"], k["name"], k["allowed_subaccounts"] = minted.ID, minted.Name, []string{secondSubaccount}
	})}
	_, err = s.client.(provider.Updater).Update(t.Context(), provider.Ref{Name: minted.Name, ID: minted.ID}, req)
	checkError(t, err, provider.CodeUnknown, false, "in allowed_subaccounts")
}

// If the ApiToken declares subaccounts, the list of the minting key is not accepted.
func TestDeclaredSubaccountsAreComparedExactly(t *testing.T) {
	s := newStub(t)
	s.Limit("minter", firstSubaccount, secondSubaccount)
	s.client, _ = connect(t, s.config)
	req := request(t)
	req.Grant.Subaccounts = []string{firstSubaccount}
	s.answers["POST "] = reaction{status: 200, body: keyJSON(t, req, func(k map[string]any) {
		k["allowed_subaccounts"] = []string{firstSubaccount, secondSubaccount}
	})}
	_, err := s.client.Mint(t.Context(), req)
	checkError(t, err, provider.CodeUnknown, false, "in allowed_subaccounts")
}

// The list shows no key that can create keys, so the subaccounts of the minting key are unknown.
func TestSubaccountsAreAcceptedWhenTheCreatorIsHidden(t *testing.T) {
	s := newStub(t)
	req := request(t)
	s.answers["GET "] = reaction{status: 200, body: `{"success":true,"data":[]}`}
	s.client, _ = connect(t, s.config)
	s.answers["POST "] = reaction{status: 200, body: keyJSON(t, req, func(k map[string]any) {
		k["allowed_subaccounts"] = []string{firstSubaccount}
	})}
	if _, err := s.client.Mint(t.Context(), req); err != nil {
		t.Errorf("Mint: %v", err)
	}
}
