package plan_test

import (
	"math"
	"strings"
	"time"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/credname"
	"apitoken.dev/operator/internal/ledger"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/provider"
)

// restored: the status was lost, the Secret is there, and it was read.
var restored = all(lostStatus, live)

// adoptingRestored is what adopting the credential of a lost status looks like: its
// id is the provider's, and it ends when one that is issued now would.
var adoptingRestored = adoptingRestoredUntil(now.Add(plan.DefaultLifetime))

func adoptingRestoredUntil(end time.Time) plan.AdoptRestored {
	return plan.AdoptRestored{Name: "own-active", Terms: ledger.Terms{
		ID: "AKIAown-active", Account: account, IssuedAt: now, ExpiresAt: end, Lifetime: end.Sub(now), Fingerprint: fingerprint, Revision: 7,
	}}
}

// said changes what the Secret's annotations say.
func said(edit func(*plan.CredentialFacts)) change {
	return func(o *plan.Observation) { edit(&o.Secret.Facts) }
}

// shown changes what the provider shows of the credential.
func shown(edit func(*plan.Restored)) change {
	return func(o *plan.Observation) { edit(o.Restored) }
}

// remembered is an earlier answer that the credential is gone; it holds for a minute.
func remembered(o *plan.Observation) {
	o.Restored = &plan.Restored{Account: account, Remembered: true, AsksIn: time.Minute}
}

func goingSecret(o *plan.Observation) { o.Secret.Deleting, o.Secret.HeldBy = true, "example.com/hold" }

// restoredTerms is the adoption with other terms.
func restoredTerms(edit func(*ledger.Terms)) plan.AdoptRestored {
	a := adoptingRestored
	edit(&a.Terms)
	return a
}

// newer: an older status was restored, and the Secret holds what was issued after it.
var newer = all(live, holding("own-newer"), said(func(f *plan.CredentialFacts) { f.Revision = 9 }))

// adoptingNewer adds it to the ledger: it stays valid for the overlap.
var adoptingNewer = plan.AdoptRetiring{Name: "own-newer", RetireAt: now.Add(time.Hour), Terms: ledger.Terms{
	Account: account, IssuedAt: now, ExpiresAt: now.Add(plan.DefaultLifetime), Lifetime: plan.DefaultLifetime, Fingerprint: fingerprint, Revision: 9,
}}

// rejectedName and takenName are names of two attempts with revision 7.
const rejectedName, takenName = "at1-aaaaaaaa-aaaaaaaaaaaaaaaa-7-aaaaaaaaaa", "at1-aaaaaaaa-aaaaaaaaaaaaaaaa-7-bbbbbbbbbb"

// takenAgain: the restored status holds an attempt, and the Secret a credential of the
// same revision.
func takenAgain(o *plan.Observation) {
	o.Token.Owns = func(name string) bool { return strings.HasPrefix(name, "at1-") }
	o.Secret.Credential, o.Secret.Facts.Revision = takenName, 7
	o.Ledger = []plan.Entry{attempt(rejectedName, v1alpha1.StateAbandoned, time.Minute)}
}

var adoptingTakenAgain = func() plan.AdoptRetiring {
	a := adoptingNewer
	a.Name, a.Terms.Revision = takenName, 7
	return a
}()

