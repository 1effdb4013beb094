package plan_test

import (
	"time"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/plan"
)

var deletionCases = map[string]nextCase{
	"without our finalizer": {
		reason: "The finalizer is off: nothing of ours is left, and another's finalizer holds the object.",
		given:  given(deleted, noFinalizer),
		rule:   "gone", action: plan.Wait{}, state: plan.Steady, code: v1alpha1.ReasonDeleting, after: never,
	},
	"without our finalizer, Retain": {
		reason: "The Secret was released before the finalizer was removed; it may belong to another object by now.",
		given:  given(deleted, noFinalizer, retain),
		rule:   "gone", action: plan.Wait{}, state: plan.Steady, code: v1alpha1.ReasonDeleting, after: never,
	},
	"Retain": {
		reason: "Retain releases the object without a provider call.",
		given:  given(deleted, retain),
		rule:   "retain", action: plan.Release{}, state: plan.Progressing, code: v1alpha1.ReasonDeleting, says: []string{"kept"},
	},
	"Retain without a provider": {
		reason: "Retain helps when the provider no longer exists.",
		given:  given(deleted, retain, missing),
		rule:   "retain", action: plan.Release{}, state: plan.Progressing, code: v1alpha1.ReasonDeleting,
	},
	"Retain under another account": {
		reason: "Retain helps when the account's credentials cannot be restored.",
		given:  given(deleted, retain, belongs(other)),
		rule:   "retain", action: plan.Release{}, state: plan.Progressing, code: v1alpha1.ReasonDeleting,
	},
	"Retain with an attempt open": {
		reason: "Retain makes no provider call, so there is nothing to wait for.",
		given:  given(deleted, retain, nextTo(attempt("own-new", v1alpha1.StateMinting, time.Minute))),
		rule:   "retain", action: plan.Release{}, state: plan.Progressing, code: v1alpha1.ReasonDeleting,
	},
	"Retain with nothing issued": {
		reason: "Retain needs neither ledger nor provider.",
		given:  given(deleted, retain, unissued, missing),
		rule:   "retain", action: plan.Release{}, state: plan.Progressing, code: v1alpha1.ReasonDeleting,
	},
	"Retain while not deleted": {
		reason: "deletionPolicy speaks of deletion only.",
		given:  given(retain),
		rule:   "steady", action: plan.Wait{}, state: plan.Steady, code: v1alpha1.ReasonReady,
	},
	"provider missing": {
		reason: "A credential that cannot be revoked keeps the ApiToken, and the user learns both ways out.",
		given:  given(deleted, missing),
		rule:   "no-way-to-revoke", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonProviderNotFound, after: plan.Recheck,
		says: []string{`TokenProvider "store" does not exist`, "create it again", "spec.deletionPolicy: Retain"},
	},
	"another account": {
		reason: `Under another account "not found" is not "revoked".`,
		given:  given(deleted, belongs(other)),
		rule:   "no-way-to-revoke", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonProviderAccountChanged, after: plan.Recheck,
		says: []string{"own-active", account, other, "restore the old ones", "spec.deletionPolicy: Retain"},
	},
	"one entry of another account": {
		reason: "Every entry counts: the finalizer goes only when all are revoked.",
		given:  given(deleted, nextTo(by(other, retiring("own-old", time.Hour)))),
		rule:   "no-way-to-revoke", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonProviderAccountChanged,
		says: []string{"own-old", other, "restore the old ones"},
	},
	"account not known": {
		reason: "An account that is not known yet is learnt by connecting, so revoking is tried.",
		given:  given(deleted, belongs("")),
		rule:   "purge", action: plan.Purge{Settled: true}, state: plan.Progressing, code: v1alpha1.ReasonDeleting,
	},
	"entry without an account": {
		reason: "An entry that names no account can be revoked at any account of the provider.",
		given:  given(deleted, entries(by("", retiring("own-old", time.Hour)))),
		rule:   "purge", action: plan.Purge{Settled: true}, state: plan.Progressing, code: v1alpha1.ReasonDeleting,
	},
	"one Active credential": {
		reason: "What was Active is settled at once, so an ordinary deletion waits for nothing.",
		given:  given(deleted),
		rule:   "purge", action: plan.Purge{Settled: true}, state: plan.Progressing, code: v1alpha1.ReasonDeleting, after: never,
		says: []string{"revoking every credential"},
	},
	"overlap running": {
		reason: "Deletion revokes every name at once and respects no overlap.",
		given:  given(deleted, nextTo(retiring("own-old", time.Hour))),
		rule:   "purge", action: plan.Purge{Settled: true}, state: plan.Progressing, code: v1alpha1.ReasonDeleting,
	},
	"attempt open": {
		reason: "Listing the owner before every attempt is settled could miss what still lands.",
		given:  given(deleted, nextTo(attempt("own-new", v1alpha1.StateMinting, 70*time.Second))),
		rule:   "purge", action: plan.Purge{}, state: plan.Progressing, code: v1alpha1.ReasonDeleting, after: 70 * time.Second,
		says: []string{"waiting"},
	},
	"several attempts open": {
		reason: "All must be settled: the longest wait counts.",
		given: given(deleted, nextTo(attempt("own-1", v1alpha1.StateAbandoned, 30*time.Second),
			attempt("own-2", v1alpha1.StateMinting, 90*time.Second), attempt("own-3", v1alpha1.StateRetiring, time.Second))),
		rule: "purge", action: plan.Purge{}, state: plan.Progressing, code: v1alpha1.ReasonDeleting, after: 90 * time.Second,
	},
	"attempt about to settle": {
		reason: "An entry that is not settled yet is waited for, however little is left.",
		given: given(deleted, nextTo(attempt("own-new", v1alpha1.StateMinting, time.Minute)),
			func(o *plan.Observation) { o.Ledger[1].SettlesIn = 0 }),
		rule: "purge", action: plan.Purge{}, state: plan.Progressing, code: v1alpha1.ReasonDeleting, after: time.Second,
	},
	"attempt that the Secret names": {
		reason: "Deletion does not adopt: it revokes by name.",
		given:  given(deleted, live, holding("own-new"), nextTo(attempt("own-new", v1alpha1.StateMinting, time.Minute))),
		rule:   "purge", action: plan.Purge{}, state: plan.Progressing, code: v1alpha1.ReasonDeleting, after: time.Minute,
	},
	"settled attempt": {
		reason: "Deletion does not fence: the name is revoked as it is.",
		given:  given(deleted, nextTo(attempt("own-new", v1alpha1.StateMinting, 0))),
		rule:   "purge", action: plan.Purge{Settled: true}, state: plan.Progressing, code: v1alpha1.ReasonDeleting,
	},
	"state of a newer version": {
		reason: "Every ledger name is revoked, also one whose state is not known.",
		given:  given(deleted, nextTo(attempt("own-new", "Frozen", 0))),
		rule:   "purge", action: plan.Purge{Settled: true}, state: plan.Progressing, code: v1alpha1.ReasonDeleting,
	},
	"provider leaving, not ready, not admitting": {
		reason: "A provider that may issue nothing still revokes.",
		given:  given(deleted, leaving, notReady, notAdmitted),
		rule:   "purge", action: plan.Purge{Settled: true}, state: plan.Progressing, code: v1alpha1.ReasonDeleting,
	},
	"suspended and ended": {
		reason: "suspend stops reservations only, and deletion comes before the hard end.",
		given:  given(deleted, suspend, endsIn(-time.Hour)),
		rule:   "purge", action: plan.Purge{Settled: true}, state: plan.Progressing, code: v1alpha1.ReasonDeleting,
	},
	"backoff running, budget empty": {
		reason: "Storm limits hold back mints, not revocations.",
		given:  given(deleted, retry(9, time.Hour), budget(0, 0)),
		rule:   "purge", action: plan.Purge{Settled: true}, state: plan.Progressing, code: v1alpha1.ReasonDeleting,
	},
}

