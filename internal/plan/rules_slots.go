package plan

import (
	"fmt"
	"slices"
	"strings"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/provider"
)

// Shared is what other ApiTokens have of the same account.
type Shared struct {
	// Ahead are the ApiTokens that come before this one: those with a ledger first,
	// then the older ones.
	Ahead []Claim
	// Open are the attempts of other ApiTokens that may exist unseen.
	Open []Holder
	// Gaps are the other ApiTokens that gave their credential up and have no attempt
	// open: the slot is still theirs.
	Gaps []Peer
	// NewerThanDoubt counts the reservations after the oldest attempt whose end is
	// not known, of any ApiToken; Doubt names it.
	NewerThanDoubt int
	Doubt          string
}

// Claim is one ApiToken and the strategy it rotates with.
type Claim struct {
	Peer
	Strategy v1alpha1.RotationStrategy
}

// Holder is one credential and the ApiToken that it belongs to.
type Holder struct {
	Peer
	// Credential is its name.
	Credential string
}

// Occupied are all credentials of an account, whoever made them.
type Occupied struct{ Credentials []provider.Credential }

// slotsOf is how many credentials a strategy needs at the same time.
func slotsOf(s v1alpha1.RotationStrategy) int {
	if s == v1alpha1.RevokeFirst {
		return 1
	}
	return 2
}

// shared: so many ApiTokens use the account that this one could not rotate.
func shared(o *Observation) (Decision, bool) {
	limit := o.Provider.Capabilities.MaxLive
	if limit == 0 {
		return Decision{}, false
	}
	needs := slotsOf(o.Token.Spec.Rotation.Strategy)
	ahead := make([]Peer, 0, len(o.Provider.Shared.Ahead))
	for _, c := range o.Provider.Shared.Ahead {
		needs += slotsOf(c.Strategy)
		ahead = append(ahead, c.Peer)
	}
	if needs <= limit || len(ahead) == 0 {
		return Decision{}, false
	}
	return stalled(v1alpha1.ReasonProviderShared, fmt.Sprintf(
		"spec.providerRef: the account of %q may have %d credentials in all and is used by %s: with one more ApiToken not all could be rotated without a gap. "+
			"Use another account (for example another user) for this one, or set spec.rotation.strategy: RevokeFirst on all of them, which accepts a gap at each rotation",
		o.Token.Spec.ProviderRef.Name, limit, o.peers(ahead)), Recheck), true
}

// countSlots asks what the account has, before anything is reserved in it.
func countSlots(o *Observation) (Decision, bool) {
	if o.Provider.Capabilities.MaxLive == 0 || o.Occupied != nil || !o.Secret.Live || !o.wantsIssue() {
		return Decision{}, false
	}
	return o.issuing(CountSlots{}), true
}

// slot is a credential that takes up one of the account's slots.
type slot struct {
	// credential as a message may name it; empty: it is only counted.
	credential string
	// whose it is.
	whose string
}

// used returns what takes up the slots of the account: what the provider shows,
// attempts that it may not show yet, and what other ApiTokens gave up for a moment.
func (o *Observation) used() []slot {
	if o.Occupied == nil {
		return nil
	}
	known := map[string]slot{}
	for _, h := range o.Provider.Shared.Open {
		known[h.Credential] = o.slotOf(h)
	}
	for i := range o.Ledger {
		e := &o.Ledger[i]
		known[e.Name] = slot{credential: Called(&e.LedgerEntry), whose: "this ApiToken"}
	}
	out := make([]slot, 0, len(o.Occupied.Credentials))
	seen := map[string]bool{}
	for _, c := range o.Occupied.Credentials {
		seen[c.Name] = true
		out = append(out, known[c.Name])
	}
	for i := range o.Ledger {
		if e := &o.Ledger[i]; !e.Settled && e.IssuedAt == nil && !seen[e.Name] {
			out = append(out, slot{credential: e.Name, whose: "an unfinished attempt of this ApiToken"})
		}
	}
	for _, h := range o.Provider.Shared.Open {
		if !seen[h.Credential] {
			out = append(out, o.slotOf(h))
		}
	}
	for _, g := range o.Provider.Shared.Gaps {
		out = append(out, o.gapOf(g))
	}
	return out
}

// gapOf is the slot that another ApiToken gave up for its next credential, named only
// in its own namespace.
func (o *Observation) gapOf(g Peer) slot {
	if g.Namespace != o.Token.Namespace {
		return slot{}
	}
	return slot{credential: "one to come", whose: "ApiToken " + g.Name + ", which revoked its own to make room"}
}

// slotOf is the unfinished attempt of another ApiToken, named only in its own namespace.
func (o *Observation) slotOf(h Holder) slot {
	if h.Namespace != o.Token.Namespace {
		return slot{}
	}
	return slot{credential: h.Credential, whose: "an unfinished attempt of ApiToken " + h.Name}
}

// full reports whether the account was counted and has no free slot.
func (o *Observation) full() bool {
	limit := o.Provider.Capabilities.MaxLive
	return limit > 0 && o.Occupied != nil && len(o.used()) >= limit
}

