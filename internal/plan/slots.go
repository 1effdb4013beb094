package plan

import (
	"fmt"
	"slices"
	"strings"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/provider"
)

// Some accounts have room for few credentials (Capabilities.MaxLive). Each credential takes
// up one slot.

// Shared describes the other ApiTokens of the account.
type Shared struct {
	// Ahead are the ApiTokens that come before this one: those with a ledger first, then
	// the older ones.
	Ahead []Claim
	// Open are the attempts of other ApiTokens that can exist unlisted.
	Open []Holder
	// Gaps are the other ApiTokens that gave up their credential and have no open attempt:
	// the slot is still theirs.
	Gaps []Peer
	// NewerThanDoubt counts the reservations of all ApiTokens after the oldest attempt with
	// an unknown outcome; Doubt is the name of that attempt.
	NewerThanDoubt int
	Doubt          string
}

// Claim is another ApiToken and its rotation strategy.
type Claim struct {
	Peer
	Strategy v1alpha1.RotationStrategy
}

// Holder is a credential of another ApiToken.
type Holder struct {
	Peer
	// Credential is its name.
	Credential string
}

// Occupied has all credentials of an account, including those of other clients.
type Occupied struct{ Credentials []provider.Credential }

// slotsOf is how many credentials a strategy needs at the same time.
func slotsOf(s v1alpha1.RotationStrategy) int {
	if s == v1alpha1.RevokeFirst {
		return 1
	}
	return 2
}

// accountShared: the account has too few slots for this ApiToken to rotate as well.
func accountShared(s *situation) (Decision, bool) {
	limit := s.Provider.Capabilities.MaxLive
	if limit == 0 {
		return Decision{}, false
	}
	needs := slotsOf(s.Token.Spec.Rotation.Strategy)
	ahead := make([]Peer, 0, len(s.Provider.Shared.Ahead))
	for _, c := range s.Provider.Shared.Ahead {
		needs += slotsOf(c.Strategy)
		ahead = append(ahead, c.Peer)
	}
	if needs <= limit || len(ahead) == 0 {
		return Decision{}, false
	}
	return stalled(v1alpha1.ReasonProviderShared, fmt.Sprintf(
		"spec.providerRef: the account of %q may have %d credentials in all and is used by %s: with one more ApiToken not all could be rotated without a gap. "+
			"Use another account (for example another user) for this one, or set spec.rotation.strategy: RevokeFirst on all of them, which accepts a gap at each rotation",
		s.Token.Spec.ProviderRef.Name, limit, s.peers(ahead)), Recheck), true
}

// slot is a credential that takes up a slot of the account.
type slot struct {
	// credential as a message names it; empty: it is only counted.
	credential string
	// owner of the credential, as a message names it.
	owner string
}

// usedSlots returns what takes up the slots of the account: the credentials that the
// provider lists, attempts that it may not list yet, and the slots of gaps.
func (o *Observation) usedSlots() []slot {
	if o.Occupied == nil {
		return nil
	}
	known := map[string]slot{}
	for _, h := range o.Provider.Shared.Open {
		known[h.Credential] = o.slotOf(h)
	}
	for i := range o.Ledger {
		e := &o.Ledger[i]
		known[e.Name] = slot{credential: Called(&e.LedgerEntry), owner: "this ApiToken"}
	}
	out := make([]slot, 0, len(o.Occupied.Credentials))
	listed := map[string]bool{}
	for _, c := range o.Occupied.Credentials {
		listed[c.Name] = true
		out = append(out, known[c.Name])
	}
	return append(out, o.unlistedSlots(listed)...)
}

// unlistedSlots returns the slots that are taken up although the provider does not list
// the credential.
func (o *Observation) unlistedSlots(listed map[string]bool) []slot {
	var out []slot
	for i := range o.Ledger {
		if e := &o.Ledger[i]; e.canAppear() && !listed[e.Name] {
			out = append(out, slot{credential: e.Name, owner: "an unfinished attempt of this ApiToken"})
		}
	}
	for _, h := range o.Provider.Shared.Open {
		if !listed[h.Credential] {
			out = append(out, o.slotOf(h))
		}
	}
	for _, g := range o.Provider.Shared.Gaps {
		out = append(out, o.slotOfGap(g))
	}
	return out
}

// canAppear reports whether the credential of an attempt can still appear at the provider.
func (e *Entry) canAppear() bool { return !e.Settled && e.IssuedAt == nil }

// slotOfGap is the slot that another ApiToken keeps for its next credential. It is named
// only in its own namespace.
func (o *Observation) slotOfGap(g Peer) slot {
	if g.Namespace != o.Token.Namespace {
		return slot{}
	}
	return slot{credential: "a slot for the next credential", owner: "ApiToken " + g.Name + ", which revoked its previous one to make room"}
}

// slotOf is the slot of another ApiToken's attempt. It is named only in its own namespace.
func (o *Observation) slotOf(h Holder) slot {
	if h.Namespace != o.Token.Namespace {
		return slot{}
	}
	return slot{credential: h.Credential, owner: "an unfinished attempt of ApiToken " + h.Name}
}

// accountFull reports whether the account's credentials were counted and no slot is free.
func (o *Observation) accountFull() bool {
	limit := o.Provider.Capabilities.MaxLive
	return limit > 0 && o.Occupied != nil && len(o.usedSlots()) >= limit
}

// holders describes the credentials that take up the slots.
func holders(used []slot) string {
	var parts []string
	others := 0
	for _, s := range used {
		if s.credential == "" {
			others++
			continue
		}
		parts = append(parts, fmt.Sprintf("%s (%s)", s.credential, s.owner))
	}
	if others > 0 {
		parts = append(parts, fmt.Sprintf("%d of other ApiTokens or not issued by this operator", others))
	}
	return strings.Join(parts, ", ")
}

// takesSlot reports whether the provider lists a credential, or it can still appear there.
func (o *Observation) takesSlot(e *Entry) bool {
	listed := slices.ContainsFunc(o.Occupied.Credentials, func(c provider.Credential) bool { return c.Name == e.Name })
	return listed || e.canAppear()
}