var neverIssuedCases = map[string]nextCase{
	"provider ready": {
		reason: "Asking a ready provider costs one call and rules out what a lost status forgot.",
		given:  given(deleted, unissued, live),
		rule:   "purge", action: plan.Purge{Settled: true}, state: plan.Progressing, code: v1alpha1.ReasonDeleting,
	},
	"provider missing, Secret not read": {
		reason: "A Secret can name a credential that a lost status had: it must be read first.",
		given:  given(deleted, unissued, missing),
		rule:   "never-issued", action: plan.ReadSecret{}, state: plan.Progressing, code: v1alpha1.ReasonDeleting,
	},
	"provider not ready, Secret not read": {
		reason: "The same with a provider that cannot be asked.",
		given:  given(deleted, unissued, notReady),
		rule:   "never-issued", action: plan.ReadSecret{}, state: plan.Progressing, code: v1alpha1.ReasonDeleting,
	},
	"provider missing, no Secret": {
		reason: "Nothing was ever issued, so no provider is needed to go.",
		given:  given(deleted, unissued, missing, live),
		rule:   "never-issued", action: plan.RemoveFinalizer{}, state: plan.Progressing, code: v1alpha1.ReasonDeleting,
		says: []string{"nothing was ever issued"},
	},
	"provider not ready, no Secret": {
		reason: "An ApiToken that never got anything from a broken provider must be deletable.",
		given:  given(deleted, unissued, notReady, live),
		rule:   "never-issued", action: plan.RemoveFinalizer{}, state: plan.Progressing, code: v1alpha1.ReasonDeleting,
	},
	"provider missing, foreign Secret": {
		reason: "A Secret of another owner says nothing about this ApiToken.",
		given:  given(deleted, unissued, missing, live, foreign),
		rule:   "never-issued", action: plan.RemoveFinalizer{}, state: plan.Progressing, code: v1alpha1.ReasonDeleting,
	},
	"provider missing, credential of another cluster": {
		reason: "A credential of another cluster is not ours to revoke.",
		given:  given(deleted, lostStatus, missing, live, holding("")),
		rule:   "never-issued", action: plan.RemoveFinalizer{}, state: plan.Progressing, code: v1alpha1.ReasonDeleting,
	},
	"provider missing, credential of another ApiToken": {
		reason: "A credential made for another ApiToken is not ours to revoke.",
		given:  given(deleted, lostStatus, missing, live, holding("their-1")),
		rule:   "never-issued", action: plan.RemoveFinalizer{}, state: plan.Progressing, code: v1alpha1.ReasonDeleting,
	},
	"provider missing, our credential": {
		reason: "The status was lost, but the Secret shows that something was issued.",
		given:  given(deleted, lostStatus, missing, live),
		rule:   "no-way-to-revoke", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonProviderNotFound,
		says: []string{`TokenProvider "store"`, "spec.deletionPolicy: Retain"},
	},
	"provider not ready, our credential": {
		reason: "The provider may be ready again soon; until then its answer is an error and the ApiToken stays.",
		given:  given(deleted, lostStatus, notReady, live),
		rule:   "purge", action: plan.Purge{Settled: true}, state: plan.Progressing, code: v1alpha1.ReasonDeleting,
	},
	"another account, our credential": {
		reason: `Under another account "not found" is not "revoked", also for a credential that only the Secret knows.`,
		given:  given(deleted, lostStatus, notReady, live, belongs(other)),
		rule:   "no-way-to-revoke", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonProviderAccountChanged,
		says: []string{"own-active", account, other, "spec.deletionPolicy: Retain"},
	},
	"all revoked, provider missing": {
		reason: "Every entry was dropped after it was seen to be gone, and no provider is left to ask again.",
		given:  given(deleted, entries(), missing),
		rule:   "never-issued", action: plan.RemoveFinalizer{}, state: plan.Progressing, code: v1alpha1.ReasonDeleting,
		says: []string{"nothing is left to revoke"},
	},
	"all revoked, provider not ready": {
		reason: "The owner is listed before the finalizer goes, so the provider is waited for.",
		given:  given(deleted, entries(), notReady),
		rule:   "purge", action: plan.Purge{Settled: true}, state: plan.Progressing, code: v1alpha1.ReasonDeleting,
	},
	"one entry left, provider missing": {
		reason: "A ledger that is not empty never lets the ApiToken go without a provider call.",
		given:  given(deleted, entries(attempt("own-new", v1alpha1.StateAbandoned, 0)), missing, live, absent),
		rule:   "no-way-to-revoke", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonProviderNotFound,
		says: []string{`TokenProvider "store"`, "create it again"},
	},
	"not deleted": {
		reason: "An ApiToken that stays and has no provider waits for it.",
		given:  given(unissued, missing),
		rule:   "blocked", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonProviderNotFound, after: never,
		says: []string{"spec.providerRef", `"store"`, "create it"},
	},
}
