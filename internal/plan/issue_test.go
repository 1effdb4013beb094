package plan_test

import (
	"math"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/credname"
	"apitoken.dev/operator/internal/plan"
)

// issuing is what issuing for a reason outside the schedule looks like.
func issuing(reason plan.IssueReason) plan.Issue {
	return plan.Issue{Reason: reason, Revision: 8, Charged: true}
}

var scheduled = plan.Issue{Reason: plan.IssueScheduled, Revision: 8}

var issueCases = map[string]nextCase{
	"missing at the provider": {
		reason: "With spec.drift: Repair, a credential that the provider confirms to be missing is replaced.",
		given:  given(live, drifts(missingAt), repairs),
		rule:   "issue", action: issuing(plan.IssueCredentialMissing), state: plan.Progressing, code: v1alpha1.ReasonReissuing,
	},
	"first": {
		reason: "Nothing was issued, and the Secret is known to be absent.",
		given:  given(unissued, live),
		rule:   "issue", action: plan.Issue{Reason: plan.IssueInitial, Revision: 1, Charged: true},
		state: plan.Progressing, code: v1alpha1.ReasonIssuing, says: []string{"issuing a credential"},
	},
	"after everything was revoked": {
		reason: "Without an Active entry there is nothing in use.",
		given:  given(live, absent, entries(retiring("own-old", time.Hour))),
		rule:   "issue", action: issuing(plan.IssueInitial), state: plan.Progressing, code: v1alpha1.ReasonIssuing,
	},
	"next to an attempt that is not settled": {
		reason: "A fresh attempt under a new name may start at once; its publish is the fence.",
		given:  given(live, absent, entries(givenUp)),
		rule:   "issue", action: issuing(plan.IssueInitial), state: plan.Progressing, code: v1alpha1.ReasonIssuing,
	},
	"revision of the Secret above the status": {
		reason: "A name is never used again, also when the status is older than the Secret.",
		given:  given(live, edited, revision(3)),
		rule:   "issue", action: plan.Issue{Reason: plan.IssueSecretChanged, Revision: 8, Charged: true},
		state: plan.Progressing, code: v1alpha1.ReasonReissuing,
	},
	"revision of the status above the Secret": {
		reason: "The revision counts every reservation.",
		given:  given(live, edited, revision(20)),
		rule:   "issue", action: plan.Issue{Reason: plan.IssueSecretChanged, Revision: 21, Charged: true},
		state: plan.Progressing, code: v1alpha1.ReasonReissuing,
	},
	"revision of the Secret at its end": {
		reason: "A forged revision does not wedge the ApiToken: the next name still can be made.",
		given:  given(live, edited, func(o *plan.Observation) { o.Secret.Facts.Revision = credname.MaxRevision }),
		rule:   "issue", action: plan.Issue{Reason: plan.IssueSecretChanged, Revision: credname.MaxRevision, Charged: true},
		state: plan.Progressing, code: v1alpha1.ReasonReissuing,
	},
	"revision of the status that overflows": {
		reason: "The next name can be made with any status.",
		given:  given(live, edited, revision(math.MaxInt64)),
		rule:   "issue", action: plan.Issue{Reason: plan.IssueSecretChanged, Revision: credname.MaxRevision, Charged: true},
		state: plan.Progressing, code: v1alpha1.ReasonReissuing,
	},
	"rotation due": {
		reason: "A rotation by the clock is free, and the ApiToken stays as ready as it was.",
		given:  given(live, expires(10*24*time.Hour), entry(func(e *plan.Entry) { e.IssuedAt = at(now.Add(-80 * 24 * time.Hour)) })),
		rule:   "issue", action: scheduled, state: plan.Steady, code: v1alpha1.ReasonReissuing, says: []string{"before it expires"},
	},
	"expired": {
		reason: "A credential that ran out is replaced on the schedule, late as it is.",
		given:  given(live, expires(-time.Hour)),
		rule:   "issue", action: scheduled, state: plan.Steady, code: v1alpha1.ReasonReissuing,
	},
	"expired this second": {
		reason: "At its expiry a credential has ended.",
		given:  given(live, expires(0)),
		rule:   "issue", action: scheduled, state: plan.Steady, code: v1alpha1.ReasonReissuing,
	},
	"expired and the declaration changed": {
		reason: "Every mint except a scheduled rotation costs; this one is due anyway.",
		given:  given(live, expires(-time.Hour), otherScope, budget(0, 0)),
		rule:   "issue", action: scheduled, state: plan.Steady, code: v1alpha1.ReasonReissuing,
	},
	"scope added": {
		reason: "The credential differs from the declaration.",
		given:  given(live, otherScope),
		rule:   "issue", action: issuing(plan.IssueSpecChanged), state: plan.Progressing, code: v1alpha1.ReasonReissuing,
		says: []string{"scopes, buckets, restrictions or lifetime"},
	},
	"bucket changed": {
		reason: "The credential differs from the declaration.",
		given:  given(live, declared(func(s *v1alpha1.ApiTokenSpec) { s.Buckets = []v1alpha1.Bucket{"*"} })),
		rule:   "issue", action: issuing(plan.IssueSpecChanged), state: plan.Progressing, code: v1alpha1.ReasonReissuing,
	},
	"restriction added": {
		reason: "The credential differs from the declaration.",
		given: given(live, declared(func(s *v1alpha1.ApiTokenSpec) {
			s.Restrictions.AllowedIPs = []v1alpha1.IPRange{"203.0.113.0/24"}
		})),
		rule: "issue", action: issuing(plan.IssueSpecChanged), state: plan.Progressing, code: v1alpha1.ReasonReissuing,
	},
	"lifetime changed": {
		reason: "The credential differs from the declaration.",
		given:  given(live, declared(func(s *v1alpha1.ApiTokenSpec) { s.ExpiresIn = lasting(720 * time.Hour) })),
		rule:   "issue", action: issuing(plan.IssueSpecChanged), state: plan.Progressing, code: v1alpha1.ReasonReissuing,
	},
	"hard end raised": {
		reason: "Raising spec.expiresAt issues a new credential; a rotation that is due anyway is free.",
		given:  given(live, endsIn(time.Hour), declared(func(s *v1alpha1.ApiTokenSpec) { s.ExpiresAt = written(now.Add(48 * time.Hour)) })),
		rule:   "issue", action: plan.Issue{Reason: plan.IssueSpecChanged, Revision: 8}, state: plan.Progressing, code: v1alpha1.ReasonReissuing,
	},
	"hard end raised after it had passed": {
		reason: "Everything was revoked at the end; access begins again.",
		given:  given(live, entries(), absent, endsIn(time.Hour)),
		rule:   "issue", action: issuing(plan.IssueInitial), state: plan.Progressing, code: v1alpha1.ReasonIssuing,
	},
	"generation raised": {
		reason: "Raising rotation.generation rotates now.",
		given:  given(live, rotation(1)),
		rule:   "issue", action: issuing(plan.IssueRotationRequested), state: plan.Progressing, code: v1alpha1.ReasonReissuing,
		says: []string{"spec.rotation.generation"},
	},
	"Secret deleted": {
		reason: "A new credential is published in place of the lost one.",
		given:  given(live, absent),
		rule:   "issue", action: issuing(plan.IssueSecretLost), state: plan.Progressing, code: v1alpha1.ReasonReissuing,
	},
	"Secret of another cluster": {
		reason: "A Secret naming anything but the Active entry counts as missing.",
		given:  given(live, holding("")),
		rule:   "issue", action: issuing(plan.IssueSecretLost), state: plan.Progressing, code: v1alpha1.ReasonReissuing,
	},
	"old Secret restored, its credential unknown": {
		reason: "A Secret naming anything but the Active entry counts as missing.",
		given:  given(live, holding("own-3")),
		rule:   "issue", action: issuing(plan.IssueSecretLost), state: plan.Progressing, code: v1alpha1.ReasonReissuing,
	},
	"Secret edited": {
		reason: "What was in the Secret may have been seen or lost: a new credential is published.",
		given:  given(live, edited),
		rule:   "issue", action: issuing(plan.IssueSecretChanged), state: plan.Progressing, code: v1alpha1.ReasonReissuing,
	},
	"Secret edited and overlap running": {
		reason: "Make before break: the new one comes before any old one goes.",
		given:  given(live, edited, nextTo(retiring("own-old", -time.Hour), attempt("own-gone", v1alpha1.StateAbandoned, 0))),
		rule:   "issue", action: issuing(plan.IssueSecretChanged), state: plan.Progressing, code: v1alpha1.ReasonReissuing,
	},
	"two Active entries, the Secret names the second": {
		reason: "The one in the Secret is the one in use.",
		given: given(live, otherScope, holding("own-2"), func(o *plan.Observation) {
			e := active("own-2")
			e.Fingerprint = plan.Fingerprint(&o.Token.Spec)
			o.Ledger = append(o.Ledger, e)
		}),
		rule: "steady", action: plan.Wait{}, state: plan.Steady, code: v1alpha1.ReasonReady,
	},
	"account not known": {
		reason: "The account is learnt by connecting, before anything is reserved.",
		given:  given(live, edited, belongs("")),
		rule:   "issue", action: issuing(plan.IssueSecretChanged), state: plan.Progressing, code: v1alpha1.ReasonReissuing,
	},
}

