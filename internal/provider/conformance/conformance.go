// Package conformance is the driver contract as runnable requirements. Every
// driver runs them against its simulator and, where one can be started, against
// a real server; a driver that passes is safe under the operator's protocol.
package conformance

import (
	"context"
	"testing"

	"apitoken.dev/operator/internal/provider"
)

// Requirement is one thing that the contract asks of every driver.
type Requirement struct {
	// Name of the subtest.
	Name string
	// Sentence states it in the words of docs/provider-contract.md.
	Sentence string
	// Needs says which hooks of the Harness it cannot do without; nil: none.
	Needs func(Harness) bool
	// Test fails t when the driver does not meet it.
	Test func(t *testing.T, h Harness)
}

// Harness is one driver and the provider it runs against. Every requirement
// uses names, owners and a cluster of its own, so they may share one account.
type Harness struct {
	// Driver under test.
	Driver provider.Driver
	// Config reaches the account. The cluster in it is replaced by each requirement.
	Config provider.Config
	// Grant returns access that the provider can give and that has not ended.
	Grant func() provider.Grant
	// SecretKeys are the keys of a credential in its Secret, all of them.
	SecretKeys []string

	// Wrong are minting credentials that the provider does not accept.
	Wrong map[string]provider.Value
	// Alive asks the data plane whether it accepts a credential. An error means
	// that the question could not be answered.
	Alive func(ctx context.Context, minted provider.Minted) (bool, error)
	// Refused are declarations that Validate has to refuse.
	Refused map[string]Refused
	// Faults make the next request of the given Config fail.
	Faults Faults
}

// Refused is one declaration that cannot be granted.
type Refused struct {
	// Change makes a grantable request one that is not.
	Change func(*provider.MintRequest)
	// Reason and Field that the Refusal has to carry.
	Reason provider.RefusalReason
	Field  string
}

// Faults are switches of the provider, or of the way to it. Each holds until
// the function it returned is called. Every one of them is optional.
type Faults struct {
	// LoseAnswers lets so many requests through; all later ones have their effect
	// and lose their answers.
	LoseAnswers func(after int) (restore func())
	// Reject answers every request with an explicit rejection whose raw text holds RawText.
	Reject func() (restore func())
	// RateLimit answers every request with "too many requests" and a wish for one second.
	RateLimit func() (restore func())
	// Interrupt lets so many requests through and fails all later ones before
	// they have an effect.
	Interrupt func(after int) (restore func())
	// Hang never answers, and closes the channel once a request waits.
	Hang func() (hanging <-chan struct{}, restore func())
}

// RawText stands for text of the provider that no error may repeat.
const RawText = "RAW-PROVIDER-TEXT"

// Requirements are all of them, in the order they are run.
var Requirements = concat(describing, minting, finding, revoking, failing, limits)

func concat(lists ...[]Requirement) []Requirement {
	var out []Requirement
	for _, l := range lists {
		out = append(out, l...)
	}
	return out
}

// Run runs every requirement the harness has the hooks for, each as a subtest.
func Run(t *testing.T, h Harness) {
	t.Helper()
	for _, r := range Requirements {
		if r.Needs != nil && !r.Needs(h) {
			t.Logf("not applicable here: %s: %s", r.Name, r.Sentence)
			continue
		}
		t.Run(r.Name, func(t *testing.T) {
			t.Logf("the contract: %s", r.Sentence)
			r.Test(t, h)
		})
	}
}
