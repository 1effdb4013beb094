package observe

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/memory"
	"apitoken.dev/operator/internal/plan"
)

// Shared returns the facts about other ApiTokens of the account, if its slots or the
// provider's list window are limited. The cost grows with the ApiTokens of the account, not
// of the cluster.
func (s *Sources) Shared(ctx context.Context, t *v1alpha1.ApiToken, f *account.Facts) (plan.Shared, error) {
	caps := f.Capabilities
	if caps.MaxLive == 0 && caps.Listed == 0 {
		return plan.Shared{}, nil
	}
	same, _, err := s.Providers.Sharing(ctx, account.KeyFor(t))
	if err != nil {
		return plan.Shared{}, fmt.Errorf("reading the providers of an account: %w", err)
	}
	var out plan.Shared
	if caps.MaxLive > 0 {
		if out.Ahead, err = s.ahead(ctx, t, same, caps.MaxLive); err != nil {
			return plan.Shared{}, err
		}
	}
	unfinished, err := tokensOf(ctx, same, s.Objects.Unfinished)
	if err != nil {
		return plan.Shared{}, err
	}
	var open []*v1alpha1.LedgerEntry
	open, out.Open = openAttempts(unfinished, nameOf(t))
	if caps.MaxLive > 0 {
		if out.Gaps, err = s.gaps(ctx, t, unfinished); err != nil {
			return plan.Shared{}, err
		}
	}
	if caps.Listed == 0 {
		return out, nil
	}
	out.NewerThanDoubt, out.Doubt, err = s.newer(ctx, f.AccountKey, same, open)
	return out, err
}

// newer returns how many credentials were reserved after the oldest attempt with an
// unknown outcome, and the name of that attempt.
func (s *Sources) newer(ctx context.Context, of account.Identity, same []account.Key, attempts []*v1alpha1.LedgerEntry) (count int, oldest string, err error) {
	var tokens []*v1alpha1.ApiToken
	if len(attempts) > 0 {
		if tokens, err = tokensOf(ctx, same, s.Objects.Referencing); err != nil {
			return 0, "", err
		}
	}
	open := make([]memory.Open, len(attempts))
	for i, e := range attempts {
		open[i] = memory.Open{Name: e.Name, Newer: reservedAfter(tokens, reservedAt(e))}
	}
	count, oldest = s.Memory.Reservations.Since(of, open)
	return count, oldest, nil
}

// openAttempts returns the attempts with an unknown outcome: all of them, and those of
// other ApiTokens than own.
func openAttempts(tokens []*v1alpha1.ApiToken, own types.NamespacedName) (all []*v1alpha1.LedgerEntry, others []plan.Holder) {
	for _, t := range tokens {
		for i := range t.Status.Credentials {
			e := &t.Status.Credentials[i]
			if !account.Open(e) {
				continue
			}
			all = append(all, e)
			if nameOf(t) != own {
				others = append(others, plan.Holder{Peer: peerOf(t), Credential: e.Name})
			}
		}
	}
	return all, others
}

// gaps returns the other ApiTokens that are in a gap and have no open attempt. Of two
// ApiTokens in a gap, only the first in the order of precedence has a claim. Otherwise each
// could wait for the other.
func (s *Sources) gaps(ctx context.Context, of *v1alpha1.ApiToken, unfinished []*v1alpha1.ApiToken) ([]plan.Peer, error) {
	now := s.Clock.Now()
	var out []plan.Peer
	for _, t := range unfinished {
		behind := of.Status.GapSince != nil && precedence(t, of) > 0
		if nameOf(t) == nameOf(of) || behind || !inGap(t, now) || slices.ContainsFunc(t.Status.Credentials, isOpen) {
			continue
		}
		holds, err := s.holdsSlot(ctx, t)
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

// inGap reports whether an ApiToken is in a gap and will get another credential.
func inGap(t *v1alpha1.ApiToken, now time.Time) bool {
	end, err := t.Spec.HardEnd()
	ended := err != nil || !end.IsZero() && !now.Before(end)
	return t.Status.GapSince != nil && t.DeletionTimestamp.IsZero() && !ended
}

// ahead returns the first ApiTokens before this one in its account, at most as many as can
// have a credential there. Any more would not change a decision.
func (s *Sources) ahead(ctx context.Context, of *v1alpha1.ApiToken, same []account.Key, most int) ([]plan.Claim, error) {
	tokens, err := tokensOf(ctx, same, s.Objects.Referencing)
	if err != nil {
		return nil, err
	}
	tokens = slices.DeleteFunc(tokens, func(t *v1alpha1.ApiToken) bool {
		return nameOf(t) == nameOf(of) || precedence(t, of) > 0
	})
	slices.SortFunc(tokens, precedence)
	var out []plan.Claim
	for _, t := range tokens {
		if len(out) == most {
			break
		}
		holds, err := s.holdsSlot(ctx, t)
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
func (s *Sources) holdsSlot(ctx context.Context, t *v1alpha1.ApiToken) (bool, error) {
	if plan.Counts(t, false) {
		return true, nil
	}
	f, err := s.Providers.Facts(ctx, account.KeyFor(t), t.Namespace, plan.GrantOf(&t.Spec))
	if err != nil {
		return false, fmt.Errorf("reading the provider of an ApiToken of the same account: %w", err)
	}
	return plan.Counts(t, f.Admitted), nil
}

// precedence orders the ApiTokens of one account: first those that have credentials or are
// in a gap, then by age. An ApiToken that is not created yet is the youngest.
func precedence(a, b *v1alpha1.ApiToken) int {
	rank := func(t *v1alpha1.ApiToken) int {
		switch {
		case len(t.Status.Credentials) > 0 || t.Status.GapSince != nil:
			return 0
		case !t.CreationTimestamp.IsZero():
			return 1
		}
		return 2
	}
	return cmp.Or(
		cmp.Compare(rank(a), rank(b)),
		a.CreationTimestamp.Compare(b.CreationTimestamp.Time),
		cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
}

// tokensOf returns the ApiTokens of some providers. Callers do not change them.
func tokensOf(ctx context.Context, providers []account.Key,
	read func(context.Context, account.Key) ([]v1alpha1.ApiToken, error),
) ([]*v1alpha1.ApiToken, error) {
	var out []*v1alpha1.ApiToken
	for _, key := range providers {
		tokens, err := read(ctx, key)
		if err != nil {
			return nil, err
		}
		for i := range tokens {
			out = append(out, &tokens[i])
		}
	}
	return out, nil
}

func peerOf(t *v1alpha1.ApiToken) plan.Peer { return plan.Peer{Namespace: t.Namespace, Name: t.Name} }

// reservedAfter counts the ledger entries that were reserved after a time.
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

func reservedAt(e *v1alpha1.LedgerEntry) time.Time {
	if e.ReservedAt == nil {
		return time.Time{}
	}
	return e.ReservedAt.Time
}
