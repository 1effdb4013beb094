package plan_test

import (
	"time"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/plan"
)

// past: spec.expiresAt was an hour ago, and the Secret was read.
var past = all(live, endsIn(-time.Hour))

var endSays = []string{"spec.expiresAt: 2026-03-01T11:00:00Z", "raise spec.expiresAt"}

var endCases = map[string]nextCase{
	"Secret": {
		reason: "The Secret goes first, so that it never holds a dead key.",
		given:  given(past),
		rule:   "end-secret", action: plan.DeleteSecret{}, state: plan.Stalled, code: v1alpha1.ReasonExpired, says: endSays,
	},
	"at the second": {
		reason: "At expiresAt access has ended.",
		given:  given(live, endsIn(0)),
		rule:   "end-secret", action: plan.DeleteSecret{}, state: plan.Stalled, code: v1alpha1.ReasonExpired,
		says: []string{"spec.expiresAt: 2026-03-01T12:00:00Z", "raise"},
	},
	"one second before": {
		reason: "Before expiresAt access continues, and the operator waits for the end.",
		given:  given(live, endsIn(time.Second)),
		rule:   "steady", action: plan.Wait{}, state: plan.Steady, code: v1alpha1.ReasonReady, after: time.Second,
	},
	"Secret deleted": {
		reason: "Then the credential is revoked.",
		given:  given(past, absent),
		rule:   "end-active", action: plan.Retire{Name: "own-active", Expired: true}, state: plan.Stalled, code: v1alpha1.ReasonExpired, says: endSays,
	},
	"Secret of another owner": {
		reason: "A Secret of another owner stays; the credential is ended.",
		given:  given(past, foreign),
		rule:   "end-active", action: plan.Retire{Name: "own-active", Expired: true}, state: plan.Stalled, code: v1alpha1.ReasonExpired, says: endSays,
	},
	"credential retired": {
		reason: "Due credentials are revoked.",
		given:  given(past, absent, entries(retiring("own-active", 0))),
		rule:   "revoke", action: plan.Revoke{Names: []string{"own-active"}}, state: plan.Stalled, code: v1alpha1.ReasonExpired, says: endSays,
	},
	"overlap running": {
		reason: "A hard end respects no overlap: at expiresAt every credential is revoked.",
		given:  given(past, absent, entries(retiring("own-old", time.Hour))),
		rule:   "revoke", action: plan.Revoke{Names: []string{"own-old"}}, state: plan.Stalled, code: v1alpha1.ReasonExpired, says: endSays,
	},
	"overlap beyond the end": {
		reason: "The end is looked at before the overlap is over.",
		given:  given(endsIn(time.Minute), nextTo(retiring("own-old", time.Hour))),
		rule:   "steady", action: plan.Wait{}, state: plan.Steady, code: v1alpha1.ReasonReady, after: time.Minute,
	},
	"Secret being deleted": {
		reason: "It is deleted once: finalizers of others do not keep access alive.",
		given:  given(past, beingDeleted),
		rule:   "end-active", action: plan.Retire{Name: "own-active", Expired: true}, state: plan.Stalled, code: v1alpha1.ReasonExpired,
		says: append([]string{`Secret "training" is being deleted`, "example.com/hold"}, endSays...),
	},
	"Secret being deleted, credential retired": {
		reason: "The Secret is being deleted: its readers had until the end.",
		given:  given(past, beingDeleted, entries(retiring("own-active", 0))),
		rule:   "revoke", action: plan.Revoke{Names: []string{"own-active"}}, state: plan.Stalled, code: v1alpha1.ReasonExpired, says: endSays,
	},
	"Secret being deleted, all gone": {
		reason: "A second deletion would change nothing.",
		given:  given(past, beingDeleted, entries()),
		rule:   "ended", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonExpired, after: never,
		says: append([]string{"example.com/hold"}, endSays...),
	},
	"attempt given up": {
		reason: "Attempts are cleared up as ever: once settled.",
		given:  given(past, absent, entries(givenUp)),
		rule:   "ended", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonExpired, after: time.Minute, says: endSays,
	},
	"suspended": {
		reason: "suspend does not put off a hard end.",
		given:  given(past, suspend),
		rule:   "end-secret", action: plan.DeleteSecret{}, state: plan.Stalled, code: v1alpha1.ReasonExpired, says: endSays,
	},
	"provider missing": {
		reason: "The Secret goes in any case.",
		given:  given(past, missing),
		rule:   "end-secret", action: plan.DeleteSecret{}, state: plan.Stalled, code: v1alpha1.ReasonExpired, says: endSays,
	},
	"another account": {
		reason: "The Secret goes in any case.",
		given:  given(past, belongs(other)),
		rule:   "end-secret", action: plan.DeleteSecret{}, state: plan.Stalled, code: v1alpha1.ReasonExpired, says: endSays,
	},
	"nothing left, another entry of another account": {
		reason: "The user must know what could not be revoked.",
		given:  given(past, absent, entries(by(other, retiring("own-old", 0)))),
		rule:   "account-changed", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonProviderAccountChanged,
		says: []string{"own-old", other, "restore the old ones"},
	},
	"all gone": {
		reason: "Nothing happens until a user raises it.",
		given:  given(past, absent, entries()),
		rule:   "ended", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonExpired, after: never, says: endSays,
	},
	"all gone, suspended": {
		reason: "The end is why there is no credential, not the suspension.",
		given:  given(past, absent, entries(), suspend),
		rule:   "ended", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonExpired, after: never, says: endSays,
	},
}

