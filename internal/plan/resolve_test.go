package plan_test

import (
	"time"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/plan"
)

var lookCases = map[string]nextCase{
	"new ApiToken": {
		reason: "The finalizer is on before anything can exist at the provider.",
		given:  given(unissued, noFinalizer),
		rule:   "finalizer", action: plan.AddFinalizer{}, state: plan.Progressing, code: v1alpha1.ReasonIssuing,
	},
	"finalizer removed by a user": {
		reason: "Credentials are live, so the finalizer comes back before anything else.",
		given:  given(noFinalizer, nextTo(attempt("own-new", v1alpha1.StateMinting, time.Minute)), untrusted),
		rule:   "finalizer", action: plan.AddFinalizer{}, state: plan.Progressing, code: v1alpha1.ReasonIssuing,
	},
	"finalizer before the provider": {
		reason: "Whether the provider exists does not matter to the finalizer.",
		given:  given(unissued, noFinalizer, missing, suspend),
		rule:   "finalizer", action: plan.AddFinalizer{}, state: plan.Progressing, code: v1alpha1.ReasonIssuing,
	},
	"Secret changed": {
		reason: "A Secret that is not as last written is read live before anything is said of it.",
		given:  given(untrusted),
		rule:   "read-secret", action: plan.ReadSecret{}, state: plan.Progressing, code: v1alpha1.ReasonPublishing,
	},
	"Secret deleted, says the cache": {
		reason: "A cache alone does not say that a Secret is lost.",
		given:  given(untrusted, absent),
		rule:   "read-secret", action: plan.ReadSecret{}, state: plan.Progressing, code: v1alpha1.ReasonPublishing,
	},
	"first credential wanted": {
		reason: "Just before a reservation the Secret is read live.",
		given:  given(unissued),
		rule:   "read-secret", action: plan.ReadSecret{}, state: plan.Progressing, code: v1alpha1.ReasonPublishing,
	},
	"rotation due": {
		reason: "Just before a reservation the Secret is read live.",
		given:  given(expires(time.Hour)),
		rule:   "read-secret", action: plan.ReadSecret{}, state: plan.Progressing, code: v1alpha1.ReasonPublishing,
	},
	"credential wanted but not possible": {
		reason: "A blocked ApiToken reserves nothing, so no read is needed.",
		given:  given(unissued, suspend),
		rule:   "blocked", action: plan.Wait{}, state: plan.Steady, code: v1alpha1.ReasonSuspended, after: never,
	},
	"attempt read": {
		reason: "Whether an attempt is adopted depends on the Secret as it is, not on a cache.",
		given:  given(nextTo(attempt("own-new", v1alpha1.StateMinting, time.Minute))),
		rule:   "read-secret", action: plan.ReadSecret{}, state: plan.Progressing, code: v1alpha1.ReasonPublishing,
	},
	"old credential due": {
		reason: "A Retiring entry is not revoked while the Secret, read live, names it.",
		given:  given(nextTo(retiring("own-old", 0))),
		rule:   "read-secret", action: plan.ReadSecret{}, state: plan.Progressing, code: v1alpha1.ReasonPublishing,
	},
	"old credential not due": {
		reason: "A timer is enough: nothing is decided about it yet.",
		given:  given(nextTo(retiring("own-old", time.Minute))),
		rule:   "steady", action: plan.Wait{}, state: plan.Steady, code: v1alpha1.ReasonReady, after: time.Minute,
	},
	"old credential due, provider missing": {
		reason: "Without the provider it cannot be revoked, so the Secret does not matter.",
		given:  given(nextTo(retiring("own-old", 0)), missing),
		rule:   "provider-missing", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonRevocationFailed, after: plan.Recheck,
		says: []string{"own-old", `TokenProvider "store"`, "create it again"},
	},
	"old credential of another account due": {
		reason: "It cannot be revoked under this account, so the Secret does not matter.",
		given:  given(nextTo(by(other, retiring("own-old", 0)))),
		rule:   "account-changed", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonProviderAccountChanged,
		says: []string{"own-old", other, "restore the old ones"},
	},
	"attempt given up and settled": {
		reason: "An Abandoned name is revoked only with the Secret, read live after it settled, not naming it.",
		given:  given(nextTo(attempt("own-new", v1alpha1.StateAbandoned, 0))),
		rule:   "read-secret", action: plan.ReadSecret{}, state: plan.Progressing, code: v1alpha1.ReasonPublishing,
	},
	"attempt given up, not settled": {
		reason: "It still may be published: wait, without a read.",
		given:  given(nextTo(attempt("own-new", v1alpha1.StateAbandoned, 40*time.Second))),
		rule:   "steady", action: plan.Wait{}, state: plan.Steady, code: v1alpha1.ReasonReady, after: 40 * time.Second,
	},
	"hard end passed": {
		reason: "Whose Secret is deleted at the hard end is not decided from a cache.",
		given:  given(endsIn(-time.Second)),
		rule:   "read-secret", action: plan.ReadSecret{}, state: plan.Progressing, code: v1alpha1.ReasonPublishing,
	},
	"hard end passed, nothing left": {
		reason: "There is neither Secret nor Active credential to end.",
		given:  given(endsIn(-time.Second), entries(), absent),
		rule:   "ended", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonExpired, after: never,
		says: []string{"spec.expiresAt: 2026-03-01T11:59:59Z", "raise spec.expiresAt"},
	},
	"hard end passed, Active credential without a Secret": {
		reason: "The credential must be ended, and a Secret may exist by now.",
		given:  given(endsIn(-time.Second), absent),
		rule:   "read-secret", action: plan.ReadSecret{}, state: plan.Progressing, code: v1alpha1.ReasonPublishing,
	},
	"read already": {
		reason: "One live read answers; asking again would turn in circles.",
		given:  given(live, untrusted, func(o *plan.Observation) { o.Secret.Intact = true }),
		rule:   "sync-secret", action: plan.SyncSecret{}, state: plan.Steady, code: v1alpha1.ReasonReady,
	},
}

