package plan_test

import (
	"testing"
	"time"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/plan"
)

// another is an attempt of another process: reserved a minute ago, first seen 50
// seconds ago.
var another = anothers(mint, 50*time.Second)

// onBehalf is an attempt that was reserved for a reason.
func onBehalf(reason plan.IssueReason, e plan.Entry) plan.Entry {
	e.Reason = string(reason)
	return e
}

// withoutFence is the end of another process's attempt that it may still publish.
var withoutFence = plan.Abandon{Name: "own-new"}

var waitCases = map[string]nextCase{
	"another process is issuing": {
		reason: "The Secret holds the Active credential, so nothing is lost by waiting until the reservation is 90 seconds old.",
		given:  given(live, nextTo(another)),
		rule:   "attempt-under-way", action: plan.Wait{}, state: plan.Progressing, code: v1alpha1.ReasonIssuing, after: 30 * time.Second,
		says: []string{"issuing credential own-new"},
	},
	"another process is rotating on schedule": {
		reason: "It says what the process that issues says, so that this one writes nothing.",
		given:  given(live, expires(time.Hour), nextTo(onBehalf(plan.IssueScheduled, another))),
		rule:   "attempt-under-way", action: plan.Wait{}, state: plan.Steady, code: v1alpha1.ReasonIssuing, after: 30 * time.Second,
	},
	"another process is issuing, says the cache": {
		reason: "Whether the workload can wait is not decided from a cache.",
		given:  given(nextTo(another)),
		rule:   "read-secret", action: plan.ReadSecret{}, state: plan.Progressing, code: v1alpha1.ReasonPublishing,
	},
	"another process is issuing, and a credential is wanted": {
		reason: "Until the attempt has ended, nothing is reserved.",
		given:  given(live, otherScope, nextTo(another)),
		rule:   "attempt-under-way", action: plan.Wait{}, state: plan.Progressing, code: v1alpha1.ReasonIssuing, after: 30 * time.Second,
	},
	"another process is issuing, and an old credential is due": {
		reason: "All other rules still act.",
		given:  given(live, otherScope, nextTo(another, retiring("own-old", -time.Second))),
		rule:   "revoke", action: plan.Revoke{Names: []string{"own-old"}}, state: plan.Progressing, code: v1alpha1.ReasonIssuing,
	},
	"another process is issuing, and an attempt given up has settled": {
		reason: "All other rules still act.",
		given:  given(live, nextTo(another, attempt("own-old", v1alpha1.StateAbandoned, 0))),
		rule:   "begin-revoke", action: plan.BeginRevoke{Names: []string{"own-old"}}, state: plan.Progressing, code: v1alpha1.ReasonIssuing,
	},
	"another process is issuing, and an overlap ends first": {
		reason: "The wait ends early for anything due before its end.",
		given:  given(live, nextTo(another, retiring("own-old", 10*time.Second))),
		rule:   "attempt-under-way", action: plan.Wait{}, state: plan.Progressing, code: v1alpha1.ReasonIssuing, after: 10 * time.Second,
	},
	"another process is issuing, and the Secret's labels are to change": {
		reason: "A write would make that publish conflict, and it brings the labels itself.",
		given:  given(live, outdated, nextTo(another)),
		rule:   "attempt-under-way", action: plan.Wait{}, state: plan.Progressing, code: v1alpha1.ReasonIssuing, after: 30 * time.Second,
	},
	"another process is issuing while suspended": {
		reason: "suspend stops reservations; the attempt in progress may succeed.",
		given:  given(live, suspend, nextTo(another)),
		rule:   "attempt-under-way", action: plan.Wait{}, state: plan.Progressing, code: v1alpha1.ReasonIssuing, after: 30 * time.Second,
	},
	"another process is issuing without an expiry of the credential in use": {
		reason: "It lives for five minutes more, as it does for ever.",
		given:  given(live, entry(func(e *plan.Entry) { e.ExpiresAt = nil }), nextTo(another)),
		rule:   "attempt-under-way", action: plan.Wait{}, state: plan.Progressing, code: v1alpha1.ReasonIssuing, after: 30 * time.Second,
	},
	"another process's attempt is published": {
		reason: "The credential in the Secret is adopted, also from another process.",
		given:  given(live, holding("own-new"), nextTo(another)),
		rule:   "adopt", action: adopting("own-new"), state: plan.Progressing, code: v1alpha1.ReasonResolving,
	},
	"two processes are issuing": {
		reason: "The wait lasts until the last of them has ended.",
		given:  given(live, nextTo(another, anothers(reserved(attempt("own-2", v1alpha1.StateMinting, time.Minute), 10*time.Second), time.Second))),
		rule:   "attempt-under-way", action: plan.Wait{}, state: plan.Progressing, code: v1alpha1.ReasonIssuing, after: 30 * time.Second,
		says: []string{"own-2"},
	},
	"one of two attempts has had its time": {
		reason: "Each is judged by itself.",
		given:  given(live, nextTo(another, anothers(reserved(attempt("own-2", v1alpha1.StateMinting, time.Minute), 2*time.Minute), time.Second))),
		rule:   "abandon", action: plan.Abandon{Name: "own-2", Fence: true}, state: plan.Progressing, code: v1alpha1.ReasonResolving,
	},

	// How long it waits.
	"the reservation is 90 seconds old": {
		reason: "A process starts no request that late, so a fence keeps no process from publishing in time.",
		given:  given(live, nextTo(reserved(another, plan.AttemptTime))),
		rule:   "abandon", action: plan.Abandon{Name: "own-new", Fence: true}, state: plan.Progressing, code: v1alpha1.ReasonResolving, says: []string{"own-new"},
	},
	"the reservation is older than a day": {
		reason: "An early time, true or not, only shortens the wait, which is safe.",
		given:  given(live, nextTo(reserved(another, 48*time.Hour))),
		rule:   "abandon", action: plan.Abandon{Name: "own-new", Fence: true}, state: plan.Progressing, code: v1alpha1.ReasonResolving,
	},
	"the reservation is a year ahead": {
		reason: "Another process's clock, or anyone who may write the status, cannot make the wait longer than 90 seconds.",
		given:  given(live, nextTo(reserved(another, -365*24*time.Hour))),
		rule:   "attempt-under-way", action: plan.Wait{}, state: plan.Progressing, code: v1alpha1.ReasonIssuing, after: 40 * time.Second,
	},
	"the reservation is a year ahead, and was seen for 90 seconds": {
		reason: "By then the process that made it publishes nothing any more.",
		given:  given(live, nextTo(anothers(reserved(mint, -365*24*time.Hour), plan.AttemptTime))),
		rule:   "abandon", action: plan.Abandon{Name: "own-new", Fence: true}, state: plan.Progressing, code: v1alpha1.ReasonResolving,
	},
	"the reservation has no time": {
		reason: "An older version wrote none: the first sighting counts.",
		given:  given(live, nextTo(func() plan.Entry { e := another; e.ReservedAt = nil; return e }())),
		rule:   "attempt-under-way", action: plan.Wait{}, state: plan.Progressing, code: v1alpha1.ReasonIssuing, after: 40 * time.Second,
	},
	"seen for 90 seconds": {
		reason: "The wait ends with any wall clock.",
		given:  given(live, nextTo(anothers(mint, plan.AttemptTime))),
		rule:   "abandon", action: plan.Abandon{Name: "own-new", Fence: true}, state: plan.Progressing, code: v1alpha1.ReasonResolving,
	},
	"an attempt of this process": {
		reason: "It was read, so it has ended.",
		given:  given(live, nextTo(mint)),
		rule:   "abandon", action: plan.Abandon{Name: "own-new", Fence: true}, state: plan.Progressing, code: v1alpha1.ReasonResolving,
	},

	// Who does not wait.
	"a first credential": {
		reason: "The workload has none.",
		given:  given(live, absent, entries(another)),
		rule:   "abandon", action: withoutFence, state: plan.Progressing, code: v1alpha1.ReasonResolving,
	},
	"the gap of RevokeFirst": {
		reason: "The workload has none.",
		given:  given(live, revokeFirst, func(o *plan.Observation) { o.Token.GapSince = now }, holding("own-old"), entries(retiring("own-old", 0), another)),
		rule:   "abandon", action: withoutFence, state: plan.Progressing, code: v1alpha1.ReasonResolving,
	},
	"the Secret is lost": {
		reason: "The workload has none. The other process may still publish: without a fence, one of the two does.",
		given:  given(live, absent, nextTo(another)),
		rule:   "abandon", action: withoutFence, state: plan.Progressing, code: v1alpha1.ReasonResolving,
	},
	"the Secret was edited": {
		reason: "It is unknown whether it works. The other process may still publish: with fences, two processes would block each other forever.",
		given:  given(live, edited, nextTo(another)),
		rule:   "abandon", action: withoutFence, state: plan.Progressing, code: v1alpha1.ReasonResolving,
	},
	"the Secret is being deleted": {
		reason: "The workload loses it any moment.",
		given:  given(live, func(o *plan.Observation) { o.Secret.Deleting = true }, nextTo(another)),
		rule:   "abandon", action: withoutFence, state: plan.Progressing, code: v1alpha1.ReasonResolving,
	},
	"the Secret holds a previous credential": {
		reason: "It is not the Active one.",
		given:  given(live, holding("own-old"), nextTo(retiring("own-old", time.Hour), another)),
		rule:   "abandon", action: withoutFence, state: plan.Progressing, code: v1alpha1.ReasonResolving,
	},
	"the credential in use lives for less than five minutes": {
		reason: "A wait could cost the workload its access.",
		given:  given(live, expires(5*time.Minute-time.Second), nextTo(another)),
		rule:   "abandon", action: withoutFence, state: plan.Progressing, code: v1alpha1.ReasonResolving,
	},
	"the credential in use lives for five minutes": {
		reason: "That is enough for a wait of 90 seconds and an attempt.",
		given:  given(live, expires(5*time.Minute), nextTo(another)),
		rule:   "attempt-under-way", action: plan.Wait{}, state: plan.Progressing, code: v1alpha1.ReasonIssuing, after: 30 * time.Second,
	},
	"deletion": {
		reason: "Every name is revoked at once.",
		given:  given(live, deleted, nextTo(another)),
		rule:   "purge", action: plan.Purge{}, state: plan.Progressing, code: v1alpha1.ReasonDeleting, after: time.Minute,
	},
	"hard end": {
		reason: "Access ends on time.",
		given:  given(live, endsIn(-time.Second), nextTo(another)),
		rule:   "abandon", action: withoutFence, state: plan.Progressing, code: v1alpha1.ReasonResolving,
	},

	// A change in place.
	"another process is changing the credential": {
		reason: "It is as declared soon. The reservation of the credential says nothing about the change, so only the sighting counts.",
		given:  given(live, updating, otherScope, entry(func(e *plan.Entry) { *e = anothers(marked(*e), 20*time.Second) })),
		rule:   "attempt-under-way", action: plan.Wait{}, state: plan.Progressing, code: v1alpha1.ReasonUpdating, after: 70 * time.Second,
		says: []string{"changing credential AKIAown-active"},
	},
	"another process is changing a credential whose id is unknown": {
		reason: "To write the id would make the record of the change conflict. A change without a record counts as unknown, and is replaced.",
		given: given(live, updating, otherScope, entry(func(e *plan.Entry) {
			*e = anothers(marked(nameless(*e)), 20*time.Second)
		})),
		rule: "attempt-under-way", action: plan.Wait{}, state: plan.Progressing, code: v1alpha1.ReasonUpdating, after: 70 * time.Second,
		says: []string{"changing credential own-active"},
	},
	"another process is changing a credential that may drift": {
		reason: "To write the drift would make the record of the change conflict.",
		given: given(live, updating, otherScope, entry(func(e *plan.Entry) {
			*e = anothers(marked(*e), 20*time.Second)
			e.Doubted = true
		})),
		rule: "attempt-under-way", action: plan.Wait{}, state: plan.Progressing, code: v1alpha1.ReasonUpdating, after: 70 * time.Second,
		says: []string{"changing credential AKIAown-active"},
	},
	"another process is changing the credential, says the cache": {
		reason: "Whether the workload can wait is not decided from a cache.",
		given:  given(suspend, entry(func(e *plan.Entry) { *e = anothers(marked(*e), 20*time.Second) })),
		rule:   "read-secret", action: plan.ReadSecret{}, state: plan.Progressing, code: v1alpha1.ReasonPublishing,
	},
	"another process's change was seen for 90 seconds": {
		reason: "Its outcome is unknown: only a new credential is known to be as declared.",
		given:  given(live, updating, otherScope, entry(func(e *plan.Entry) { *e = anothers(marked(*e), plan.AttemptTime) })),
		rule:   "issue", action: issuing(plan.IssueSpecChanged), state: plan.Progressing, code: v1alpha1.ReasonReissuing,
	},
	"another process is changing a credential that the Secret lost": {
		reason: "The workload has none.",
		given:  given(live, absent, updating, entry(func(e *plan.Entry) { *e = anothers(marked(*e), 20*time.Second) })),
		rule:   "issue", action: issuing(plan.IssueSpecChanged), state: plan.Progressing, code: v1alpha1.ReasonReissuing,
	},
}

// TestWaitingSaysWhatTheIssuerSays: a process that waits describes the attempt in the
// words of the one that makes it, so that two processes do not overwrite each other's
// conditions.
func TestWaitingSaysWhatTheIssuerSays(t *testing.T) {
	for _, reason := range []plan.IssueReason{plan.IssueScheduled, plan.IssueSpecChanged, plan.IssueRotationRequested} {
		entry := onBehalf(reason, another)
		said, waits := plan.UnderWay(&entry.LedgerEntry), plan.Next(observe(live, otherScope, nextTo(entry)))
		if waits.State != said.State || waits.Reason != said.Reason || waits.Message != said.Message {
			t.Errorf("%s: the one that waits says %+v, the one that issues %+v", reason, waits, said)
		}
	}
}
