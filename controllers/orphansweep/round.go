package orphansweep

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/connections"
	"apitoken.dev/operator/internal/credname"
	"apitoken.dev/operator/internal/metrics"
	"apitoken.dev/operator/internal/places"
	"apitoken.dev/operator/internal/provider"
)

// maxCandidates bounds the credentials in no ledger that one turn judges. If a provider
// lists more, the first are judged and all are counted.
const maxCandidates = 1000

// round is one sweep over all providers.
type round struct {
	s *Sweeper
	// number identifies the round. It started at began, and the previous one at last.
	number      int
	last, began time.Time
	// known numbers the names in the ledgers of the cache. They are no orphans, so a list
	// need not store them.
	known map[string]int
	// entries are the credentials in use by their number in known; nil if not in use. They
	// are shared with the cache.
	entries []*entry
	// used are the credentials in use by provider.
	used      map[account.Key][]use
	snapshots snapshots

	mu       sync.Mutex
	listed   map[account.MinterIdentity]bool
	reported map[reportedOnce]bool
}

// reportedOnce identifies an orphan that several sets of minting credentials can show.
type reportedOnce struct {
	account  account.Identity
	name, id string
}

func (s *Sweeper) newRound(ctx context.Context) (*round, error) {
	s.rounds++
	last, now := s.began, s.o.Clock.Now()
	if last.IsZero() || last.Before(now.Add(-askedEvery)) || last.After(now) {
		last = now.Add(-s.o.Interval)
	}
	s.began = now
	r := &round{s: s, number: s.rounds, last: last, began: now, known: map[string]int{}, used: map[account.Key][]use{},
		snapshots: snapshots{ctx: ctx, read: s.readCluster},
		listed:    map[account.MinterIdentity]bool{}, reported: map[reportedOnce]bool{}}
	var tokens v1alpha1.ApiTokenList
	if err := s.o.Cached.List(ctx, &tokens, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing ApiTokens: %w", err)
	}
	c := cluster{hash: s.o.Cluster}
	for i := range tokens.Items {
		t := &tokens.Items[i]
		for j := range t.Status.Credentials {
			if e := &t.Status.Credentials[j]; c.owns(t.Namespace, t.Name, e.Name) {
				r.know(t, e)
			}
		}
	}
	return r, nil
}

// claim reports whether this is the first list with these minting credentials in this
// round.
func (r *round) claim(minter account.MinterIdentity) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.listed[minter] {
		return false
	}
	r.listed[minter] = true
	return true
}

func (r *round) release(minter account.MinterIdentity) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.listed, minter)
}

// first drops the orphans that another provider of the account has reported in this round.
func (r *round) first(account account.Identity, orphans []orphan) []orphan {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []orphan
	for _, o := range orphans {
		key := reportedOnce{account, o.Name, o.ID}
		if !r.reported[key] {
			r.reported[key] = true
			out = append(out, o)
		}
	}
	return out
}

// inventory is what a provider shows of this cluster.
type inventory struct {
	object     account.Object
	connection connections.Connection
	// candidates are in no ledger of the cache. Each occurs once.
	candidates []candidate
	// total counts all credentials of this cluster, and left the candidates beyond
	// maxCandidates.
	total, left int
	// seen is how the list showed the credentials of ledgers, by their number in known.
	seen []seen
	// complete: the list started at the first page and ended.
	complete bool
	// next is where the next sweep continues; empty means at the first page.
	next string
}

type candidate struct {
	provider.Credential
	parsed credname.Name
}