func slotsExhausted(o *Observation) (Decision, bool) {
	if !o.full() {
		return Decision{}, false
	}
	return Decision{Action: Wait{}, State: Progressing, Reason: v1alpha1.ReasonSlotsExhausted, After: Recheck, Message: fmt.Sprintf(
		"the account may have %d credentials in all and has %s. The one in use is not revoked to make room: delete one that is not needed, or wait until a previous one is revoked",
		o.Provider.Capabilities.MaxLive, holders(o.used()))}, true
}

// holders says whose credentials take up the slots.
func holders(used []slot) string {
	var parts []string
	others := 0
	for _, s := range used {
		if s.credential == "" {
			others++
			continue
		}
		parts = append(parts, fmt.Sprintf("%s (%s)", s.credential, s.whose))
	}
	if others > 0 {
		parts = append(parts, fmt.Sprintf("%d not this operator's, or another ApiToken's", others))
	}
	return strings.Join(parts, ", ")
}

// onlyFull reports whether a credential is wanted and nothing stands in its way
// but that the account is full.
func (o *Observation) onlyFull() bool {
	if !o.full() || !o.Secret.Live {
		return false
	}
	free := *o
	free.Occupied = &Occupied{}
	return free.wantsIssue()
}

// makeRoom ends the overlap of the oldest Retiring credential early.
func makeRoom(o *Observation) (Decision, bool) {
	if !o.onlyFull() {
		return Decision{}, false
	}
	if oldest := o.oldestOverlap(); oldest != nil {
		return o.issuing(BeginRevoke{Names: []string{oldest.Name}}), true
	}
	// Somebody restored an old Secret: what it holds works, and the Active one, which
	// no Secret holds, is the one to go.
	held, e := o.entry(o.Secret.Credential), o.active()
	if held != nil && e != nil && held.State == v1alpha1.StateRetiring && o.holds(held.Name) && o.takesSlot(held) && o.takesSlot(e) {
		return o.issuing(Retire{Name: e.Name}), true
	}
	return Decision{}, false
}

// oldestOverlap is the Retiring credential, not in the Secret, that would be
// revoked first of those that are not due; nil: there is none.
func (o *Observation) oldestOverlap() *Entry {
	var oldest *Entry
	for _, e := range o.in(v1alpha1.StateRetiring) {
		if due := e.RetireAt == nil || !o.Now.Before(e.RetireAt.Time); due || o.holds(e.Name) {
			continue
		}
		if oldest == nil || e.RetireAt.Before(oldest.RetireAt) {
			oldest = e
		}
	}
	return oldest
}

// takesSlot reports whether a credential is shown by the provider, or may be there unseen.
func (o *Observation) takesSlot(e *Entry) bool {
	shown := slices.ContainsFunc(o.Occupied.Credentials, func(c provider.Credential) bool { return c.Name == e.Name })
	return shown || !e.Settled && e.IssuedAt == nil
}

// giveUp ends the credential in use because nothing else makes room, and its
// ApiToken accepts the gap.
func giveUp(o *Observation) (Decision, bool) {
	e := o.active()
	if e == nil || o.Token.Spec.Rotation.Strategy != v1alpha1.RevokeFirst || !o.onlyFull() {
		return Decision{}, false
	}
	if slices.ContainsFunc(append(o.in(v1alpha1.StateRetiring), o.in(v1alpha1.StateAbandoned)...), o.takesSlot) || len(o.Provider.Shared.Open) > 0 {
		return Decision{}, false // one of those makes room first
	}
	if !o.takesSlot(e) {
		return Decision{}, false // it would make no room
	}
	reason, charged, _ := o.need()
	d := o.issuing(GiveUp{Name: e.Name, Reason: reason, Charged: charged})
	d.Message = "revoking the credential first: the account has no room for a second one, and spec.rotation.strategy is RevokeFirst"
	return d, true
}

// issuing is a step on the way to a credential that is wanted.
func (o *Observation) issuing(a Action) Decision {
	reason, _, _ := o.need()
	d := Decision{Action: a, State: Progressing, Reason: v1alpha1.ReasonReissuing, Message: issueMessages[reason]}
	if reason == IssueInitial {
		d.Reason = v1alpha1.ReasonIssuing
	}
	if reason == IssueScheduled {
		d.State = Steady
	}
	return d
}

// windowFull: a provider that lists its newest credentials only must go on to
// show an attempt whose end is not known. Half of what it lists is left to others.
func windowFull(o *Observation) (Decision, bool) {
	window := o.Provider.Capabilities.Listed / 2
	if window == 0 || o.Provider.Shared.NewerThanDoubt < window {
		return Decision{}, false
	}
	return Decision{Action: Wait{}, State: Progressing, Reason: v1alpha1.ReasonListingWindow, After: Recheck, Message: fmt.Sprintf(
		"the provider lists its newest %d credentials only, and %d were reserved after %s with an unknown outcome: nothing more is issued until it is resolved",
		o.Provider.Capabilities.Listed, o.Provider.Shared.NewerThanDoubt, o.doubt())}, true
}

// doubt names the oldest attempt with an unknown outcome, if the reader may know of it.
func (o *Observation) doubt() string {
	name := o.Provider.Shared.Doubt
	if o.entry(name) != nil {
		return "attempt " + name
	}
	for _, h := range o.Provider.Shared.Open {
		if h.Credential == name && h.Namespace == o.Token.Namespace {
			return fmt.Sprintf("attempt %s of ApiToken %s", name, h.Name)
		}
	}
	return "an attempt of another ApiToken"
}
