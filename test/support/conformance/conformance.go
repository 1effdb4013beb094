// Package conformance is the driver contract as runnable requirements. Every
// driver runs them against its simulator and, where one can be started, against
// a real server; a driver that passes is safe under the operator's protocol.
package conformance

import (
	"context"
	"slices"
	"testing"
	"time"

	"apitoken.dev/operator/internal/provider"
)

// Requirement is one thing that the contract asks of every driver.
type Requirement struct {
	// Name of the subtest.
	Name string
	// Group is what it is about.
	Group string
	// Sentence states it in the words of docs/provider-contract.md.
	Sentence string
	// Applies says whether it has a meaning for the driver and the Grant of this
	// Harness; nil: for every one.
	Applies func(Harness) bool
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

	// InMemory: the driver talks to its provider without Config.HTTP.
	InMemory bool
	// EmptyLists are the bodies, beside none, that the provider documents for a list
	// without credentials.
	EmptyLists []string
	// AnySuccess: the provider's documentation has no body for a deletion; its status
	// alone says that it was done.
	AnySuccess bool
	// SameAnswers: another Harness has the same driver and the same answers of the
	// provider, and is the one that meets hostile answers.
	SameAnswers bool
	// NextPage makes an answer of a list one that names another page; n differs for
	// each. A driver that lists over HTTP has it, unless OnePage is set.
	NextPage func(body []byte, n int) []byte
	// OnePage: the provider documents no pages, and the driver takes one answer for the
	// whole list.
	OnePage bool
	// MinterID is the ID of the minting credential, where the provider keeps it among
	// the credentials that it lists.
	MinterID string
	// Wrong are minting credentials that the provider does not accept.
	Wrong map[string]provider.Value
	// Alive asks the data plane whether it accepts a credential. An error means
	// that the question could not be answered.
	Alive func(ctx context.Context, minted provider.Minted) (bool, error)
	// Refused are declarations that Validate has to refuse.
	Refused map[string]Refused
	// Faults make the next request of the given Config fail.
	Faults Faults
	// Outside is what somebody else does at the provider to a credential.
	Outside Outside
	// States says how a credential comes to be Disabled, and to have Ended.
	States States
	// Crowd makes so many credentials that are not the operator's, for a driver
	// with Capabilities.Listed, and returns what removes them.
	Crowd func(n int) (remove func())
	// Changed is a Grant that differs from Grant() in fields of Capabilities.Updates.
	Changed func() provider.Grant
	// IgnoreUpdates makes the provider accept updates and change nothing.
	IgnoreUpdates func() (restore func())
	// HandOver makes a credential as a person does and returns the keys that are
	// handed over. It is for a driver that is a provider.ByHand and has a Form for
	// Grant(); a driver that does both has two Harnesses.
	HandOver func(t *testing.T, req provider.MintRequest) map[string]provider.Value
}

// Outside is what somebody else does at a provider to the credential of a name.
type Outside struct {
	// Delete removes it, so that nothing is left to be shown.
	Delete func(name string)
	// DeleteID is what a person does who is asked to delete a credential that was
	// made by hand.
	DeleteID func(id string)
	// Make makes a credential under a name that is not the operator's, removes it at
	// the end of the test, and returns its ID.
	Make func(t *testing.T) (id string)
	// State describes all that the provider has of the credential with an ID, so that
	// any change shows; empty once it is gone.
	State func(id string) string
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
	// FailAfterCommit lets so many requests through; all later ones have their
	// effect and are answered with a status of 502.
	FailAfterCommit func(after int) (restore func())
	// HTML lets so many requests through; all later ones have their effect and are
	// answered with status 200 and a page for people.
	HTML func(after int) (restore func())
	// Slow lets so many requests through; all later ones have their effect and are
	// answered after the client has given up.
	Slow func(after int) (restore func())
	// Skew puts the provider's clock ahead of ours, or behind.
	Skew func(d time.Duration) (restore func())
}

// RawText stands for text of the provider that no error may repeat.
const RawText = "RAW-PROVIDER-TEXT"

// Requirements are all of them, in the order they are run.
var Requirements = slices.Concat(
	group("describe", describing), group("mint", minting), group("find", finding), group("revoke", revoking), group("foreign", foreign),
	group("fail", failing), group("doubt", doubting), group("outside", outside), group("states", states), group("limits", limits),
	group("quota", quota), group("window", window), group("update", updating), group("by hand", byHanding),
	group("hostile", hostile),
)

func group(name string, list []Requirement) []Requirement {
	for i := range list {
		list[i].Group = name
	}
	return list
}

// The attributes of a test that tell a reader of go test -json what was run.
const (
	// AttrGroup of the subtest of a requirement is its group.
	AttrGroup = "conformance-group"
	// AttrNotApplicable of the test itself is a group and the name of a requirement
	// that was not run, joined by a slash.
	AttrNotApplicable = "conformance-not-applicable"
)

// Run runs every requirement that applies and that the harness has the hooks
// for, each as a subtest.
func Run(t *testing.T, h Harness) {
	t.Helper()
	for _, r := range Requirements {
		if !r.applies(h) || !r.needsMet(h) {
			t.Logf("not applicable here: %s: %s", r.Name, r.Sentence)
			t.Attr(AttrNotApplicable, r.Group+"/"+r.Name)
			continue
		}
		t.Run(r.Name, func(t *testing.T) {
			t.Attr(AttrGroup, r.Group)
			t.Logf("the contract: %s", r.Sentence)
			r.Test(t, h)
		})
	}
}

// NotRun returns the names of the requirements that apply to the driver and are
// not run, because the harness lacks a hook. A driver has a test that there are none.
func NotRun(h Harness) []string {
	var out []string
	for _, r := range Requirements {
		if r.applies(h) && !r.needsMet(h) {
			out = append(out, r.Name)
		}
	}
	return out
}

func (r Requirement) applies(h Harness) bool { return r.Applies == nil || r.Applies(h) }

func (r Requirement) needsMet(h Harness) bool { return r.Needs == nil || r.Needs(h) }
