// Package conformance is the driver contract as executable requirements. Every driver
// runs them against its simulator and, where one can be started, against a real server.
// A driver that meets all of them is safe under the operator's protocol.
package conformance

import (
	"context"
	"slices"
	"testing"
	"time"

	"apitoken.dev/operator/internal/provider"
)

// Requirement is one requirement of the driver contract.
type Requirement struct {
	// Name is the name of the subtest.
	Name string
	// Group is the part of the contract that the requirement belongs to.
	Group string
	// Sentence states the requirement. docs/provider-contract.md quotes it.
	Sentence string
	// Applies reports whether the requirement applies to the driver and the Grant of a
	// Harness; nil means that it always applies.
	Applies func(Harness) bool
	// Needs reports whether a Harness has the hooks that the test requires; nil means that
	// it requires none.
	Needs func(Harness) bool
	// Test fails t if the driver does not meet the requirement.
	Test func(t *testing.T, h Harness)
}

// Harness is one driver and the provider it runs against. Every requirement uses its
// own names, owners and cluster, so all of them can share one account.
type Harness struct {
	// Driver is the driver under test.
	Driver provider.Driver
	// Config reaches the account. Each requirement replaces the cluster in it.
	Config provider.Config
	// Grant returns a grant that the provider supports and that has not expired.
	Grant func() provider.Grant
	// SecretKeys lists all keys of a credential in its Secret.
	SecretKeys []string

	// InMemory: the driver reaches its provider without Config.HTTP.
	InMemory bool
	// EmptyLists are the bodies, in addition to an empty one, that the provider documents
	// for a list without credentials.
	EmptyLists []string
	// AnySuccess: the provider documents no body for a deletion. The status alone confirms
	// it.
	AnySuccess bool
	// SameAnswers: another Harness covers hostile answers for the same driver and the same
	// answers of the provider.
	SameAnswers bool
	// NextPage changes the answer of a list so that it names a next page; n differs for
	// each answer. A driver that lists over HTTP must have it, unless OnePage is set.
	NextPage func(body []byte, n int) []byte
	// OnePage: the provider documents no pages, and the driver treats one answer as the
	// whole list.
	OnePage bool
	// MinterID is the ID of the minting credential, if the provider lists it with the
	// other credentials.
	MinterID string
	// Wrong are minting credentials that the provider rejects.
	Wrong map[string]provider.Value
	// Alive reports whether the data plane accepts a credential. An error means that this
	// is unknown.
	Alive func(ctx context.Context, minted provider.Minted) (bool, error)
	// Refused are declarations that Validate must refuse.
	Refused map[string]Refused
	// Faults make requests of the given Config fail.
	Faults Faults
	// Outside changes credentials at the provider as another client would.
	Outside Outside
	// States produces credentials that are Disabled or have Ended.
	States States
	// Crowd makes n credentials that do not belong to the operator, for a driver with
	// Capabilities.Listed, and returns a function that removes them.
	Crowd func(n int) (remove func())
	// Changed returns a Grant that differs from Grant() in fields of Capabilities.Updates.
	Changed func() provider.Grant
	// IgnoreUpdates makes the provider accept updates without carrying them out.
	IgnoreUpdates func() (restore func())
	// HandOver makes a manual credential, as a user would, and returns the submitted keys.
	// It is for a driver that is a provider.Manual and has a Form for Grant(). A driver
	// with both kinds of credentials has two Harnesses.
	HandOver func(t *testing.T, req provider.MintRequest) map[string]provider.Value
}

// Outside changes a credential at a provider as another client would.
type Outside struct {
	// Delete deletes the credential of a name. The provider then shows nothing of it.
	Delete func(name string)
	// DeleteID deletes a manual credential, as a user would who is asked to.
	DeleteID func(id string)
	// Make makes a credential under a name that does not belong to the operator, removes
	// it at the end of the test, and returns its ID.
	Make func(t *testing.T) (id string)
	// State describes everything that the provider stores about a credential, so that any
	// change is visible; it is empty once the credential is gone.
	State func(id string) string
}

// Refused is one declaration that cannot be granted.
type Refused struct {
	// Change turns a valid request into one that must be refused.
	Change func(*provider.MintRequest)
	// Reason and Field are those of the expected Refusal.
	Reason provider.RefusalReason
	Field  string
}

// Faults are faults of the provider or of the connection to it. Each lasts until the
// returned function is called. All are optional.
type Faults struct {
	// LoseAnswers passes n requests. All later ones take effect, and their answers are
	// lost.
	LoseAnswers func(after int) (restore func())
	// Reject answers every request with an explicit rejection whose text contains RawText.
	Reject func() (restore func())
	// RateLimit answers every request with "too many requests" and a retry delay of one
	// second.
	RateLimit func() (restore func())
	// Interrupt passes n requests, and fails all later ones before they take effect.
	Interrupt func(after int) (restore func())
	// Hang never answers, and closes the channel once a request waits.
	Hang func() (hanging <-chan struct{}, restore func())
	// FailAfterCommit passes n requests. All later ones take effect and are answered with
	// the status 502.
	FailAfterCommit func(after int) (restore func())
	// HTML passes n requests. All later ones take effect and are answered with the status
	// 200 and an HTML page.
	HTML func(after int) (restore func())
	// Slow passes n requests. All later ones take effect and are answered after the client
	// has given up.
	Slow func(after int) (restore func())
	// Skew sets how far the provider's clock is ahead of ours; negative if it is behind.
	Skew func(d time.Duration) (restore func())
}

// RawText stands for provider text that no error may repeat.
const RawText = "RAW-PROVIDER-TEXT"

// Requirements returns all requirements, in the order in which they run.
var Requirements = slices.Concat(
	group("describe", describing), group("mint", minting), group("find", finding), group("revoke", revoking), group("foreign", foreign),
	group("fail", failing), group("doubt", doubting), group("outside", outside), group("states", states), group("limits", limits),
	group("quota", quota), group("window", window), group("update", updating), group("manual", manualRequirements),
	group("hostile", hostile),
)

func group(name string, list []Requirement) []Requirement {
	for i := range list {
		list[i].Group = name
	}
	return list
}

// Attributes of a test in the output of go test -json.
const (
	// AttrGroup is the group of a requirement, set on its subtest.
	AttrGroup = "conformance-group"
	// AttrNotApplicable is the group and the name of a requirement that did not run,
	// joined by a slash, set on the parent test.
	AttrNotApplicable = "conformance-not-applicable"
)

// Run runs, as subtests, all requirements that apply and whose hooks the Harness has.
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

// NotRun returns the names of the requirements that apply but do not run because the
// Harness lacks a hook. Every driver tests that this list is empty.
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
