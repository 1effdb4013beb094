// Package fake is a provider in memory. A Backend is the provider itself: it outlives
// the operators that use it, records every call, and can fail in all the ways in which
// a provider can. A Driver connects to it. The package starts no goroutines.
package fake

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"apitoken.dev/operator/internal/clock"
	"apitoken.dev/operator/internal/provider"
)

// Canary is the start of every secret value, so that tests can search for leaks.
const Canary = "CANARY-"

// DefaultAccount is the account of a new Backend.
const DefaultAccount = "fake-account"

// Backend is the provider. All clients share it. It is safe for concurrent use.
type Backend struct {
	// OnCall, if set, is called before and after the effect of every call and can block. A
	// fault that it returns replaces the scripted one. Set it before use.
	OnCall func(ctx context.Context, call Call) Fault
	// ObeysIDs makes Revoke end any credential of the account with the ID of the Ref,
	// under any name: a provider that trusts its caller. Set it before use.
	ObeysIDs bool
	// KeepsEnded makes the provider show credentials that were revoked or have expired as
	// Ended. Otherwise a revoked credential is gone, and an expired one is Disabled until
	// it is revoked. Set it before use.
	KeepsEnded bool
	// ShowsGrants makes Find and List show the grant of each credential. Set it before
	// use.
	ShowsGrants bool
	// Token, if set, is the minting credential (key "token") that Connect requires. Set it
	// before use.
	Token string

	clock clock.Clock

	mu          sync.Mutex
	skew        time.Duration
	account     string
	grantable   []string
	credentials []*credential
	made        int
	calls       []Call
	script      map[Verb][]Fault
	held        []held
	minted      map[string]int
}

// credential is a credential that was not revoked, or its remains.
type credential struct {
	provider.Credential
	account  string
	owner    provider.Owner
	grant    provider.Grant
	secret   string
	remains  bool // without access
	hidden   bool
	disabled bool
	ended    bool // revoked, and still shown
	manual   bool // manual: no API shows or ends it
}

// NewBackend returns an empty Backend that reads the time from c.
func NewBackend(c clock.Clock) *Backend {
	return &Backend{
		clock: c, account: DefaultAccount,
		script: map[Verb][]Fault{}, minted: map[string]int{},
	}
}

// locked runs f with the lock held, after all due delayed requests have taken effect.
func (b *Backend) locked(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.held) > 0 {
		b.landDue()
	}
	f()
}

// UseAccount makes every later Connect return this account, which sees only the
// credentials minted in it. Connected clients keep their account.
func (b *Backend) UseAccount(id string) { b.locked(func() { b.account = id }) }

// GrantOnly makes every later Connect report that the account can grant these scopes;
// without arguments, those of the driver's Capabilities.
func (b *Backend) GrantOnly(scopes ...string) { b.locked(func() { b.grantable = scopes }) }

// Reveal makes Find and List show credentials that the fault Hide hid.
func (b *Backend) Reveal() {
	b.locked(func() {
		for _, c := range b.credentials {
			c.hidden = false
		}
	})
}

// now returns the provider's time. The lock is held.
func (b *Backend) now() time.Time { return b.clock.Now().Add(b.skew) }

// alive reports whether a credential grants access: it is not a remainder, not switched
// off, not revoked and has not expired. The lock is held.
func (b *Backend) alive(c *credential) bool {
	return !c.remains && !c.disabled && !c.ended && (c.ExpiresAt.IsZero() || b.now().Before(c.ExpiresAt))
}

// Live reports whether any credential of that name grants access, in any account.
func (b *Backend) Live(name string) bool {
	return len(b.liveWhere(func(c *credential) bool { return c.Name == name })) > 0
}

// LiveOf returns the sorted names of the owner's credentials that grant access, in any
// account. An owner without a Token is its whole cluster.
func (b *Backend) LiveOf(owner provider.Owner) []string {
	return b.liveWhere(func(c *credential) bool { return owns(owner, c.owner) })
}

// LiveNames returns the sorted names of all credentials that grant access.
func (b *Backend) LiveNames() []string {
	return b.liveWhere(func(*credential) bool { return true })
}

func (b *Backend) liveWhere(match func(*credential) bool) []string {
	var out []string
	b.locked(func() {
		for _, c := range b.credentials {
			if match(c) && b.alive(c) {
				out = append(out, c.Name)
			}
		}
	})
	slices.Sort(out)
	return out
}

// GrantOf returns the grant of the newest credential of that name.
func (b *Backend) GrantOf(name string) (provider.Grant, bool) {
	var grant provider.Grant
	found := false
	b.locked(func() {
		for _, c := range b.credentials {
			if c.Name == name {
				grant, found = c.grant, true
			}
		}
	})
	return grant, found
}

// Accepts reports whether the data plane accepts these keys now.
func (b *Backend) Accepts(id, secret string) bool {
	live := b.liveWhere(func(c *credential) bool { return c.ID == id && c.secret == secret })
	return len(live) > 0
}

// MintCount returns the number of Mint calls for this name, with any outcome.
func (b *Backend) MintCount(name string) int {
	n := 0
	b.locked(func() { n = b.minted[name] })
	return n
}

// Calls returns every call so far, in each phase that it reached.
func (b *Backend) Calls() []Call {
	var out []Call
	b.locked(func() { out = slices.Clone(b.calls) })
	return out
}

// Count returns the number of calls of a verb that were started.
func (b *Backend) Count(verb Verb) int {
	n := 0
	for _, c := range b.Calls() {
		if c.Verb == verb && c.Phase == Before {
			n++
		}
	}
	return n
}

// State describes everything that determines how the backend behaves, except for
// scripts and the clock. Equal states have equal descriptions.
func (b *Backend) State() string {
	var lines []string
	b.locked(func() {
		for _, c := range b.credentials {
			lines = append(lines, fmt.Sprintf("%s %s %s hidden=%t until=%s",
				c.account, c.Name, b.stateOf(c), c.hidden, c.ExpiresAt.UTC().Format(time.RFC3339)))
		}
		for _, h := range b.held {
			lines = append(lines, fmt.Sprintf("%s %s %s in flight", h.call.Account, h.call.Verb, h.call.Name))
		}
		lines = append(lines, "account "+b.account)
	})
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// SecretOf returns the secret value of every credential that Mint makes under that name.
func SecretOf(name string) string { return Canary + name }

// owns reports whether a credential of the second owner belongs to the first.
func owns(owner, of provider.Owner) bool {
	return owner.Cluster == of.Cluster && (owner.Token == "" || owner == of)
}
