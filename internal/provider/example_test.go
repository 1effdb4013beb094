package provider_test

import (
	"errors"
	"fmt"

	"apitoken.dev/operator/internal/provider"
)

// Only an explicit rejection proves that nothing was created. After any other error the
// operator keeps the name in its ledger and revokes it later.
func ExampleInDoubt() {
	rejected := &provider.Error{Code: provider.CodeQuota, NotExecuted: true, Message: "the account has no room for another key"}
	fmt.Println(rejected, provider.InDoubt(rejected))

	lost := &provider.Error{Code: provider.CodeUnavailable, Message: "the server did not answer"}
	fmt.Println(lost, provider.InDoubt(lost))

	fmt.Println(provider.InDoubt(errors.New("any other error")))
	// Output:
	// QuotaExceeded: the account has no room for another key false
	// Unavailable: the server did not answer true
	// true
}

// A driver refuses what its provider cannot grant before anything is reserved. Helpers
// cover the usual cases.
func ExampleRefuseScopes() {
	refusal := provider.RefuseScopes([]string{"keys:use"}, provider.Grant{Scopes: []string{"keys:use", "keys:admin"}})
	fmt.Println(refusal.Reason)
	fmt.Println(refusal)
	// Output:
	// ScopeNotGrantable
	// spec.scopes: keys:admin: this provider grants keys:use
}

// A secret cannot be printed by any verb.
func ExampleValue() {
	secret := provider.NewValue("s3cr3t")
	fmt.Printf("%s %v %+v %q %x\n", secret, secret, []provider.Value{secret}, secret, secret)
	fmt.Println(secret.Equal(provider.NewValue("s3cr3t")))
	// Output:
	// [redacted] [redacted] [[redacted]] [redacted] [redacted]
	// true
}