var nothingWantedCases = map[string]nextCase{
	"rotation not due": {
		reason: "Before `before`, jitter included, nothing happens.",
		given:  given(live, expires(40*24*time.Hour)),
		rule:   "steady", action: plan.Wait{}, state: plan.Steady, code: v1alpha1.ReasonReady,
	},
	"generation lowered": {
		reason: "Lowering rotation.generation (a git revert) does nothing.",
		given:  given(live, entry(func(e *plan.Entry) { e.RotationGeneration = 5 }), rotation(2)),
		rule:   "steady", action: plan.Wait{}, state: plan.Steady, code: v1alpha1.ReasonReady,
	},
	"description, labels and order changed": {
		reason: "What no credential is made of mints nothing.",
		given: given(live, declared(func(s *v1alpha1.ApiTokenSpec) {
			s.Description = "nightly"
			s.Secret.Labels = map[string]string{"team": "ml"}
			s.Scopes = append(s.Scopes, s.Scopes...)
			s.Rotation.Overlap = lasting(time.Minute)
		})),
		rule: "steady", action: plan.Wait{}, state: plan.Steady, code: v1alpha1.ReasonReady,
	},
	"credential without an expiry": {
		reason: "What does not end is not replaced by the clock.",
		given:  given(entry(func(e *plan.Entry) { e.ExpiresAt = nil })),
		rule:   "steady", action: plan.Wait{}, state: plan.Steady, code: v1alpha1.ReasonReady, after: never,
	},
	"last credential before the hard end": {
		reason: "Nothing is rotated past the hard end; the next thing to do is to end it.",
		given:  given(endsIn(time.Minute)),
		rule:   "steady", action: plan.Wait{}, state: plan.Steady, code: v1alpha1.ReasonReady, after: time.Minute,
	},
	"Secret not known well enough": {
		reason: "A cache that is not trusted says neither lost nor edited.",
		given:  given(untrusted, holding("own-3")),
		rule:   "read-secret", action: plan.ReadSecret{}, state: plan.Progressing, code: v1alpha1.ReasonPublishing,
	},
	"budget empty, nothing to pay for": {
		reason: "An empty budget is nothing to complain about while nothing is wanted.",
		given:  given(budget(0, 0), retry(1, time.Hour), publishRefused),
		rule:   "steady", action: plan.Wait{}, state: plan.Steady, code: v1alpha1.ReasonReady,
	},
	"hard end passed": {
		reason: "Past the hard end nothing is wanted any more.",
		given:  given(live, entries(), absent, endsIn(0)),
		rule:   "ended", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonExpired, after: never,
		says: []string{"spec.expiresAt", "raise spec.expiresAt"},
	},
}

