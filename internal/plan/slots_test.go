package plan_test

import (
	"testing"
	"time"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/provider"
)

// twoSlots: the account may have two credentials in all.
func twoSlots(o *plan.Observation) { o.Provider.Capabilities.MaxLive = 2 }

// counted: the provider was asked what the account has.
func counted(names ...string) change {
	return func(o *plan.Observation) {
		o.Occupied = &plan.Occupied{}
		for _, n := range names {
			o.Occupied.Credentials = append(o.Occupied.Credentials, provider.Credential{Name: n, ID: "AKIA" + n, State: provider.Live})
		}
	}
}

// revokeFirst accepts a gap.
func revokeFirst(o *plan.Observation) { o.Token.Spec.Rotation.Strategy = v1alpha1.RevokeFirst }

// gap: the credential was given up a moment ago, and the Secret still holds it.
var gap = all(revokeFirst, twoSlots, live, entries(retiring("own-active", 0)), holding("own-active"), func(o *plan.Observation) {
	o.Token.GapSince = now.Add(-2 * time.Second)
})

// ahead: other ApiTokens use the account and come first.
func ahead(strategies ...v1alpha1.RotationStrategy) change {
	return func(o *plan.Observation) {
		for _, s := range strategies {
			o.Provider.Shared.Ahead = append(o.Provider.Shared.Ahead, plan.Claim{Peer: plan.Peer{Namespace: "ml", Name: "first"}, Strategy: s})
		}
	}
}

// opened: an attempt of another ApiToken may exist unseen.
func opened(o *plan.Observation) {
	o.Provider.Shared.Open = []plan.Holder{{Peer: plan.Peer{Namespace: "ml", Name: "first"}, Credential: "own-open"}}
}

// inGap: another ApiToken gave its credential up and has no other one yet.
func inGap(o *plan.Observation) {
	o.Provider.Shared.Gaps = []plan.Peer{{Namespace: "ml", Name: "first"}}
}

// elsewhere moves all other ApiTokens to other namespaces.
func elsewhere(o *plan.Observation) {
	for i := range o.Provider.Shared.Ahead {
		o.Provider.Shared.Ahead[i].Namespace = "victims"
	}
	for i := range o.Provider.Shared.Open {
		o.Provider.Shared.Open[i].Namespace = "victims"
	}
	for i := range o.Provider.Shared.Gaps {
		o.Provider.Shared.Gaps[i].Namespace = "victims"
	}
}

