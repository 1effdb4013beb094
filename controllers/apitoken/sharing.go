package apitoken

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/connections"
	"apitoken.dev/operator/internal/memory"
	"apitoken.dev/operator/internal/plan"
)

func nameOf(t *v1alpha1.ApiToken) types.NamespacedName {
	return types.NamespacedName{Namespace: t.Namespace, Name: t.Name}
}

// shared gathers what other ApiTokens have of the same account, where the
// provider has room for few credentials or lists few. It costs what the account
// has, however many ApiTokens the cluster has.
func (r *Reconciler) shared(ctx context.Context, p *pass) (plan.Shared, error) {
	caps := p.facts.Capabilities
	if caps.MaxLive == 0 && caps.Listed == 0 {
		return plan.Shared{}, nil
	}
	same, _, err := r.Providers.Sharing(ctx, p.key)
	if err != nil {
		return plan.Shared{}, fmt.Errorf("reading the providers of an account: %w", err)
	}
	var out plan.Shared
	if caps.MaxLive > 0 {
		if out.Ahead, err = r.ahead(ctx, p, same); err != nil {
			return plan.Shared{}, err
		}
	}
	unfinished, err := r.tokensOf(ctx, same, account.Unfinished)
	if err != nil {
		return plan.Shared{}, err
	}
	var doubts []*v1alpha1.LedgerEntry
	doubts, out.Open = openAttempts(unfinished, nameOf(p.token))
	if caps.MaxLive > 0 {
		if out.Gaps, err = r.gapsOf(ctx, p, unfinished); err != nil {
			return plan.Shared{}, err
		}
	}
	if caps.Listed == 0 {
		return out, nil
	}
	var tokens []*v1alpha1.ApiToken
	if len(doubts) > 0 {
		if tokens, err = r.tokensOf(ctx, same, account.Referencing); err != nil {
			return plan.Shared{}, err
		}
	}
	out.NewerThanDoubt, out.Doubt = r.memory.Reservations.Since(p.facts.AccountKey, open(doubts, tokens))
	return out, nil
}

// openAttempts returns the attempts with an unknown outcome: all of them, and those of
// other ApiTokens than own.
func openAttempts(tokens []*v1alpha1.ApiToken, own types.NamespacedName) (doubts []*v1alpha1.LedgerEntry, others []plan.Holder) {
	for _, t := range tokens {
		for i := range t.Status.Credentials {
			e := &t.Status.Credentials[i]
			if !account.Open(e) {
				continue
			}
			doubts = append(doubts, e)
			if nameOf(t) != own {
				others = append(others, plan.Holder{Peer: peerOf(t), Credential: e.Name})
			}
		}
	}
	return doubts, others
}

// gapsOf returns the other ApiTokens that gave their credential up and have no attempt
// open. Of two ApiTokens in a gap only the one that comes first has a claim against the
// other: otherwise both could wait for ever.
func (r *Reconciler) gapsOf(ctx context.Context, p *pass, unfinished []*v1alpha1.ApiToken) ([]plan.Peer, error) {
	var out []plan.Peer
	for _, t := range unfinished {
		behind := p.token.Status.GapSince != nil && precedence(t, p.token) > 0
		if nameOf(t) == nameOf(p.token) || behind || !inGap(t, p.obs.Now) || slices.ContainsFunc(t.Status.Credentials, isOpen) {
			continue
		}
		holds, err := r.holdsSlot(ctx, t)
		if err != nil {
			return nil, err
		}
		if holds {
			out = append(out, peerOf(t))
		}
	}
	return out, nil
}

func isOpen(e v1alpha1.LedgerEntry) bool { return account.Open(&e) }

// inGap reports whether an ApiToken gave its credential up and will have another one.
func inGap(t *v1alpha1.ApiToken, now time.Time) bool {
	end, err := t.Spec.HardEnd()
	ended := err != nil || !end.IsZero() && !now.Before(end)
	return t.Status.GapSince != nil && t.DeletionTimestamp.IsZero() && !ended
}