var tryPublishCases = map[string]nextCase{
	"after a refusal": {
		reason: "After a refused publish, no reservation until a dry-run write passes.",
		given:  given(live, otherScope, publishRefused),
		rule:   "try-publish", action: plan.TryPublish{}, state: plan.Progressing, code: v1alpha1.ReasonPublishRefused, says: []string{"dry run"},
	},
	"after a refusal, on schedule": {
		reason: "A scheduled rotation would be refused in the same way.",
		given:  given(live, expires(time.Hour), publishRefused),
		rule:   "try-publish", action: plan.TryPublish{}, state: plan.Progressing, code: v1alpha1.ReasonPublishRefused,
	},
	"after a refusal, first": {
		reason: "The dry run needs no credential.",
		given:  given(unissued, live, publishRefused),
		rule:   "try-publish", action: plan.TryPublish{}, state: plan.Progressing, code: v1alpha1.ReasonPublishRefused,
	},
	"not read yet": {
		reason: "A dry run is as conditional on the Secret as the write it stands for.",
		given:  given(otherScope, publishRefused),
		rule:   "read-secret", action: plan.ReadSecret{}, state: plan.Progressing, code: v1alpha1.ReasonPublishing,
	},
	"nothing wanted": {
		reason: "Without a need there is nothing to try.",
		given:  given(live, publishRefused),
		rule:   "steady", action: plan.Wait{}, state: plan.Steady, code: v1alpha1.ReasonReady,
	},
	"backoff running": {
		reason: "Dry runs, too, are spaced out by the backoff.",
		given:  given(live, otherScope, publishRefused, retry(2, time.Minute)),
		rule:   "blocked", action: plan.Wait{}, state: plan.Progressing, code: v1alpha1.ReasonBackoff, after: time.Minute,
	},
	"suspended": {
		reason: "A suspended ApiToken would not issue after the dry run.",
		given:  given(live, otherScope, publishRefused, suspend),
		rule:   "blocked", action: plan.Wait{}, state: plan.Steady, code: v1alpha1.ReasonSuspended,
	},
}

// seconds is a time as a message shows it.
func seconds(t time.Time) string { return metav1.NewTime(t).UTC().Format(time.RFC3339) }