var slotCases = map[string]nextCase{
	"counts before it reserves": {
		reason: "A credential created outside the operator takes a slot too.",
		given:  given(unissued, live, twoSlots),
		rule:   "count-slots", action: plan.CountSlots{}, state: plan.Progressing, code: v1alpha1.ReasonIssuing,
	},
	"counts before it rotates": {
		reason: "A rotation needs the second slot.",
		given:  given(live, twoSlots, rotation(1)),
		rule:   "count-slots", action: plan.CountSlots{}, state: plan.Progressing, code: v1alpha1.ReasonReissuing,
	},
	"a slot is free": {
		reason: "One is in use, the second one is for the rotation.",
		given:  given(live, twoSlots, rotation(1), counted("own-active")),
		rule:   "issue", action: issuing(plan.IssueRotationRequested), state: plan.Progressing, code: v1alpha1.ReasonReissuing,
	},
	"the oldest retiring one goes first": {
		reason: "Its overlap ends early, so that the one in use stays.",
		given: given(live, twoSlots, rotation(1), nextTo(retiring("own-newer", 2*time.Hour), retiring("own-older", time.Hour)),
			counted("own-active", "own-older", "own-newer")),
		rule: "make-room", action: plan.BeginRevoke{Names: []string{"own-older"}}, state: plan.Progressing, code: v1alpha1.ReasonReissuing,
	},
	"a retiring one that is due makes room": {
		reason: "It is about to be revoked anyway.",
		given:  given(live, twoSlots, rotation(1), nextTo(retiring("own-old", -time.Second)), counted("own-active", "own-old")),
		rule:   "revoke", action: plan.Revoke{Names: []string{"own-old"}}, state: plan.Progressing, code: v1alpha1.ReasonSlotsExhausted,
	},
	"an old Secret was restored": {
		reason: "What it holds works; the Active credential is in no Secret and makes room.",
		given:  given(live, twoSlots, nextTo(retiring("own-old", -time.Second)), holding("own-old"), counted("own-active", "own-old")),
		rule:   "make-room", action: plan.Retire{Name: "own-active"}, state: plan.Progressing, code: v1alpha1.ReasonReissuing,
	},
	"a stranger holds the second slot": {
		reason: "The one in use is never revoked to make room; the message says who holds the slots.",
		given:  given(live, twoSlots, rotation(1), counted("own-active", "outsider")),
		rule:   "blocked", action: plan.Wait{}, state: plan.Progressing, code: v1alpha1.ReasonSlotsExhausted, after: time.Minute,
		says: []string{"1 of other ApiTokens or not issued by this operator", "AKIAown-active (this ApiToken)", "not revoked to make room"},
	},
	"another namespace's unfinished attempt counts": {
		reason: "It is counted and not named: readers of this ApiToken may not read that namespace.",
		given:  given(live, twoSlots, rotation(1), opened, elsewhere, counted("own-active")),
		rule:   "blocked", action: plan.Wait{}, state: plan.Progressing, code: v1alpha1.ReasonSlotsExhausted, after: time.Minute,
		says: []string{"has AKIAown-active (this ApiToken), 1 of other ApiTokens or not issued by this operator."},
	},
	"an unfinished attempt counts": {
		reason: "It may exist although the provider does not show it yet.",
		given:  given(live, twoSlots, rotation(1), nextTo(attempt("own-open", v1alpha1.StateAbandoned, 50*time.Second)), counted("own-active")),
		rule:   "blocked", action: plan.Wait{}, state: plan.Progressing, code: v1alpha1.ReasonSlotsExhausted, after: 50 * time.Second,
		says: []string{"own-open (an unfinished attempt of this ApiToken)"},
	},
	"another ApiToken's unfinished attempt counts": {
		reason: "It may exist although the provider does not show it yet.",
		given:  given(live, twoSlots, rotation(1), opened, counted("own-active")),
		rule:   "blocked", action: plan.Wait{}, state: plan.Progressing, code: v1alpha1.ReasonSlotsExhausted, after: time.Minute,
		says: []string{"own-open (an unfinished attempt of ApiToken first)"},
	},
	"an attempt that is shown counts once": {
		reason: "What the provider shows is counted already.",
		given:  given(unissued, live, twoSlots, opened, counted("own-open")),
		rule:   "issue", action: plan.Issue{Reason: plan.IssueInitial, Revision: 1, Charged: true}, state: plan.Progressing, code: v1alpha1.ReasonIssuing,
	},
	"revoke first gives up": {
		reason: "The ApiToken accepts a gap, and nothing else makes room.",
		given:  given(live, twoSlots, revokeFirst, rotation(1), counted("own-active", "own-other")),
		rule:   "give-up", action: plan.GiveUp{Name: "own-active", Reason: plan.IssueRotationRequested, Charged: true}, state: plan.Progressing, code: v1alpha1.ReasonReissuing,
		says: []string{"RevokeFirst", "no room"},
	},
	"revoke first uses a free slot": {
		reason: "With a free slot there is no need for a gap.",
		given:  given(live, twoSlots, revokeFirst, rotation(1), counted("own-active")),
		rule:   "issue", action: issuing(plan.IssueRotationRequested), state: plan.Progressing, code: v1alpha1.ReasonReissuing,
	},
	"revoke first ends an overlap first": {
		reason: "A retiring one makes room without a gap.",
		given:  given(live, twoSlots, revokeFirst, rotation(1), nextTo(retiring("own-old", time.Hour)), counted("own-active", "own-old")),
		rule:   "make-room", action: plan.BeginRevoke{Names: []string{"own-old"}}, state: plan.Progressing, code: v1alpha1.ReasonReissuing,
	},
	"revoke first waits for an attempt": {
		reason: "It will be revoked, and makes room without a gap.",
		given: given(live, twoSlots, revokeFirst, rotation(1), nextTo(attempt("own-open", v1alpha1.StateAbandoned, 50*time.Second)),
			counted("own-active", "own-open")),
		rule: "blocked", action: plan.Wait{}, state: plan.Progressing, code: v1alpha1.ReasonSlotsExhausted, after: 50 * time.Second,
	},
	"revoke first keeps what makes no room": {
		reason: "Two strangers hold the slots; without the one in use there would still be none.",
		given:  given(live, twoSlots, revokeFirst, rotation(1), counted("outsider", "outsider-2")),
		rule:   "blocked", action: plan.Wait{}, state: plan.Progressing, code: v1alpha1.ReasonSlotsExhausted, after: time.Minute,
	},
	"revoke first does not give up what cannot be replaced": {
		reason: "While attempts fail, the old one stays.",
		given:  given(live, twoSlots, revokeFirst, rotation(1), counted("own-active", "own-other"), retry(1, 20*time.Second)),
		rule:   "blocked", action: plan.Wait{}, state: plan.Progressing, code: v1alpha1.ReasonSlotsExhausted,
	},
	"in the gap, what the Secret holds is revoked": {
		reason: "That is what makes room.",
		given:  given(gap, counted("own-active", "own-other")),
		rule:   "revoke", action: plan.Revoke{Names: []string{"own-active"}}, state: plan.Progressing, code: v1alpha1.ReasonSlotsExhausted,
	},
	"in the gap, the next one is free": {
		reason: "It belongs to the rotation that began with giving up the old one.",
		given:  given(gap, entries(), budget(0, time.Minute), counted("own-other")),
		rule:   "issue", action: scheduled, state: plan.Steady, code: v1alpha1.ReasonReissuing,
	},
	"in the gap, an empty budget stops nothing": {
		reason: "The rotation was paid for before the gap; an empty budget would only make the gap longer.",
		given: given(gap, entries(attempt("own-new", v1alpha1.StateAbandoned, 0)), budget(0, time.Minute),
			entry(func(e *plan.Entry) { e.ReservedAt = at(now.Add(-time.Second)) }), counted()),
		rule: "issue", action: scheduled, state: plan.Steady, code: v1alpha1.ReasonReissuing,
	},
	"in the gap, the reason is the one for which it began": {
		reason: "The ledger says why a credential was issued.",
		given:  given(gap, entries(), counted("own-other"), func(o *plan.Observation) { o.Token.GapReason = "SecretChanged" }),
		rule:   "issue", action: plan.Issue{Reason: plan.IssueSecretChanged, Revision: 8}, state: plan.Progressing, code: v1alpha1.ReasonReissuing,
	},
	"in the gap, an unknown reason is the schedule's": {
		reason: "Anyone who can write the status can write it.",
		given:  given(gap, entries(), counted("own-other"), func(o *plan.Observation) { o.Token.GapReason = "Because" }),
		rule:   "issue", action: scheduled, state: plan.Steady, code: v1alpha1.ReasonReissuing,
	},
	"an empty budget stops before the gap": {
		reason: "The rotation is charged when it gives the credential up.",
		given:  given(live, twoSlots, revokeFirst, edited, counted("own-active", "own-other"), budget(0, time.Minute)),
		rule:   "blocked", action: plan.Wait{}, state: plan.Progressing, code: v1alpha1.ReasonSlotsExhausted,
	},
	"another ApiToken's gap counts": {
		reason: "It revoked its credential to make room for its own next one.",
		given:  given(unissued, live, twoSlots, revokeFirst, inGap, counted("own-other")),
		rule:   "blocked", action: plan.Wait{}, state: plan.Progressing, code: v1alpha1.ReasonSlotsExhausted, after: time.Minute,
		says: []string{"a slot for the next credential (ApiToken first, which revoked its previous one to make room)"},
	},
	"a gap in another namespace counts": {
		reason: "Objects of other namespaces are not named.",
		given:  given(unissued, live, twoSlots, revokeFirst, inGap, elsewhere, counted("own-other")),
		rule:   "blocked", action: plan.Wait{}, state: plan.Progressing, code: v1alpha1.ReasonSlotsExhausted, after: time.Minute,
		says: []string{"2 of other ApiTokens or not issued by this operator"},
	},
	"revoke first on the schedule": {
		reason: "A scheduled rotation is free, with a gap too.",
		given:  given(live, twoSlots, revokeFirst, entries(ending("own-active", 2*time.Hour)), counted("own-active", "own-other")),
		rule:   "give-up", action: plan.GiveUp{Name: "own-active", Reason: plan.IssueScheduled}, state: plan.Steady, code: v1alpha1.ReasonReissuing,
	},
	"a second ApiToken": {
		reason: "Neither could then be rotated without a gap.",
		given:  given(unissued, live, twoSlots, ahead(v1alpha1.MakeBeforeBreak)),
		rule:   "blocked", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonProviderShared, after: time.Minute,
		says: []string{"used by ApiToken first:", "2 credentials in all", "RevokeFirst"},
	},
	"a second ApiToken, the first one in another namespace": {
		reason: "Objects of other namespaces are not named.",
		given:  given(unissued, live, twoSlots, ahead(v1alpha1.MakeBeforeBreak), elsewhere),
		rule:   "blocked", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonProviderShared, after: time.Minute,
		says: []string{"used by 1 ApiToken of another namespace:", "RevokeFirst"},
	},
	"a fourth ApiToken": {
		reason: "Those of the reader's namespace are named, the others counted.",
		given: given(unissued, live, twoSlots, ahead(v1alpha1.MakeBeforeBreak, v1alpha1.MakeBeforeBreak), elsewhere,
			ahead(v1alpha1.RevokeFirst)),
		rule: "blocked", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonProviderShared, after: time.Minute,
		says: []string{"used by ApiToken first and 2 ApiTokens of other namespaces:", "RevokeFirst"},
	},
	"a second ApiToken that alone accepts a gap": {
		reason: "The first one still needs both slots.",
		given:  given(unissued, live, twoSlots, revokeFirst, ahead(v1alpha1.MakeBeforeBreak)),
		rule:   "blocked", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonProviderShared, after: time.Minute,
		says: []string{"ApiToken first", "RevokeFirst"},
	},
	"two ApiTokens that accept a gap": {
		reason: "Each needs one slot.",
		given:  given(unissued, live, twoSlots, revokeFirst, ahead(v1alpha1.RevokeFirst)),
		rule:   "count-slots", action: plan.CountSlots{}, state: plan.Progressing, code: v1alpha1.ReasonIssuing,
	},
	"a third ApiToken": {
		reason: "There is no slot for it at all.",
		given:  given(unissued, live, twoSlots, revokeFirst, ahead(v1alpha1.RevokeFirst, v1alpha1.RevokeFirst)),
		rule:   "blocked", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonProviderShared, after: time.Minute,
		says: []string{"the ApiTokens first, first", "another account"},
	},
	"the list window is full": {
		reason: "An attempt whose end is not known must stay listed.",
		given: given(live, rotation(1), func(o *plan.Observation) {
			o.Provider.Capabilities.Listed = 100
			o.Provider.Shared.NewerThanDoubt, o.Provider.Shared.Doubt = 50, "own-doubt"
		}),
		rule: "blocked", action: plan.Wait{}, state: plan.Progressing, code: v1alpha1.ReasonListingWindow, after: time.Minute,
		says: []string{"newest 100", "after an attempt of another ApiToken"},
	},
	"the list window is full because of an attempt of its own": {
		reason: "That one is named.",
		given: given(live, rotation(1), nextTo(attempt("own-doubt", v1alpha1.StateAbandoned, time.Minute)), func(o *plan.Observation) {
			o.Provider.Capabilities.Listed = 100
			o.Provider.Shared.NewerThanDoubt, o.Provider.Shared.Doubt = 50, "own-doubt"
		}),
		rule: "blocked", action: plan.Wait{}, state: plan.Progressing, code: v1alpha1.ReasonListingWindow, after: time.Minute,
		says: []string{"after attempt own-doubt"},
	},
	"the list window has room": {
		reason: "49 newer ones leave it listed.",
		given: given(live, rotation(1), func(o *plan.Observation) {
			o.Provider.Capabilities.Listed = 100
			o.Provider.Shared.NewerThanDoubt = 49
		}),
		rule: "issue", action: issuing(plan.IssueRotationRequested), state: plan.Progressing, code: v1alpha1.ReasonReissuing,
	},
}

