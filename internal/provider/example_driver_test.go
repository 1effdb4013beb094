package provider_test

import (
	"context"
	"fmt"
	"iter"

	"apitoken.dev/operator/internal/credname"
	"apitoken.dev/operator/internal/provider"
)

// vendor stands for the HTTP API of a vendor: it has the keys of one account, by id.
type vendor struct {
	keys map[string]string // id to name
	next int
}

// driver is the part of a driver that needs no connection.
type driver struct{ vendor *vendor }

func (driver) Type() string { return "example" }

func (driver) Capabilities() provider.Capabilities {
	return provider.Capabilities{Scopes: []string{"keys:use"}, ExpiryEnforcedBy: provider.EnforcedByOperator}
}

// Connect proves the minting credentials with a call that changes nothing. Its Account is
// what the server answers, not what the declaration claims.
func (d driver) Connect(_ context.Context, cfg provider.Config) (provider.Client, provider.Account, error) {
	if !cfg.Credentials["API_KEY"].Equal(provider.NewValue("secret")) {
		return nil, provider.Account{}, &provider.Error{
			Code: provider.CodeUnauthenticated, NotExecuted: true, Message: "the key API_KEY is not accepted",
		}
	}
	return client(d), provider.Account{ID: "account-1"}, nil
}

// client talks to one account.
type client struct{ vendor *vendor }

// Mint creates the key with one request, which it does not retry: an error without
// NotExecuted means that the key may exist.
func (c client) Mint(_ context.Context, req provider.MintRequest) (provider.Minted, error) {
	c.vendor.next++
	id := fmt.Sprintf("key-%d", c.vendor.next)
	c.vendor.keys[id] = req.Name
	return provider.Minted{
		Credential: provider.Credential{Name: req.Name, ID: id, State: provider.Live},
		Secret:     map[string]provider.Value{"TOKEN": provider.NewValue("token of " + id)},
	}, nil
}

// source is the only way from a Ref to a key. It decides what an ID may be used for.
func (c client) source() provider.Source {
	return provider.Source{List: func(context.Context, string) ([]provider.Credential, error) {
		var all []provider.Credential
		for id, name := range c.vendor.keys {
			all = append(all, provider.Credential{Name: name, ID: id, State: provider.Live})
		}
		return all, nil
	}}
}

func (c client) Find(ctx context.Context, ref provider.Ref) ([]provider.Credential, error) {
	return c.source().Find(ctx, ref)
}

// List yields only keys of the owner: the account can have others.
func (c client) List(ctx context.Context, owner provider.Owner) iter.Seq2[provider.Credential, error] {
	return c.source().Owned(ctx, owner)
}

func (c client) Revoke(ctx context.Context, ref provider.Ref) error {
	return c.source().Revoke(ctx, ref, func(_ context.Context, key provider.Credential) error {
		delete(c.vendor.keys, key.ID)
		return nil
	})
}

// A driver checks the minting credentials, mints one credential per name, and finds and
// revokes credentials by that name. A real one sends requests with Config.HTTP.
func ExampleDriver() {
	ctx := context.Background()
	var d provider.Driver = driver{&vendor{keys: map[string]string{"key-0": "made in the portal"}}}
	cluster := credname.Cluster("example")

	_, _, err := d.Connect(ctx, provider.Config{Cluster: cluster})
	fmt.Println(err)

	c, account, err := d.Connect(ctx, provider.Config{
		Cluster:     cluster,
		Credentials: map[string]provider.Value{"API_KEY": provider.NewValue("secret")},
	})
	fmt.Println(account.ID, err)

	// The operator makes the name, and has it in its ledger before it calls Mint.
	name := credname.Name{Cluster: cluster, Owner: credname.Owner("ml", "training-data"), Revision: 1, Nonce: "aaaaaaaaaa"}.String()
	minted, err := c.Mint(ctx, provider.MintRequest{Name: name, Grant: provider.Grant{Scopes: []string{"keys:use"}}})
	fmt.Println(minted.Credential.ID, minted.Secret["TOKEN"], err)

	// A key that the operator did not make is not listed.
	for credential, err := range c.List(ctx, provider.Owner{Cluster: cluster, Namespace: "ml", Token: "training-data"}) {
		fmt.Println(credential.ID, err)
	}

	err = c.Revoke(ctx, provider.Ref{Name: name, ID: minted.Credential.ID})
	found, findErr := c.Find(ctx, provider.Ref{Name: name, ID: minted.Credential.ID})
	fmt.Println(err, len(found), findErr)

	// Output:
	// Unauthenticated: the key API_KEY is not accepted
	// account-1 <nil>
	// key-1 [redacted] <nil>
	// key-1 <nil>
	// <nil> 0 <nil>
}
