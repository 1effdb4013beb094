package connections

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"slices"
	"strconv"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/provider"
)

// accounts stores which account each provider's server named in its last answer. It
// ignores the status of providers. It is safe for concurrent use.
type accounts struct {
	// secret is the key of all hashes.
	secret [sha256.Size]byte

	mu     sync.Mutex
	of     map[account.Key]answer
	having map[account.Identity]map[account.Key]struct{}
	// settled: this process has tried to connect to every provider that was Ready when it
	// started.
	settled bool
}

// answer is the result of the last attempt to connect to a provider.
type answer struct {
	uid types.UID
	// named is false until a server has answered.
	named   bool
	account account.Identity
	minter  account.MinterIdentity
}

func newAccounts() *accounts {
	a := &accounts{of: map[account.Key]answer{}, having: map[account.Identity]map[account.Key]struct{}{}}
	_, _ = rand.Read(a.secret[:]) // never fails, see its documentation
	return a
}

// keys returns the identities of a connection that a server has just accepted.
func (a *accounts) keys(
	ctx context.Context, o account.Object, driver provider.Driver, cfg provider.Config, id string,
) (account.Identity, account.MinterIdentity) {
	server := account.ServerOf(ctx, driver, cfg)
	parts := []string{"account", driver.Type(), server.Host, id}
	used := usedCredentials(driver, cfg.Credentials)
	credentials := provider.MAC(a.secret[:], used...)
	if byCredentials(server, o) {
		parts = append(parts, string(credentials[:]))
		if len(used) == 0 {
			parts = append(parts, o.GetNamespace()) // nothing proves that two namespaces use the same account
		}
	}
	key := account.Identity(a.mac(parts...))
	return key, account.MinterIdentity(a.mac("minter", string(key[:]), string(credentials[:])))
}

// unknown is the identity of an account that no server has named yet. No other provider has it.
func (a *accounts) unknown(o account.Object) account.Identity {
	return account.Identity(a.mac("provider", o.Key().String(), string(o.GetUID())))
}

func (a *accounts) mac(parts ...string) [sha256.Size]byte {
	var b strings.Builder
	for _, part := range parts {
		b.WriteString(strconv.Itoa(len(part)) + ":" + part)
	}
	return provider.MAC(a.secret[:], provider.NewValue(b.String()))
}

// usedCredentials are the values that a driver uses: those of its CredentialKeys, or all of
// them if it does not name its keys.
func usedCredentials(driver provider.Driver, all map[string]provider.Value) []provider.Value {
	var out []provider.Value
	d, names := provider.As[provider.CredentialKeyer](driver)
	if !names {
		for _, value := range all {
			out = append(out, value)
		}
		return out
	}
	for _, key := range d.CredentialKeys() {
		if value := all[key]; !value.Empty() {
			out = append(out, value)
		}
	}
	return out
}

// tried stores the result of an attempt to connect; got is nil if it failed. A failed
// attempt keeps the last answer, unless that is of another object with the same name.
func (a *accounts) tried(key account.Key, uid types.UID, got *Connection) {
	a.mu.Lock()
	defer a.mu.Unlock()
	was, known := a.of[key]
	if got == nil && known && was.uid == uid {
		return
	}
	a.drop(key)
	now := answer{uid: uid}
	if got != nil {
		now.named, now.account, now.minter = true, got.AccountKey, got.MinterKey
		if a.having[now.account] == nil {
			a.having[now.account] = map[account.Key]struct{}{}
		}
		a.having[now.account][key] = struct{}{}
	}
	a.of[key] = now
}

// forget drops a provider that no longer exists.
func (a *accounts) forget(key account.Key) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.drop(key)
}

// drop removes a provider from both maps. The lock is held.
func (a *accounts) drop(key account.Key) {
	identity := a.of[key].account
	delete(a.of, key)
	if same := a.having[identity]; same != nil {
		delete(same, key)
		if len(same) == 0 {
			delete(a.having, identity)
		}
	}
}

// key returns the account in the last answer of a provider's server.
func (a *accounts) key(o account.Object) account.Identity {
	a.mu.Lock()
	was, ok := a.of[o.Key()]
	a.mu.Unlock()
	if ok && was.named && was.uid == o.GetUID() {
		return was.account
	}
	return a.unknown(o)
}

// Minter returns the account and credentials of the last connection to a provider; ok is
// false if this process has not connected to it.
func (p *Pool) Minter(key account.Key) (minter account.MinterIdentity, ok bool) {
	p.accounts.mu.Lock()
	defer p.accounts.mu.Unlock()
	was, ok := p.accounts.of[key]
	return was.minter, ok && was.named
}

// Sharing returns the providers whose servers named the account of this one, including
// itself. settled is false for some time after the start, while another provider of the
// same server has not been connected yet and can turn out to share the account.
func (p *Pool) Sharing(ctx context.Context, key account.Key) (same []account.Key, settled bool, err error) {
	same = p.accounts.same(key)
	if p.accounts.allTried() {
		return same, true, nil
	}
	settled, err = p.others(ctx, key)
	return same, settled, err
}

func (a *accounts) same(key account.Key) []account.Key {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := []account.Key{key}
	if was := a.of[key]; was.named {
		for other := range a.having[was.account] {
			if other != key {
				out = append(out, other)
			}
		}
	}
	return out
}

func (a *accounts) allTried() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.settled
}

func (a *accounts) isTried(o account.Object) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	was, ok := a.of[o.Key()]
	return ok && was.uid == o.GetUID()
}

// others reports whether this process has tried to connect to every other Ready provider of
// the same driver and server. Once that is true for all providers it stays true, because a
// provider becomes Ready only by an attempt to connect.
func (p *Pool) others(ctx context.Context, key account.Key) (bool, error) {
	all, err := account.List(ctx, p.o.Reader)
	if err != nil {
		return false, err
	}
	var untried []account.Object
	var own account.Object
	for _, o := range all {
		switch {
		case o.Key() == key:
			own = o
		case o.WasReady() && !p.accounts.isTried(o):
			untried = append(untried, o)
		}
	}
	if len(untried) == 0 {
		p.accounts.mu.Lock()
		p.accounts.settled = own.Raw == nil || !own.WasReady() || p.accounts.of[key].uid == own.GetUID()
		p.accounts.mu.Unlock()
		return true, nil
	}
	if own.Raw == nil {
		return true, nil
	}
	mine := p.placeOf(ctx, own)
	return mine == "" || !slices.ContainsFunc(untried, func(o account.Object) bool { return p.placeOf(ctx, o) == mine }), nil
}

// byCredentials reports whether the account of a provider is identified by its minting
// credentials, because its namespace chooses the server.
func byCredentials(server provider.Server, o account.Object) bool {
	return server.Declared && o.Kind == v1alpha1.KindTokenProvider
}

// placeOf is the driver and server of a provider; empty if no driver supports the spec.
func (p *Pool) placeOf(ctx context.Context, o account.Object) string {
	driver, settings, err := p.resolve(o, nil)
	if err != nil {
		return ""
	}
	server := account.ServerOf(ctx, driver, p.config(settings))
	if byCredentials(server, o) {
		return driver.Type() + " of " + o.GetNamespace() + " at " + server.Host // its account is identified by its credentials
	}
	return driver.Type() + " at " + server.Host
}
