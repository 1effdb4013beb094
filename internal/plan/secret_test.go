package plan_test

import (
	"time"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/plan"
)

// current: the Secret's data is as written, though its version is another.
func current(o *plan.Observation) { o.Secret.Intact = true }

var secretCases = map[string]nextCase{
	"labels changed in the spec": {
		reason: "The Secret is read before it is written.",
		given:  given(outdated),
		rule:   "sync-secret", action: plan.ReadSecret{}, state: plan.Steady, code: v1alpha1.ReasonReady,
	},
	"labels changed in the spec, read": {
		reason: "What stands beside the credential is brought up to date; nothing is minted.",
		given:  given(live, outdated),
		rule:   "sync-secret", action: plan.SyncSecret{}, state: plan.Steady, code: v1alpha1.ReasonReady,
	},
	"another version, unchanged": {
		reason: "A version that was looked at is recorded, so that the next pass reads nothing.",
		given:  given(live, untrusted, current),
		rule:   "sync-secret", action: plan.SyncSecret{}, state: plan.Steady, code: v1alpha1.ReasonReady,
	},
	"as declared": {
		reason: "A restart over tokens in order writes nothing.",
		given:  given(live),
		rule:   "steady", action: plan.Wait{}, state: plan.Steady, code: v1alpha1.ReasonReady,
	},
	"labels and data changed": {
		reason: "A new credential is published over both.",
		given:  given(live, outdated, edited),
		rule:   "issue", action: issuing(plan.IssueSecretChanged), state: plan.Progressing, code: v1alpha1.ReasonReissuing,
	},
	"data changed, nothing can be issued": {
		reason: "Data that is not ours is not blessed by recording its version.",
		given:  given(live, untrusted, suspend),
		rule:   "blocked", action: plan.Wait{}, state: plan.Steady, code: v1alpha1.ReasonSuspended,
	},
	"another credential, nothing can be issued": {
		reason: "A Secret that does not hold the Active credential is not kept up.",
		given:  given(live, outdated, holding(""), suspend),
		rule:   "blocked", action: plan.Wait{}, state: plan.Steady, code: v1alpha1.ReasonSuspended,
	},
	"absent, nothing can be issued": {
		reason: "There is nothing to bring up to date.",
		given:  given(live, absent, suspend),
		rule:   "blocked", action: plan.Wait{}, state: plan.Steady, code: v1alpha1.ReasonSuspended,
	},
	"somebody else's": {
		reason: "A Secret that is not ours is never written.",
		given:  given(live, foreign, suspend),
		rule:   "blocked", action: plan.Wait{}, state: plan.Steady, code: v1alpha1.ReasonSuspended,
	},
	"labels changed, provider not ready": {
		reason: "Labels need no provider.",
		given:  given(live, outdated, notReady),
		rule:   "sync-secret", action: plan.SyncSecret{}, state: plan.Steady, code: v1alpha1.ReasonReady,
	},
	"labels changed, issuing blocked": {
		reason: "What keeps a credential from being issued is still said meanwhile.",
		given:  given(live, outdated, otherScope, retry(1, time.Minute)),
		rule:   "sync-secret", action: plan.SyncSecret{}, state: plan.Progressing, code: v1alpha1.ReasonBackoff,
	},
}

var steadyCases = map[string]nextCase{
	"healthy": {
		reason: "The next thing to do is the rotation.",
		given:  given(),
		rule:   "steady", action: plan.Wait{}, state: plan.Steady, code: v1alpha1.ReasonReady,
		after: rotationIn(),
	},
	"overlap ends first": {
		reason: "The soonest of what is due counts.",
		given:  given(beside(retiring("own-1", 2*time.Minute), retiring("own-2", time.Minute))),
		rule:   "steady", action: plan.Wait{}, state: plan.Steady, code: v1alpha1.ReasonReady, after: time.Minute,
	},
	"attempt settles first": {
		reason: "The soonest of what is due counts.",
		given:  given(beside(retiring("own-1", 2*time.Minute), givenUp)),
		rule:   "steady", action: plan.Wait{}, state: plan.Steady, code: v1alpha1.ReasonReady, after: time.Minute,
	},
	"attempt about to settle": {
		reason: "Never a look without a pause.",
		given:  given(beside(givenUp), func(o *plan.Observation) { o.Ledger[1].SettlesIn = time.Millisecond }),
		rule:   "steady", action: plan.Wait{}, state: plan.Steady, code: v1alpha1.ReasonReady, after: time.Second,
	},
	"hard end first": {
		reason: "With a provider that issues for less than the hard end, both are looked at.",
		given:  given(endsIn(48*time.Hour), entry(func(e *plan.Entry) { e.ExpiresAt = at(now.Add(72 * time.Hour)) })),
		rule:   "steady", action: plan.Wait{}, state: plan.Steady, code: v1alpha1.ReasonReady, after: 48 * time.Hour,
	},
}
