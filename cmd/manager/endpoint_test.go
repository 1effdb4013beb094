package main

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/test/support/kit"
	"apitoken.dev/operator/test/support/simulate/proxyscrapesim"
)

// moves changes the endpoint of the provider, while its credentials are live.
func (b *bench) moves(endpoint string) {
	b.Helper()
	p := &v1alpha1.TokenProvider{ObjectMeta: metav1.ObjectMeta{Namespace: b.ns, Name: "proxyscrape"}}
	b.OK(b.Get(b.Context(), client.ObjectKeyFromObject(p), p))
	b.Merge(p, func() { p.Spec.ProxyScrape.Endpoint = endpoint })
}

// provides waits until the provider's Ready condition has a reason for its current
// generation.
func (b *bench) provides(reason string) (message, endpoint string) {
	b.Helper()
	p := &v1alpha1.TokenProvider{ObjectMeta: metav1.ObjectMeta{Namespace: b.ns, Name: "proxyscrape"}}
	c := b.ExpectCondition(p, kit.Condition{Type: v1alpha1.ConditionReady, Reason: reason})
	return c.Message, p.Status.Endpoint
}

// TestEndpointCanMoveToTheSameAccount: the URL of an account changes while a credential is
// live. In between, the endpoint is another server, whose account has the same name, and is
// refused.
func TestEndpointCanMoveToTheSameAccount(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	server := func() *proxyscrapesim.Simulator {
		return proxyscrapesim.New(b.clock.Now, "CANARY-minting-token", "account:apikeys:create", "account:apikeys:read",
			"account:apikeys:update", "account:apikeys:delete", "datacenter_shared:read", "residential:read")
	}
	own, other := server(), server()
	old, another, moved := b.serve(own), b.serve(other), b.serve(own)
	b.minter("proxyscrape-minter", map[string]string{"token": "CANARY-minting-token"})
	name := b.sample("proxyscrape.yaml", "https://api.proxyscrape.com   # also the default", old)
	first := b.ready(name, "")
	if _, endpoint := b.provides(v1alpha1.ReasonReady); endpoint != provider.CanonicalURL(old) || first.Account != provider.UnnamedAccount {
		t.Errorf("the endpoint is %q, and the account of the credential %q", endpoint, first.Account)
	}

	b.moves(another)
	message, endpoint := b.provides(v1alpha1.ReasonEndpointUnverified)
	for _, part := range []string{"spec.proxyscrape.endpoint", old, another, first.ID, "change spec.proxyscrape.endpoint back"} {
		if !strings.Contains(message, part) {
			t.Errorf("%q does not say %q", message, part)
		}
	}
	if endpoint != provider.CanonicalURL(old) {
		t.Errorf("the verified endpoint is %q", endpoint)
	}
	kit.Change(b.Kit, b.token(name), rotate)
	b.ExpectCondition(b.token(name), kit.Condition{
		Type: v1alpha1.ConditionStalled, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonEndpointUnverified,
	})
	if token := b.get(name); len(token.Status.Credentials) != 1 || len(own.Named(first.Name)) != 1 {
		t.Errorf("the ledger has %+v", token.Status.Credentials)
	}

	b.moves(old) // always allowed
	second := b.ready(name, first.Name)
	b.moves(moved + "/")
	if _, endpoint := b.provides(v1alpha1.ReasonReady); endpoint != provider.CanonicalURL(moved) {
		t.Errorf("the verified endpoint is %q, want %q", endpoint, moved)
	}
	kit.Change(b.Kit, b.token(name), func(t *v1alpha1.ApiToken) { t.Spec.Rotation.Generation++ })
	third := b.ready(name, second.Name)

	b.moves(another)
	b.provides(v1alpha1.ReasonEndpointUnverified)
	b.ExpectDeleted(b.token(name))
	b.ExpectCondition(b.token(name), kit.Condition{
		Type: v1alpha1.ConditionStalled, Reason: v1alpha1.ReasonEndpointUnverified, Says: []string{"Retain"},
	})
	if len(own.Named(third.Name)) != 1 {
		t.Error("the credential was revoked at an endpoint that is not verified")
	}
	b.moves(moved)
	b.ExpectGone(b.token(name))
	for _, e := range []v1alpha1.LedgerEntry{first, second, third} {
		if len(own.Named(e.Name))+len(other.Named(e.Name)) != 0 {
			t.Errorf("%s is left", e.Name)
		}
	}
}