// TestSlotsNeverRiskTheCredentialInUse: over every account of up to three
// credentials, the Active one is touched only with RevokeFirst, and a credential
// is issued only into a free slot.
func TestSlotsNeverRiskTheCredentialInUse(t *testing.T) {
	names := []string{"own-active", "own-2", "own-3", "outsider"}
	axes := []axis{
		{none, revokeFirst},
		{none, rotation(1), otherScope, all(absent, untrusted, live)},
		{none, nextTo(retiring("own-2", time.Hour)), nextTo(retiring("own-2", -time.Second)), nextTo(attempt("own-2", v1alpha1.StateAbandoned, time.Minute))},
		{none, nextTo(retiring("own-3", 2*time.Hour)), nextTo(attempt("own-3", v1alpha1.StateAbandoned, 0))},
		{none, opened},
		{none, retry(2, 20*time.Second), budget(0, time.Minute), suspend, notReady},
	}
	seen := 0
	for i := range size(axes) {
		for subset := range 1 << len(names) {
			var have []string
			for j, n := range names {
				if subset>>j&1 == 1 {
					have = append(have, n)
				}
			}
			o := observe(live, twoSlots, pick(axes, i), counted(have...))
			seen++
			switch a := plan.Next(o).Action.(type) { //nolint:gochecksumtype // no other action touches a credential
			case plan.GiveUp:
				if o.Token.Spec.Rotation.Strategy != v1alpha1.RevokeFirst || len(have) < 2 {
					t.Errorf("%s with %v: given up", describe(&o), have)
				}
			case plan.Issue:
				if len(have) >= 2 {
					t.Errorf("%s with %v: issued into a full account", describe(&o), have)
				}
			case plan.Revoke, plan.BeginRevoke, plan.Retire:
				for _, name := range namesOf(a) {
					if name == "own-active" {
						t.Errorf("%s with %v: %T of the credential in use", describe(&o), have, a)
					}
				}
			}
		}
	}
	if seen < 5000 {
		t.Errorf("only %d observations", seen)
	}
}

func namesOf(a plan.Action) []string {
	switch a := a.(type) { //nolint:gochecksumtype // no other action names credentials to end
	case plan.Revoke:
		return a.Names
	case plan.BeginRevoke:
		return a.Names
	case plan.Retire:
		return []string{a.Name}
	}
	return nil
}