var (
	mint    = attempt("own-new", v1alpha1.StateMinting, time.Minute)
	givenUp = attempt("own-new", v1alpha1.StateAbandoned, time.Minute)
)

var resolveCases = map[string]nextCase{
	"Secret names the attempt": {
		reason: "A Secret naming a Minting entry is adopted: the publish went through, the record did not.",
		given:  given(live, holding("own-new"), nextTo(mint)),
		rule:   "adopt", action: adopting("own-new"), state: plan.Progressing, code: v1alpha1.ReasonResolving, says: []string{"own-new"},
	},
	"Secret names an attempt given up": {
		reason: "A Secret naming an Abandoned entry is adopted: a paused process published after all.",
		given:  given(live, holding("own-new"), nextTo(givenUp)),
		rule:   "adopt", action: adopting("own-new"), state: plan.Progressing, code: v1alpha1.ReasonResolving,
	},
	"Secret names a settled attempt given up": {
		reason: "Settled or not, what the Secret holds is in use.",
		given:  given(live, holding("own-new"), nextTo(attempt("own-new", v1alpha1.StateAbandoned, 0))),
		rule:   "adopt", action: adopting("own-new"), state: plan.Progressing, code: v1alpha1.ReasonResolving,
	},
	"Secret names the second of two attempts": {
		reason: "The named one is adopted before any other is given up.",
		given:  given(live, holding("own-2"), nextTo(mint, attempt("own-2", v1alpha1.StateMinting, time.Minute))),
		rule:   "adopt", action: adopting("own-2"), state: plan.Progressing, code: v1alpha1.ReasonResolving,
	},
	"first attempt, in the Secret": {
		reason: "The same without an Active entry.",
		given:  given(live, holding("own-new"), entries(mint)),
		rule:   "adopt", action: adopting("own-new"), state: plan.Progressing, code: v1alpha1.ReasonResolving,
	},
	"adopt while suspended": {
		reason: "suspend stops reservations only; attempts are still resolved.",
		given:  given(live, suspend, holding("own-new"), nextTo(mint)),
		rule:   "adopt", action: adopting("own-new"), state: plan.Progressing, code: v1alpha1.ReasonResolving,
	},
	"adopt without a provider": {
		reason: "Adopting needs no provider call.",
		given:  given(live, missing, holding("own-new"), nextTo(mint)),
		rule:   "adopt", action: adopting("own-new"), state: plan.Progressing, code: v1alpha1.ReasonResolving,
	},
	"adopt after the hard end": {
		reason: "Only what the ledger calls Active is retired in order, so it is adopted first.",
		given:  given(live, endsIn(-time.Hour), holding("own-new"), nextTo(mint)),
		rule:   "adopt", action: adopting("own-new"), state: plan.Progressing, code: v1alpha1.ReasonResolving,
	},
	"adopt a Secret that was edited": {
		reason: "Its credential is in use; what was edited is repaired afterwards.",
		given:  given(live, edited, holding("own-new"), nextTo(mint)),
		rule:   "adopt", action: adopting("own-new"), state: plan.Progressing, code: v1alpha1.ReasonResolving,
	},
	"Secret names a Retiring entry": {
		reason: "A Retiring entry is never adopted: its revocation may have begun. The Secret counts as missing.",
		given:  given(live, holding("own-old"), nextTo(retiring("own-old", -time.Minute))),
		rule:   "issue", action: plan.Issue{Reason: plan.IssueSecretLost, Revision: 8, Charged: true},
		state: plan.Progressing, code: v1alpha1.ReasonReissuing,
	},
	"Secret names an entry in an unknown state": {
		reason: "What a newer version wrote is kept as it is, and blocks reservations.",
		given:  given(live, holding("own-new"), nextTo(attempt("own-new", "Frozen", 0))),
		rule:   "blocked", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonUnknownState,
		says: []string{"own-new", `"Frozen"`, "run the version"},
	},
	"Secret of another owner names the attempt": {
		reason: "A Secret of another owner does not count: the attempt is given up, and that Secret is not written.",
		given:  given(live, nextTo(mint), foreign, holding("own-new")),
		rule:   "abandon", action: plan.Abandon{Name: "own-new"}, state: plan.Progressing, code: v1alpha1.ReasonResolving,
	},
	"rejected attempt": {
		reason: "The provider created nothing, so there is no need to wait or to read the Secret.",
		given:  given(nextTo(rejected(mint))),
		rule:   "withdraw", action: plan.Withdraw{Name: "own-new"}, state: plan.Progressing, code: v1alpha1.ReasonResolving, says: []string{"own-new", "rejected"},
	},
	"rejected attempt of a deleted ApiToken": {
		reason: "A deletion does not wait for an attempt that created nothing.",
		given:  given(deleted, nextTo(rejected(mint))),
		rule:   "withdraw", action: plan.Withdraw{Name: "own-new"}, state: plan.Progressing, code: v1alpha1.ReasonResolving,
	},
	"rejected attempt that another process abandoned": {
		reason: "An entry that another process abandoned is kept until it settles.",
		given:  given(live, nextTo(rejected(givenUp))),
		rule:   "steady", action: plan.Wait{}, state: plan.Steady, code: v1alpha1.ReasonReady, after: time.Minute,
	},
	"no Secret": {
		reason: "A Minting entry that was read is never minted; an absent Secret cannot be fenced.",
		given:  given(live, absent, nextTo(mint)),
		rule:   "abandon", action: plan.Abandon{Name: "own-new"}, state: plan.Progressing, code: v1alpha1.ReasonResolving, says: []string{"own-new"},
	},
	"Secret holds the Active credential": {
		reason: "An existing Secret is fenced first, so that a paused process's publish conflicts.",
		given:  given(live, nextTo(mint)),
		rule:   "abandon", action: plan.Abandon{Name: "own-new", Fence: true}, state: plan.Progressing, code: v1alpha1.ReasonResolving,
	},
	"Secret holds a credential of another cluster": {
		reason: "It may be overwritten by a paused process, so it is fenced.",
		given:  given(live, holding(""), nextTo(mint)),
		rule:   "abandon", action: plan.Abandon{Name: "own-new", Fence: true}, state: plan.Progressing, code: v1alpha1.ReasonResolving,
	},
	"Secret names a Retiring entry, attempt open": {
		reason: "The Secret does not name the attempt.",
		given:  given(live, holding("own-old"), nextTo(retiring("own-old", time.Hour), mint)),
		rule:   "abandon", action: plan.Abandon{Name: "own-new", Fence: true}, state: plan.Progressing, code: v1alpha1.ReasonResolving,
	},
	"settled attempt, not in the Secret": {
		reason: "Settling does not make an attempt mintable; it can no longer be published, so it needs no fence.",
		given:  given(live, nextTo(attempt("own-new", v1alpha1.StateMinting, 0))),
		rule:   "abandon", action: plan.Abandon{Name: "own-new"}, state: plan.Progressing, code: v1alpha1.ReasonResolving,
	},
	"give up while suspended, without a provider": {
		reason: "Giving up needs neither permission to issue nor a provider.",
		given:  given(live, suspend, missing, nextTo(mint)),
		rule:   "abandon", action: plan.Abandon{Name: "own-new", Fence: true}, state: plan.Progressing, code: v1alpha1.ReasonResolving,
	},
	"give up after the hard end": {
		reason: "An attempt that a paused process may still publish is fenced before the Secret is deleted.",
		given:  given(live, endsIn(-time.Hour), nextTo(mint)),
		rule:   "abandon", action: plan.Abandon{Name: "own-new", Fence: true}, state: plan.Progressing, code: v1alpha1.ReasonResolving,
	},
	"two attempts": {
		reason: "One action at a time: the first goes first.",
		given:  given(live, entries(attempt("own-1", v1alpha1.StateMinting, time.Minute), mint), absent),
		rule:   "abandon", action: plan.Abandon{Name: "own-1"}, state: plan.Progressing, code: v1alpha1.ReasonResolving,
	},
	"two attempts, one settled": {
		reason: "The settled one needs no write of the Secret, which could be refused.",
		given:  given(live, nextTo(mint, attempt("own-2", v1alpha1.StateMinting, 0))),
		rule:   "abandon", action: plan.Abandon{Name: "own-2"}, state: plan.Progressing, code: v1alpha1.ReasonResolving,
	},
	"attempt given up already": {
		reason: "It was fenced when it was given up; fencing it at each reconcile would write for nothing.",
		given:  given(live, nextTo(givenUp)),
		rule:   "steady", action: plan.Wait{}, state: plan.Steady, code: v1alpha1.ReasonReady, after: time.Minute,
	},
}