// ahead returns the first ApiTokens that come before this one in its account: as many
// as can have a credential there, because no more of them decide anything.
func (r *Reconciler) ahead(ctx context.Context, p *pass, same []account.Key) ([]plan.Claim, error) {
	tokens, err := r.tokensOf(ctx, same, account.Referencing)
	if err != nil {
		return nil, err
	}
	tokens = slices.DeleteFunc(tokens, func(t *v1alpha1.ApiToken) bool {
		return nameOf(t) == nameOf(p.token) || precedence(t, p.token) > 0
	})
	slices.SortFunc(tokens, precedence)
	var out []plan.Claim
	for _, t := range tokens {
		if len(out) == p.facts.Capabilities.MaxLive {
			break
		}
		holds, err := r.holdsSlot(ctx, t)
		if err != nil {
			return nil, err
		}
		if holds {
			out = append(out, plan.Claim{Peer: peerOf(t), Strategy: t.Spec.Rotation.Strategy})
		}
	}
	return out, nil
}

// holdsSlot reports whether an ApiToken has a claim to a slot of its account: the
// provider admits it, or it has credentials there.
func (r *Reconciler) holdsSlot(ctx context.Context, t *v1alpha1.ApiToken) (bool, error) {
	if plan.Counts(t, false) {
		return true, nil
	}
	f, err := r.Providers.Facts(ctx, account.KeyFor(t), t.Namespace, plan.GrantOf(&t.Spec))
	if err != nil {
		return false, fmt.Errorf("reading the provider of an ApiToken of the same account: %w", err)
	}
	return plan.Counts(t, f.Admitted), nil
}

// tokensOf returns ApiTokens of some providers. They are shared with the cache.
func (r *Reconciler) tokensOf(ctx context.Context, providers []account.Key,
	read func(context.Context, client.Reader, account.Key) ([]v1alpha1.ApiToken, error),
) ([]*v1alpha1.ApiToken, error) {
	var out []*v1alpha1.ApiToken
	for _, key := range providers {
		tokens, err := read(ctx, r.Client, key)
		if err != nil {
			return nil, err
		}
		for i := range tokens {
			out = append(out, &tokens[i])
		}
	}
	return out, nil
}

// knowsAccount returns Superseded if a pass began without knowing which account
// it is about, or who else has it. The next pass knows more.
func (r *Reconciler) knowsAccount(ctx context.Context, p *pass, conn connections.Connection) plan.Outcome {
	if conn.AccountKey != p.facts.AccountKey {
		return plan.Superseded{What: "the account was not known yet"}
	}
	_, settled, err := r.Providers.Sharing(ctx, p.key)
	if err != nil {
		return failed(fmt.Errorf("reading the providers of an account: %w", err))
	}
	if !settled {
		return plan.Superseded{What: "another provider of the same server may have the account"}
	}
	return nil
}

// precedence orders ApiTokens of one account: those that have credentials, or gave
// theirs up for a moment, come first, then the older ones.
func precedence(a, b *v1alpha1.ApiToken) int {
	rank := func(t *v1alpha1.ApiToken) int {
		if len(t.Status.Credentials) > 0 || t.Status.GapSince != nil {
			return 0
		}
		return 1
	}
	return cmp.Or(
		cmp.Compare(rank(a), rank(b)),
		a.CreationTimestamp.Compare(b.CreationTimestamp.Time),
		cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
}

func reservedAt(e *v1alpha1.LedgerEntry) time.Time {
	if e.ReservedAt == nil {
		return time.Time{}
	}
	return e.ReservedAt.Time
}

// open are attempts with an unknown outcome, each with how many entries of the ledgers were
// reserved after it.
func open(attempts []*v1alpha1.LedgerEntry, tokens []*v1alpha1.ApiToken) []memory.Open {
	out := make([]memory.Open, len(attempts))
	for i, e := range attempts {
		out[i] = memory.Open{Name: e.Name, Newer: reservedAfter(tokens, reservedAt(e))}
	}
	return out
}

// reservedAfter counts the ledger entries reserved after a time.
func reservedAfter(tokens []*v1alpha1.ApiToken, since time.Time) int {
	n := 0
	for _, t := range tokens {
		for i := range t.Status.Credentials {
			if reservedAt(&t.Status.Credentials[i]).After(since) {
				n++
			}
		}
	}
	return n
}
