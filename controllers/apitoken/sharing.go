package apitoken

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/connections"
	"apitoken.dev/operator/internal/plan"
)

func nameOf(t *v1alpha1.ApiToken) types.NamespacedName {
	return types.NamespacedName{Namespace: t.Namespace, Name: t.Name}
}

// accountOf identifies the account among all kinds of provider.
func accountOf(p *pass) string { return p.facts.DriverType + "/" + p.facts.Account }

// shared gathers what other ApiTokens have of the same account, where the
// provider has room for few credentials or lists few.
func (r *Reconciler) shared(ctx context.Context, p *pass) (plan.Shared, error) {
	caps := p.facts.Capabilities
	if caps.MaxLive == 0 && caps.Listed == 0 {
		return plan.Shared{}, nil
	}
	tokens, err := r.ofAccount(ctx, p)
	if err != nil {
		return plan.Shared{}, err
	}
	var out plan.Shared
	slices.SortFunc(tokens, precedence)
	for i := range tokens {
		if nameOf(&tokens[i]) == nameOf(p.token) {
			break
		}
		out.Ahead = append(out.Ahead, plan.Claim{Token: nameOf(&tokens[i]).String(), Strategy: tokens[i].Spec.Rotation.Strategy})
	}
	var doubts []doubt
	for i := range tokens {
		t := &tokens[i]
		for j := range t.Status.Credentials {
			e := &t.Status.Credentials[j]
			if e.IssuedAt != nil || e.ID != "" {
				continue
			}
			doubts = append(doubts, doubt{name: e.Name, since: reservedAt(e)})
			if nameOf(t) != nameOf(p.token) {
				out.Open = append(out.Open, plan.Holder{Token: nameOf(t).String(), Name: e.Name})
			}
		}
	}
	if caps.Listed > 0 {
		out.NewerThanDoubt, out.Doubt = r.window.newer(accountOf(p), doubts, tokens)
	}
	return out, nil
}

// ofAccount returns the ApiTokens of all providers that have the account of this
// pass. They are shared with the cache.
func (r *Reconciler) ofAccount(ctx context.Context, p *pass) ([]v1alpha1.ApiToken, error) {
	var all v1alpha1.ApiTokenList
	if err := r.Client.List(ctx, &all, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing the ApiTokens of an account: %w", err)
	}
	same := map[connections.Key]bool{p.key: true}
	var out []v1alpha1.ApiToken
	for i := range all.Items {
		t := &all.Items[i]
		key := connections.KeyFor(t)
		if _, known := same[key]; !known {
			f, err := r.Providers.Facts(ctx, key, t.Namespace)
			if err != nil {
				return nil, fmt.Errorf("reading the provider of ApiToken %s: %w", nameOf(t), err)
			}
			same[key] = f.Account != "" && f.Account == p.facts.Account && f.DriverType == p.facts.DriverType
		}
		if same[key] {
			out = append(out, *t)
		}
	}
	return out, nil
}

// precedence orders ApiTokens of one account: those that have credentials come
// first, then the older ones.
func precedence(a, b v1alpha1.ApiToken) int {
	rank := func(t *v1alpha1.ApiToken) int {
		if len(t.Status.Credentials) > 0 {
			return 0
		}
		return 1
	}
	return cmp.Or(
		cmp.Compare(rank(&a), rank(&b)),
		a.CreationTimestamp.Compare(b.CreationTimestamp.Time),
		cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
}

func reservedAt(e *v1alpha1.LedgerEntry) time.Time {
	if e.ReservedAt == nil {
		return time.Time{}
	}
	return e.ReservedAt.Time
}

// doubt is an attempt whose end is not known.
type doubt struct {
	name  string
	since time.Time
}

// window counts the reservations of each account since this process first saw
// an attempt whose end is not known.
type window struct {
	mu     sync.Mutex
	counts map[string]int
	seen   map[string]map[string]int
}

func (w *window) reserved(account string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.counts == nil {
		w.counts = map[string]int{}
	}
	w.counts[account]++
}

// newer returns how many reservations came after the oldest doubt, and its name:
// those that this process made, or those that the ledgers still show, whichever
// are more. A process that starts does not know of reservations whose entries
// are gone; a driver never takes a name that may have fallen out for gone.
func (w *window) newer(account string, doubts []doubt, tokens []v1alpha1.ApiToken) (count int, name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	before := w.seen[account]
	now := make(map[string]int, len(doubts))
	for _, d := range doubts {
		first, known := before[d.name]
		if !known {
			first = w.counts[account]
		}
		now[d.name] = first
		n := max(w.counts[account]-first, shown(tokens, d))
		if name == "" || n > count {
			count, name = n, d.name
		}
	}
	if w.seen == nil {
		w.seen = map[string]map[string]int{}
	}
	w.seen[account] = now
	return count, name
}

// shown counts the ledger entries reserved after an attempt.
func shown(tokens []v1alpha1.ApiToken, d doubt) int {
	n := 0
	for i := range tokens {
		for j := range tokens[i].Status.Credentials {
			if reservedAt(&tokens[i].Status.Credentials[j]).After(d.since) {
				n++
			}
		}
	}
	return n
}

// accounts are locked one by one.
type accounts struct {
	mu    sync.Mutex
	locks map[string]*sync.Mutex
}

func (a *accounts) lock(account string) (unlock func()) {
	a.mu.Lock()
	if a.locks == nil {
		a.locks = map[string]*sync.Mutex{}
	}
	l := a.locks[account]
	if l == nil {
		l = &sync.Mutex{}
		a.locks[account] = l
	}
	a.mu.Unlock()
	l.Lock()
	return l.Unlock
}

// proofs remember when it was last tried whether a credential is deleted.
type proofs struct {
	mu   sync.Mutex
	last map[string]time.Duration
}

func (p *proofs) tried(name string, now time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.last == nil {
		p.last = map[string]time.Duration{}
	}
	p.last[name] = now
}

// forget drops what is remembered of a credential that is gone.
func (p *proofs) forget(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.last, name)
}

// wait is how long until it is tried again; 0: now.
func (p *proofs) wait(name string, now time.Duration) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	last, ok := p.last[name]
	if !ok {
		return 0
	}
	if wait := last + proofInterval - now; wait > 0 {
		return wait
	}
	delete(p.last, name)
	return 0
}

// refusals remember handed-over credentials that cannot be used, by the version
// of their Secret.
type refusals struct {
	mu  sync.Mutex
	why map[types.NamespacedName]refused
}

type refused struct{ version, message string }

func (r *refusals) add(token types.NamespacedName, version, message string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.why == nil {
		r.why = map[types.NamespacedName]refused{}
	}
	r.why[token] = refused{version, message}
}

// of returns why the credential in this version cannot be used; empty: not known.
func (r *refusals) of(token types.NamespacedName, version string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if why, ok := r.why[token]; ok && why.version == version {
		return why.message
	}
	return ""
}

func (r *refusals) forget(token types.NamespacedName) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.why, token)
}
