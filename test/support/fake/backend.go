// Package fake is a provider in memory. A Backend is the provider itself: it
// outlives the operators that use it, remembers every call, and fails in the
// ways a provider can. A Driver gives access to it. It starts no goroutines.
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

// Canary begins every secret value, so that a leak can be searched for.
const Canary = "CANARY-"

// DefaultAccount is the account of a new Backend.
const DefaultAccount = "fake-account"

// Backend is the provider: shared by all clients, safe for concurrent use.
type Backend struct {
	// OnCall, if set, is asked before and after the effect of every call and may
	// block. A fault it returns is used instead of a scripted one. Set it before use.
	OnCall func(ctx context.Context, call Call) Fault
	// ObeysIDs makes Revoke end any credential of the account that has the ID of the
	// Ref, whatever its name: a provider that trusts its caller. Set it before use.
	ObeysIDs bool
	// KeepsEnded makes the provider go on showing what was revoked or has expired, as
	// Ended. Otherwise what was revoked is gone, and what has expired is Disabled until it
	// is revoked. Set it before use.
	KeepsEnded bool
	// ShowsGrants makes Find and List show what each credential may do. Set it before use.
	ShowsGrants bool
	// Token, if set, is the minting credential (key "token") that Connect insists
	// on. Set it before use.
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

// credential is one that was made and not revoked, or what is left of it.
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
	byHand   bool // made by a person: no API shows or ends it
}

// NewBackend returns an empty Backend that reads the time from c.
func NewBackend(c clock.Clock) *Backend {
	return &Backend{
		clock: c, account: DefaultAccount,
		script: map[Verb][]Fault{}, minted: map[string]int{},
	}
}

// locked runs f with the lock held, after the held requests that are due landed.
func (b *Backend) locked(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.held) > 0 {
		b.landDue()
	}
	f()
}

// UseAccount makes every later Connect return this account, which sees only
// what was minted in it. Clients that are connected stay where they are.
func (b *Backend) UseAccount(id string) { b.locked(func() { b.account = id }) }

// GrantOnly makes every later Connect say that the account can give these scopes;
// none: those of the driver's Capabilities.
func (b *Backend) GrantOnly(scopes ...string) { b.locked(func() { b.grantable = scopes }) }

// Reveal shows to Find and List what the fault Hide kept from them.
func (b *Backend) Reveal() {
	b.locked(func() {
		for _, c := range b.credentials {
			c.hidden = false
		}
	})
}

// now is the provider's own time. The lock is held.
func (b *Backend) now() time.Time { return b.clock.Now().Add(b.skew) }

// alive reports whether a credential gives access: it is not a remainder, not
// switched off, not revoked and has not expired. The lock is held.
func (b *Backend) alive(c *credential) bool {
	return !c.remains && !c.disabled && !c.ended && (c.ExpiresAt.IsZero() || b.now().Before(c.ExpiresAt))
}

// Live reports whether any credential of that name gives access, in any account.
func (b *Backend) Live(name string) bool {
	return len(b.liveWhere(func(c *credential) bool { return c.Name == name })) > 0
}

// LiveOf returns the names of the credentials of that owner that give access,
// in any account, sorted. An owner without a Token is its whole cluster.
func (b *Backend) LiveOf(owner provider.Owner) []string {
	return b.liveWhere(func(c *credential) bool { return owns(owner, c.owner) })
}

// LiveNames returns the name of every credential that gives access, sorted.
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

// GrantOf returns what the newest credential of that name was granted.
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

// Accepts reports whether the data plane would take these keys now.
func (b *Backend) Accepts(id, secret string) bool {
	live := b.liveWhere(func(c *credential) bool { return c.ID == id && c.secret == secret })
	return len(live) > 0
}

// MintCount returns how many Mint calls this name has had, whatever became of them.
func (b *Backend) MintCount(name string) int {
	n := 0
	b.locked(func() { n = b.minted[name] })
	return n
}

// Calls returns every call so far, each in both phases as far as it came.
func (b *Backend) Calls() []Call {
	var out []Call
	b.locked(func() { out = slices.Clone(b.calls) })
	return out
}

// Count returns how many calls of a verb were begun.
func (b *Backend) Count(verb Verb) int {
	n := 0
	for _, c := range b.Calls() {
		if c.Verb == verb && c.Phase == Before {
			n++
		}
	}
	return n
}

// State describes everything that decides how the backend will behave, apart
// from scripts and the clock: equal states print equally.
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