var restoreCases = map[string]nextCase{
	"not read yet": {
		reason: "A Secret that no status knows is read live first.",
		given:  given(lostStatus),
		rule:   "read-secret", action: plan.ReadSecret{}, state: plan.Progressing, code: v1alpha1.ReasonPublishing,
	},
	"our credential": {
		reason: "A restore without status costs one Find.",
		given:  given(restored),
		rule:   "find-restored", action: plan.FindRestored{Name: "own-active"}, state: plan.Progressing, code: v1alpha1.ReasonResolving,
	},
	"an older status": {
		reason: "The Secret's credential would be in no ledger once another one has replaced it.",
		given:  given(newer),
		rule:   "adopt-newer", action: adoptingNewer, state: plan.Progressing, code: v1alpha1.ReasonResolving,
	},
	"an older status while nothing may be issued": {
		reason: "A live credential must be in the ledger, also while other things are wrong.",
		given:  given(newer, suspend, notAdmitted, notReady),
		rule:   "adopt-newer", action: adoptingNewer, state: plan.Progressing, code: v1alpha1.ReasonResolving,
	},
	"a status from before an attempt was rejected": {
		reason: "The next attempt has the same revision, and the Secret holds its credential.",
		given:  given(newer, takenAgain),
		rule:   "adopt-newer", action: adoptingTakenAgain, state: plan.Progressing, code: v1alpha1.ReasonResolving,
	},
	"a Secret with the revision of a credential that has ended": {
		reason: "Its credential was in the ledger. Taken in again and again, it would be revoked again and again.",
		given:  given(newer, takenAgain, entries(retiring(rejectedName, time.Hour))),
		rule:   "issue", action: plan.Issue{Reason: plan.IssueInitial, Revision: 8, Charged: true}, state: plan.Progressing, code: v1alpha1.ReasonIssuing,
	},
	"a newer credential that says another account": {
		reason: "Anyone who can write the Secret can write that, and every ledger must be of the provider's account.",
		given:  given(newer, said(func(f *plan.CredentialFacts) { f.Account = other })),
		rule:   "issue", action: plan.Issue{Reason: plan.IssueSecretLost, Revision: 10, Charged: true}, state: plan.Progressing, code: v1alpha1.ReasonReissuing,
	},
	"a newer credential that says no account": {
		reason: "The provider knows its account.",
		given:  given(newer, said(func(f *plan.CredentialFacts) { f.Account = "" })),
		rule:   "adopt-newer", action: adoptingNewer, state: plan.Progressing, code: v1alpha1.ReasonResolving,
	},
	"a newer credential, nothing in the ledger, not admitted": {
		reason: "Anyone can write such a Secret: outsiders have no credentials, and take no slots.",
		given:  given(newer, notAdmitted, func(o *plan.Observation) { o.Ledger = nil }),
		rule:   "blocked", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonNamespaceNotAllowed,
		says: []string{"spec.providerRef", "label the namespace"},
	},
	"a Secret older than the status": {
		reason: "Its credential was in the ledger, and left it only when it was gone.",
		given:  given(newer, said(func(f *plan.CredentialFacts) { f.Revision = 7 })),
		rule:   "issue", action: issuing(plan.IssueSecretLost), state: plan.Progressing, code: v1alpha1.ReasonReissuing,
	},
	"a newer credential of another ApiToken": {
		reason: "Only what was issued for this ApiToken in this cluster is revoked.",
		given:  given(newer, holding("their-newer")),
		rule:   "issue", action: plan.Issue{Reason: plan.IssueSecretLost, Revision: 10, Charged: true}, state: plan.Progressing, code: v1alpha1.ReasonReissuing,
	},
	"still live": {
		reason: "Still live: adopt it under its old name.",
		given:  given(restored, answered(true)),
		rule:   "adopt-restored", action: adoptingRestored, state: plan.Progressing, code: v1alpha1.ReasonResolving,
	},
	"the Secret says an earlier expiry": {
		reason: "An annotation can only take time away.",
		given:  given(restored, answered(true), said(func(f *plan.CredentialFacts) { f.ExpiresAt = now.Add(time.Hour) })),
		rule:   "adopt-restored", action: restoredTerms(func(t *ledger.Terms) { t.ExpiresAt = now.Add(time.Hour) }),
		state: plan.Progressing, code: v1alpha1.ReasonResolving,
	},
	"the Secret says a later expiry": {
		reason: "Anyone who can write the Secret can write that: nothing lives longer than declared.",
		given:  given(restored, answered(true), said(func(f *plan.CredentialFacts) { f.ExpiresAt = now.Add(100 * 365 * 24 * time.Hour) })),
		rule:   "adopt-restored", action: adoptingRestored, state: plan.Progressing, code: v1alpha1.ReasonResolving,
	},
	"the provider shows when it ends": {
		reason: "The provider ends it then.",
		given:  given(restored, answered(true), shown(func(r *plan.Restored) { r.ExpiresAt = now.Add(time.Hour) })),
		rule:   "adopt-restored", action: restoredTerms(func(t *ledger.Terms) { t.ExpiresAt = now.Add(time.Hour) }),
		state: plan.Progressing, code: v1alpha1.ReasonResolving,
	},
	"the provider shows when it was made": {
		reason: "Its life began then.",
		given:  given(restored, answered(true), shown(func(r *plan.Restored) { r.CreatedAt = now.Add(-time.Hour) })),
		rule:   "adopt-restored", action: restoredTerms(func(t *ledger.Terms) { t.IssuedAt = now.Add(-time.Hour) }),
		state: plan.Progressing, code: v1alpha1.ReasonResolving,
	},
	"several credentials of the name": {
		reason: "It is live; which id it has is asked for later.",
		given:  given(restored, answered(true), shown(func(r *plan.Restored) { r.ID = "" })),
		rule:   "adopt-restored", action: restoredTerms(func(t *ledger.Terms) { t.ID = "" }), state: plan.Progressing, code: v1alpha1.ReasonResolving,
	},
	"the Secret says a rotation that was never declared": {
		reason: "Otherwise raising rotation.generation would do nothing for a long time.",
		given:  given(restored, answered(true), rotation(3), said(func(f *plan.CredentialFacts) { f.RotationGeneration = 1 << 40 })),
		rule:   "adopt-restored", action: restoredTerms(func(t *ledger.Terms) { t.RotationGeneration = 3 }), state: plan.Progressing, code: v1alpha1.ReasonResolving,
	},
	"the Secret names the last revision": {
		reason: "The next name must be possible.",
		given:  given(restored, answered(true), said(func(f *plan.CredentialFacts) { f.Revision = math.MaxInt64 })),
		rule:   "adopt-restored", action: restoredTerms(func(t *ledger.Terms) { t.Revision = credname.MaxRevision }), state: plan.Progressing, code: v1alpha1.ReasonResolving,
	},
	"the Secret says another account": {
		reason: "The account that answered is the one that has it.",
		given:  given(restored, answered(true), said(func(f *plan.CredentialFacts) { f.Account = "" })),
		rule:   "adopt-restored", action: adoptingRestored, state: plan.Progressing, code: v1alpha1.ReasonResolving,
	},
	"not admitted": {
		reason: "Also without admission, a live credential must be known, so that it can be ended.",
		given:  given(restored, notAdmitted),
		rule:   "find-restored", action: plan.FindRestored{Name: "own-active"}, state: plan.Progressing, code: v1alpha1.ReasonResolving,
	},
	"not admitted, after the hard end": {
		reason: "Access ends whether the namespace is admitted or not.",
		given:  given(restored, notAdmitted, endsIn(-time.Hour)),
		rule:   "find-restored", action: plan.FindRestored{Name: "own-active"}, state: plan.Progressing, code: v1alpha1.ReasonResolving,
	},
	"not admitted, still live": {
		reason: "It is adopted, so that it is rotated no more, and ended and revoked in order.",
		given:  given(restored, notAdmitted, answered(true)),
		rule:   "adopt-restored", action: adoptingRestored, state: plan.Progressing, code: v1alpha1.ReasonResolving,
	},
	"provider going": {
		reason: "The provider stays until its credentials are revoked, so they must be known.",
		given:  given(restored, leaving),
		rule:   "find-restored", action: plan.FindRestored{Name: "own-active"}, state: plan.Progressing, code: v1alpha1.ReasonResolving,
	},
	"gone": {
		reason: "Gone: mint, under a revision that no name has had.",
		given:  given(restored, answered(false)),
		rule:   "issue", action: plan.Issue{Reason: plan.IssueInitial, Revision: 8, Charged: true}, state: plan.Progressing, code: v1alpha1.ReasonIssuing,
	},
	"gone, as an earlier answer says": {
		reason: "A credential is issued over it only after a new answer.",
		given:  given(restored, remembered),
		rule:   "find-restored", action: plan.FindRestored{Name: "own-active"}, state: plan.Progressing, code: v1alpha1.ReasonResolving,
	},
	"gone, as an earlier answer says, and not admitted": {
		reason: "Nothing changed: the provider is not asked again until the answer is old.",
		given:  given(restored, notAdmitted, remembered),
		rule:   "blocked", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonNamespaceNotAllowed, after: time.Minute,
		says: []string{"spec.providerRef", "label the namespace"},
	},
	"gone, as an earlier answer says, after the hard end": {
		reason: "The Secret is deleted only after a new answer.",
		given:  given(restored, endsIn(-time.Hour), remembered),
		rule:   "find-restored", action: plan.FindRestored{Name: "own-active"}, state: plan.Progressing, code: v1alpha1.ReasonResolving,
	},
	"gone, as an earlier answer says, after the hard end, and the Secret is going": {
		reason: "Nothing is left to do that needs a new answer.",
		given:  given(restored, endsIn(-time.Hour), remembered, goingSecret),
		rule:   "ended", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonExpired, after: time.Minute,
		says: []string{"spec.expiresAt", "raise spec.expiresAt"},
	},
	"data edited": {
		reason: "The credential may be live although the Secret's data changed.",
		given:  given(restored, edited),
		rule:   "find-restored", action: plan.FindRestored{Name: "own-active"}, state: plan.Progressing, code: v1alpha1.ReasonResolving,
	},
	"suspended": {
		reason: "suspend stops reservations only.",
		given:  given(restored, suspend),
		rule:   "find-restored", action: plan.FindRestored{Name: "own-active"}, state: plan.Progressing, code: v1alpha1.ReasonResolving,
	},
	"suspended and gone": {
		reason: "Nothing is issued in its place while suspended.",
		given:  given(restored, suspend, answered(false)),
		rule:   "blocked", action: plan.Wait{}, state: plan.Steady, code: v1alpha1.ReasonSuspended,
	},
	"declaration refused": {
		reason: "A credential that would be refused now may still be live.",
		given: given(restored, refusing(provider.Refusal{
			Reason: provider.RefusedScope, Field: "spec.scopes[0]", Value: "a:b", Message: "declare a:c"})),
		rule: "find-restored", action: plan.FindRestored{Name: "own-active"}, state: plan.Progressing, code: v1alpha1.ReasonResolving,
	},
	"provider missing": {
		reason: "It is unknown whether the credential is live, so no other one is issued.",
		given:  given(restored, missing),
		rule:   "blocked", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonProviderNotFound, after: never,
		says: []string{"spec.providerRef", `"store"`, "create it"},
	},
	"provider not ready": {
		reason: "The provider's readiness wakes it; until then nothing is issued over it.",
		given:  given(restored, notReady),
		rule:   "blocked", action: plan.Wait{}, state: plan.Progressing, code: v1alpha1.ReasonProviderNotReady, after: never,
		says: []string{"it does not answer"},
	},
	"another account": {
		reason: `Under another account nothing is minted, and "not found" is not "revoked".`,
		given:  given(restored, belongs(other)),
		rule:   "account-changed", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonProviderAccountChanged,
		says: []string{"own-active", account, other, "restore the old ones", `delete Secret "training"`},
	},
	"account not known": {
		reason: "The account is learnt by connecting.",
		given:  given(restored, belongs("")),
		rule:   "find-restored", action: plan.FindRestored{Name: "own-active"}, state: plan.Progressing, code: v1alpha1.ReasonResolving,
	},
	"Secret without an account": {
		reason: "A Secret that does not say which account issued its credential is looked up at the current one.",
		given:  given(restored, func(o *plan.Observation) { o.Secret.Facts.Account = "" }, belongs(other)),
		rule:   "find-restored", action: plan.FindRestored{Name: "own-active"}, state: plan.Progressing, code: v1alpha1.ReasonResolving,
	},
	"credential of another cluster": {
		reason: "A Secret with a foreign cluster identity may be overwritten; its credential is not ours.",
		given:  given(restored, holding("")),
		rule:   "issue", action: plan.Issue{Reason: plan.IssueInitial, Revision: 8, Charged: true}, state: plan.Progressing, code: v1alpha1.ReasonIssuing,
	},
	"credential of another ApiToken": {
		reason: "A name that was not made for this ApiToken is not adopted.",
		given:  given(restored, holding("their-1")),
		rule:   "issue", action: plan.Issue{Reason: plan.IssueInitial, Revision: 8, Charged: true}, state: plan.Progressing, code: v1alpha1.ReasonIssuing,
	},
	"no function says whose names they are": {
		reason: "Without knowing what is ours nothing is adopted.",
		given:  given(restored, func(o *plan.Observation) { o.Token.Owns = nil }),
		rule:   "issue", action: plan.Issue{Reason: plan.IssueInitial, Revision: 8, Charged: true}, state: plan.Progressing, code: v1alpha1.ReasonIssuing,
	},
	"status not lost": {
		reason: "An empty ledger with a revision means that all was revoked: the old Secret counts as missing.",
		given:  given(live, entries()),
		rule:   "issue", action: plan.Issue{Reason: plan.IssueInitial, Revision: 8, Charged: true}, state: plan.Progressing, code: v1alpha1.ReasonIssuing,
	},
	"no Secret": {
		reason: "Without status and Secret it is a new ApiToken.",
		given:  given(unissued, live),
		rule:   "issue", action: plan.Issue{Reason: plan.IssueInitial, Revision: 1, Charged: true}, state: plan.Progressing, code: v1alpha1.ReasonIssuing,
	},
	"Secret of another owner": {
		reason: "A Secret of another owner is neither adopted nor overwritten.",
		given:  given(unissued, live, foreign),
		rule:   "blocked", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonSecretNotOwned, after: plan.Recheck,
		says: []string{"spec.secret.name", `"training"`, `Deployment "web"`, "name another Secret"},
	},
	"after the hard end, provider not ready": {
		reason: "Only the Secret names the credential: without it, the credential would stay live unseen.",
		given:  given(restored, endsIn(-time.Hour), notReady),
		rule:   "ended", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonExpired,
		says: []string{"spec.expiresAt", "raise spec.expiresAt"},
	},
	"after the hard end": {
		reason: "A live credential must be known before it can be ended.",
		given:  given(restored, endsIn(-time.Hour)),
		rule:   "find-restored", action: plan.FindRestored{Name: "own-active"}, state: plan.Progressing, code: v1alpha1.ReasonResolving,
	},
	"after the hard end, still live": {
		reason: "It comes into the ledger first, and is retired from there.",
		given:  given(restored, endsIn(-time.Hour), answered(true)),
		rule:   "adopt-restored", action: adoptingRestoredUntil(now.Add(-time.Hour)), state: plan.Progressing, code: v1alpha1.ReasonResolving,
	},
	"after the hard end, gone": {
		reason: "Only the Secret is left to take away.",
		given:  given(restored, endsIn(-time.Hour), answered(false)),
		rule:   "end-secret", action: plan.DeleteSecret{}, state: plan.Stalled, code: v1alpha1.ReasonExpired,
		says: []string{"spec.expiresAt", "raise spec.expiresAt"},
	},
	"after the hard end, another account": {
		reason: "The old account's credentials are needed to end it.",
		given:  given(restored, endsIn(-time.Hour), belongs(other)),
		rule:   "account-changed", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonProviderAccountChanged,
		says: []string{account, other, "restore the old ones"},
	},
}