// sweep lists a provider first and reads the ledgers after it. It also judges the
// credentials of a list that did not end. all are the providers that would show the same.
func (r *round) sweep(ctx context.Context, o account.Object, all []account.Object) error {
	place, err := r.s.places.Await(ctx, places.Want{Who: o.Key().ObjectKey(), Provider: o.Key().String()})
	if err != nil {
		return err
	}
	defer place.Release()
	connection, err := r.s.o.Pool.Connect(ctx, o.Key(), place)
	if err != nil {
		return err
	}
	if !r.claim(connection.MinterKey) {
		r.s.report(o.Key(), 0, true)
		return nil
	}
	m := r.s.remembered(connection.MinterKey)
	inv, failed := r.list(ctx, o, connection, m.cursor)
	if failed != nil && inv.next == "" {
		defer r.release(connection.MinterKey) // another provider may succeed
	}
	r.drift(inv, all, m)
	if failed != nil && len(inv.candidates) == 0 {
		m.continueAt(inv.next)
		return failed
	}
	orphans, err := r.judged(ctx, inv, m)
	if err == nil {
		m.continueAt(inv.next)
		orphans, err = r.s.confirm(ctx, inv, orphans)
	}
	if err == nil {
		err = r.act(ctx, inv, orphans)
	}
	return errors.Join(failed, err)
}

// judged returns the orphans of an inventory by ledgers that are read after it. It does not
// retain the ledgers, which can be large. Without candidates, as in most turns, it does not
// read them, since a read covers the whole cluster.
func (r *round) judged(ctx context.Context, inv inventory, m *memory) ([]orphan, error) {
	if len(inv.candidates) == 0 {
		return r.s.judge(inv, nil, m, r.number), nil
	}
	known, err := r.snapshots.after(ctx)
	if err != nil {
		return nil, err
	}
	return r.s.judge(inv, known, m, r.number), nil
}

// list starts at the marker of an earlier list and leaves a tenth of the turn for the rest.
// Its memory is bounded by maxCandidates.
func (r *round) list(ctx context.Context, o account.Object, connection connections.Connection, from string) (inventory, error) {
	ctx, cancel := context.WithTimeout(ctx, r.s.o.Turn-r.s.o.Turn/10)
	defer cancel()
	cursor := provider.NewCursor(from)
	inv := inventory{object: o, connection: connection, seen: make([]seen, len(r.known))}
	type shown struct{ name, id string }
	once := map[shown]bool{}
	for c, err := range connection.Client.List(provider.WithCursor(ctx, cursor), provider.Owner{Cluster: r.s.o.Cluster}) {
		if err != nil {
			return inv.cut(ctx, cursor, provider.AsError(err))
		}
		if i, ok := r.known[c.Name]; ok {
			if inv.seen[i] == unseen {
				inv.total++
			}
			inv.seen[i] = max(inv.seen[i], r.saw(i, c))
			continue
		}
		n, err := credname.Parse(c.Name)
		if err != nil || !n.InCluster(r.s.o.Cluster) || once[shown{c.Name, c.ID}] {
			continue
		}
		inv.total++
		if len(inv.candidates) == maxCandidates {
			inv.left++
			continue
		}
		once[shown{c.Name, c.ID}] = true
		inv.candidates = append(inv.candidates, candidate{Credential: c, parsed: n})
	}
	if err := ctx.Err(); err != nil {
		return inv.cut(ctx, cursor, err)
	}
	inv.complete = from == ""
	return inv, nil
}

// forget drops the state of providers and minting credentials that no longer exist.
func (s *Sweeper) forget(providers []account.Object) {
	s.mu.Lock()
	defer s.mu.Unlock()
	there, used := map[account.Key]bool{}, map[account.MinterIdentity]bool{}
	for _, o := range providers {
		there[o.Key()] = true
		if minter, ok := s.o.Pool.Minter(o.Key()); ok {
			used[minter] = true
		}
	}
	for minter := range s.memories {
		if !used[minter] {
			delete(s.memories, minter)
		}
	}
	for key := range s.reported {
		if !there[key] {
			delete(s.reported, key)
			metrics.ForgetSweep(key)
		}
	}
}

// report sets the metric of a provider's orphans. An incomplete list can only raise it.
func (s *Sweeper) report(key account.Key, n int, complete bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if last, ok := s.reported[key]; ok && !complete && n < last {
		return
	}
	s.reported[key] = n
	metrics.SetOrphans(key, n)
}