// runOut: the operator must end the credential, which has expired.
var runOut = all(live, operatorEnds, expires(-time.Minute))

var expiryCases = map[string]nextCase{
	"another can be issued": {
		reason: "Make before break, also when it is late.",
		given:  given(runOut),
		rule:   "issue", action: scheduled, state: plan.Steady, code: v1alpha1.ReasonReissuing,
	},
	"suspended": {
		reason: "The operator enforces the expiry also while suspended.",
		given:  given(runOut, suspend),
		rule:   "end-secret", action: plan.DeleteSecret{}, state: plan.Steady, code: v1alpha1.ReasonSuspended,
		says: []string{"has expired", "spec.suspend"},
	},
	"suspended, not read": {
		reason: "A Secret is not deleted on the word of a cache.",
		given:  given(operatorEnds, expires(-time.Minute), suspend),
		rule:   "read-secret", action: plan.ReadSecret{}, state: plan.Progressing, code: v1alpha1.ReasonPublishing,
	},
	"suspended, Secret gone": {
		reason: "Then the credential is revoked.",
		given:  given(runOut, suspend, absent),
		rule:   "end-active", action: plan.Retire{Name: "own-active", Expired: true}, state: plan.Steady, code: v1alpha1.ReasonSuspended,
	},
	"suspended, all gone": {
		reason: "The suspension is what is left to say.",
		given:  given(runOut, suspend, absent, entries()),
		rule:   "blocked", action: plan.Wait{}, state: plan.Steady, code: v1alpha1.ReasonSuspended, after: never,
	},
	"provider being deleted": {
		reason: "The user learns that access ended, why, and what brings it back; that is not a hard end.",
		given:  given(runOut, leaving),
		rule:   "end-secret", action: plan.DeleteSecret{}, state: plan.Stalled, code: v1alpha1.ReasonProviderDeleting,
		says: []string{"has expired", `"store"`, "create another provider"},
	},
	"Secret of another owner": {
		reason: "A Secret of another owner stays; the credential is ended.",
		given:  given(runOut, foreign),
		rule:   "end-active", action: plan.Retire{Name: "own-active", Expired: true}, state: plan.Stalled, code: v1alpha1.ReasonSecretNotOwned,
		says: []string{"has expired", "spec.secret.name"},
	},
	"the provider ends it": {
		reason: "A credential that dies on its own needs no revocation on time; the Secret waits for the next.",
		given:  given(live, expires(-time.Minute), suspend),
		rule:   "blocked", action: plan.Wait{}, state: plan.Steady, code: v1alpha1.ReasonSuspended, after: never,
	},
	"not expired yet": {
		reason: "Until its expiry it is the workload's.",
		given:  given(live, operatorEnds, expires(time.Minute), suspend),
		rule:   "blocked", action: plan.Wait{}, state: plan.Steady, code: v1alpha1.ReasonSuspended, after: time.Minute,
	},
	"without an expiry": {
		reason: "What does not end is not ended.",
		given:  given(live, operatorEnds, entry(func(e *plan.Entry) { e.ExpiresAt = nil }), suspend),
		rule:   "steady", action: plan.Wait{}, state: plan.Steady, code: v1alpha1.ReasonReady, after: never,
	},
}

var suspendCases = map[string]nextCase{
	"nothing wanted": {
		reason: "A suspended ApiToken whose credential is right is ready.",
		given:  given(suspend),
		rule:   "steady", action: plan.Wait{}, state: plan.Steady, code: v1alpha1.ReasonReady,
	},
	"first credential": {
		reason: "suspend stops reservations.",
		given:  given(unissued, live, suspend),
		rule:   "blocked", action: plan.Wait{}, state: plan.Steady, code: v1alpha1.ReasonSuspended, says: []string{"spec.suspend is true", "until it is false"},
	},
	"rotation due": {
		reason: "suspend stops scheduled rotations too; the expiry is looked at.",
		given:  given(live, expires(time.Hour), suspend),
		rule:   "blocked", action: plan.Wait{}, state: plan.Steady, code: v1alpha1.ReasonSuspended, after: time.Hour,
	},
	"Secret lost": {
		reason: "suspend stops all reservations.",
		given:  given(live, absent, suspend),
		rule:   "blocked", action: plan.Wait{}, state: plan.Steady, code: v1alpha1.ReasonSuspended,
	},
	"attempt given up": {
		reason: "Resolving continues: the attempt is revoked once settled.",
		given:  given(live, suspend, nextTo(settled)),
		rule:   "begin-revoke", action: plan.BeginRevoke{Names: []string{"own-new"}}, state: plan.Steady, code: v1alpha1.ReasonReady,
	},
	"labels changed": {
		reason: "Labels are not credentials.",
		given:  given(live, suspend, outdated),
		rule:   "sync-secret", action: plan.SyncSecret{Metadata: true}, state: plan.Steady, code: v1alpha1.ReasonReady,
	},
}
