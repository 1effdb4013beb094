package plan_test

import (
	"fmt"
	"time"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/ledger"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/provider"
)

var unreadableCases = map[string]nextCase{
	"with a credential": {
		reason: "The end of access is unknown: the credential in use keeps its own expiry, and none is issued in its place.",
		given:  given(live, declared(func(s *v1alpha1.ApiTokenSpec) { s.ExpiresAt = text("2027-01-31T00:00:00z") })),
		rule:   "blocked", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonUnreadableValue,
		says: []string{"spec.expiresAt", `"2027-01-31T00:00:00z"`, "for example 2030-01-31T00:00:00Z"},
	},
	"without a credential": {
		reason: "Nothing is reserved.",
		given:  given(unissued, live, declared(func(s *v1alpha1.ApiTokenSpec) { s.ExpiresAt = text("9999-12-31T23:59:59-01:00") })),
		rule:   "blocked", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonUnreadableValue,
		says: []string{"spec.expiresAt", "9999-12-31T23:59:59-01:00", "write RFC 3339"},
	},
	"suspended as well": {
		reason: "It is reported even if another reason keeps the ApiToken from being issued.",
		given:  given(live, suspend, declared(func(s *v1alpha1.ApiTokenSpec) { s.ExpiresAt = text("x") })),
		rule:   "blocked", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonUnreadableValue,
		says: []string{"spec.expiresAt", `"x"`, "write RFC 3339"},
	},
}

var providerCases = map[string]nextCase{
	"its account is blocked": {
		reason: "A user must pay a bill or lift a suspension; waiting does not help.",
		given: given(live, otherScope, func(o *plan.Observation) {
			o.Provider.Ready, o.Provider.Reason, o.Provider.Message = false, v1alpha1.ReasonAccountBlocked, "it wants a bill to be settled (insufficient_balance)"
		}),
		rule: "blocked", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonAccountBlocked,
		says: []string{`"store"`, "insufficient_balance"},
	},
	"missing": {
		reason: "The user learns which provider is looked for and what to do.",
		given:  given(live, otherScope, missing),
		rule:   "blocked", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonProviderNotFound,
		says: []string{"spec.providerRef", "TokenProvider", `"store"`, "create it, or name another"},
	},
	"missing, an overlap is running": {
		reason: "Nothing is due yet, and the user learns that nothing will be issued.",
		given:  given(live, missing, nextTo(retiring("own-old", time.Hour))),
		rule:   "steady", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonProviderNotFound, after: time.Hour,
		says: []string{`TokenProvider "store" does not exist in namespace "ml": create it`, "nothing replaces credential AKIAown-active, which ends at "},
	},
	"namespace not admitted": {
		reason: "The user learns that a label on the namespace is the way in.",
		given:  given(live, otherScope, notAdmitted),
		rule:   "blocked", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonNamespaceNotAllowed,
		says: []string{"spec.providerRef", `"store"`, `namespace "ml"`, "label the namespace"},
	},
	"namespace not admitted, not ready": {
		reason: "What stays wrong when the provider is ready is said first.",
		given:  given(live, otherScope, notAdmitted, notReady),
		rule:   "blocked", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonNamespaceNotAllowed,
		says: []string{"spec.providerRef", "label the namespace"},
	},
	"being deleted": {
		reason: "A provider that goes only revokes.",
		given:  given(live, otherScope, leaving),
		rule:   "blocked", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonProviderDeleting,
		says: []string{"spec.providerRef", `"store"`, "create another provider"},
	},
	"not ready": {
		reason: "Its own reason is passed on; its readiness wakes the ApiToken.",
		given:  given(unissued, live, notReady),
		rule:   "blocked", action: plan.Wait{}, state: plan.Progressing, code: v1alpha1.ReasonProviderNotReady, after: never,
		says: []string{`"store" is not ready`, "Unreachable", "it does not answer"},
	},
	"not checked yet": {
		reason: "Before the first check there is no reason to pass on.",
		given:  given(unissued, live, notReady, func(o *plan.Observation) { o.Provider.Reason, o.Provider.Message = "", " " }),
		rule:   "blocked", action: plan.Wait{}, state: plan.Progressing, code: v1alpha1.ReasonProviderNotReady,
		says: []string{"not checked yet"},
	},
	"not ready, rotation due later": {
		reason: "A provider that is down does not matter before something is wanted.",
		given:  given(notReady),
		rule:   "steady", action: plan.Wait{}, state: plan.Steady, code: v1alpha1.ReasonReady,
	},
	"not ready, credential in use runs out": {
		reason: "The message stays until the provider is back; the expiry is checked as well.",
		given:  given(live, expires(time.Hour), notReady),
		rule:   "blocked", action: plan.Wait{}, state: plan.Progressing, code: v1alpha1.ReasonProviderNotReady, after: time.Hour,
	},
	"namespace being deleted": {
		reason: "The namespace controller may delete the Secret first; another credential would only delay the deletion.",
		given:  given(live, absent, func(o *plan.Observation) { o.Token.NamespaceEnding = true }),
		rule:   "blocked", action: plan.Wait{}, state: plan.Progressing, code: v1alpha1.ReasonDeleting, after: plan.Recheck,
		says: []string{"being deleted"},
	},
	"another account": {
		reason: "Under any other account nothing is minted.",
		given:  given(live, otherScope, belongs(other)),
		rule:   "account-changed", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonProviderAccountChanged,
		says: []string{"own-active", account, other, "restore the old ones"},
	},
	"another account, nothing wanted": {
		reason: "What could not be revoked in time is said as soon as it is seen.",
		given:  given(belongs(other)),
		rule:   "account-changed", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonProviderAccountChanged,
		says: []string{"own-active", other, "restore the old ones"},
	},
	"another account, operator ends credentials": {
		reason: "The operator still enforces the expiry, and no event reports that the account is right again.",
		given:  given(belongs(other), operatorEnds, expires(70*24*time.Hour), suspend),
		rule:   "account-changed", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonProviderAccountChanged,
		after: plan.Recheck,
		says:  []string{other, "restore the old ones"},
	},
	"another account, hard end ahead": {
		reason: "The Secret is deleted at the hard end with any account.",
		given:  given(belongs(other), endsIn(time.Hour)),
		rule:   "account-changed", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonProviderAccountChanged, after: plan.Recheck,
		says: []string{other, "restore the old ones"},
	},
	"an old entry of another account": {
		reason: "Any entry of another account holds back reservations.",
		given:  given(live, otherScope, nextTo(by(other, retiring("own-old", time.Hour)))),
		rule:   "account-changed", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonProviderAccountChanged,
		says: []string{"own-old", other, "restore the old ones"},
	},
	"entry without an account": {
		reason: "An entry that names no account contradicts none.",
		given:  given(live, otherScope, entry(func(e *plan.Entry) { e.Account = "" })),
		rule:   "issue", action: issuing(plan.IssueSpecChanged), state: plan.Progressing, code: v1alpha1.ReasonReissuing,
	},
}

// refusal is a driver's refusal of a bucket, for a reason.
func refusal(reason provider.RefusalReason) provider.Refusal {
	return provider.Refusal{Reason: reason, Field: "spec.buckets[0]", Value: "datasets", Message: "declare another one"}
}

var refusalCases = map[string]nextCase{
	"scope": {
		reason: "The message has field, value and a fix for what the driver cannot grant, and nothing is reserved.",
		given: given(unissued, live, refusing(provider.Refusal{Reason: provider.RefusedScope,
			Field: "spec.scopes[0]", Value: "billing:read-only", Message: "declare one of objectstorage:object-read-only"})),
		rule: "blocked", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonScopeNotGrantable, after: never,
		says: []string{"spec.scopes[0]", "billing:read-only", "declare one of"},
	},
	"hard end too far ahead": {
		reason: "A hard end comes closer, and no event tells when it is close enough.",
		given: given(unissued, live, endsIn(time.Hour), refusing(provider.Refusal{Reason: provider.RefusedLifetime,
			Field: "spec.expiresAt", Value: "2030-01-31T00:00:00Z", Message: "declare an earlier one"})),
		rule: "blocked", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonLifetimeTooLong, after: plan.Recheck,
		says: []string{"spec.expiresAt", "declare an earlier one"},
	},
	"too many buckets": {
		reason: "A driver can limit the number of buckets.",
		given:  given(unissued, live, refusing(refusal(provider.RefusedBuckets))),
		rule:   "blocked", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonTooManyBuckets, after: never,
		says: []string{"spec.buckets", "declare another one"},
	},
	"bucket": {
		reason: "A bucket can belong to another customer of the provider.",
		given:  given(unissued, live, refusing(refusal(provider.RefusedBucket))),
		rule:   "blocked", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonBucketNotGrantable, after: never,
		says: []string{"spec.buckets", "declare another one"},
	},
	"restriction": {
		reason: "A driver refuses a restriction that it could not enforce.",
		given:  given(unissued, live, refusing(refusal(provider.RefusedNarrow))),
		rule:   "blocked", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonRestrictionUnsupported, after: never,
		says: []string{"spec.buckets", "declare another one"},
	},
	"unknown refusal": {
		reason: "The operator passes on a refusal for which it has no reason of its own.",
		given:  given(unissued, live, refusing(refusal("SomethingNew"))),
		rule:   "blocked", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonProviderRefused, after: never,
		says: []string{"spec.buckets", "declare another one"},
	},
	"nothing wanted": {
		reason: "The credential in use still works; the user learns that nothing replaces it before it ends.",
		given:  given(live, refusing(provider.Refusal{Reason: provider.RefusedScope, Field: "spec.scopes[0]", Value: "a:b", Message: "not granted here"})),
		rule:   "steady", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonScopeNotGrantable, after: rotationIn(),
		says: []string{"spec.scopes[0]: a:b: not granted here", "nothing replaces credential AKIAown-active, which ends at "},
	},
	"lifetime over the provider's": {
		reason: "Too long a lifetime is decided in the plan.",
		given:  given(unissued, live, anHour, declared(func(s *v1alpha1.ApiTokenSpec) { s.ExpiresIn = lasting(2 * time.Hour) })),
		rule:   "blocked", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonLifetimeTooLong, after: never,
		says: []string{"spec.expiresIn", "2h0m0s", "at most", "1h0m0s"},
	},
	"default lifetime over the provider's": {
		reason: "The default is refused like a declared value.",
		given:  given(unissued, live, anHour),
		rule:   "blocked", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonLifetimeTooLong,
		says: []string{"spec.expiresIn", "2160h0m0s", "1h0m0s"},
	},
	"lifetime of the provider's": {
		reason: "The longest lifetime itself is allowed.",
		given:  given(unissued, live, anHour, declared(func(s *v1alpha1.ApiTokenSpec) { s.ExpiresIn = lasting(time.Hour) })),
		rule:   "issue", action: plan.Issue{Reason: plan.IssueInitial, Revision: 1, Charged: true}, state: plan.Progressing, code: v1alpha1.ReasonIssuing,
	},
	"hard end beyond the provider's longest lifetime": {
		reason: "A far hard end is reached in several credentials.",
		given:  given(unissued, live, anHour, endsIn(48*time.Hour)),
		rule:   "issue", action: plan.Issue{Reason: plan.IssueInitial, Revision: 1, Charged: true}, state: plan.Progressing, code: v1alpha1.ReasonIssuing,
	},
}

// attempts are n attempts given up that are not settled.
func attempts(n int) change {
	return func(o *plan.Observation) {
		for i := range n {
			o.Ledger = append(o.Ledger, attempt(fmt.Sprintf("own-a%d", i), v1alpha1.StateAbandoned, time.Duration(60+i)*time.Second))
		}
	}
}

// overlaps are n credentials in their overlap.
func overlaps(n int) change {
	return func(o *plan.Observation) {
		for i := range n {
			o.Ledger = append(o.Ledger, retiring(fmt.Sprintf("own-r%d", i), time.Hour))
		}
	}
}

var limitCases = map[string]nextCase{
	"16 attempts not settled": {
		reason: "At most 16 unsettled entries: then no reservation.",
		given:  given(live, otherScope, attempts(plan.MaxUnsettled)),
		rule:   "blocked", action: plan.Wait{}, state: plan.Progressing, code: v1alpha1.ReasonLedgerFull, after: plan.Recheck,
		says: []string{"17 credentials", "16 of them"},
	},
	"15 attempts not settled": {
		reason: "One below the limit may start another.",
		given:  given(live, otherScope, attempts(plan.MaxUnsettled-1)),
		rule:   "issue", action: issuing(plan.IssueSpecChanged), state: plan.Progressing, code: v1alpha1.ReasonReissuing,
	},
	"16 credentials in their overlap": {
		reason: "What was Active is settled and does not count.",
		given:  given(live, otherScope, overlaps(plan.MaxUnsettled)),
		rule:   "issue", action: issuing(plan.IssueSpecChanged), state: plan.Progressing, code: v1alpha1.ReasonReissuing,
	},
	"32 entries": {
		reason: "The schema has room for no more.",
		given:  given(live, otherScope, overlaps(plan.MaxLedger-1)),
		rule:   "blocked", action: plan.Wait{}, state: plan.Progressing, code: v1alpha1.ReasonLedgerFull,
		says: []string{"32 credentials"},
	},
	"31 entries": {
		reason: "One more fits.",
		given:  given(live, otherScope, overlaps(plan.MaxLedger-2)),
		rule:   "issue", action: issuing(plan.IssueSpecChanged), state: plan.Progressing, code: v1alpha1.ReasonReissuing,
	},
	"full, nothing wanted": {
		reason: "A full ledger holds back reservations only.",
		given:  given(live, attempts(plan.MaxUnsettled)),
		rule:   "steady", action: plan.Wait{}, state: plan.Steady, code: v1alpha1.ReasonReady, after: time.Minute,
	},
	"full, one settled": {
		reason: "The ledger empties by itself, and issuing stays blocked until then.",
		given:  given(live, otherScope, attempts(plan.MaxUnsettled), nextTo(attempt("own-old", v1alpha1.StateAbandoned, 0))),
		rule:   "begin-revoke", action: plan.BeginRevoke{Names: []string{"own-old"}}, state: plan.Progressing, code: v1alpha1.ReasonLedgerFull,
	},
	"state of a newer version": {
		reason: "An entry in a state this version does not know is kept and blocks reservations.",
		given:  given(live, otherScope, nextTo(attempt("own-new", "Frozen", 0))),
		rule:   "blocked", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonUnknownState,
		says: []string{"own-new", `"Frozen"`, "or a newer one"},
	},
	"state of a newer version, nothing wanted": {
		reason: "It blocks reservations only, also the next one.",
		given:  given(live, nextTo(attempt("own-new", "Frozen", 0))),
		rule:   "steady", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonUnknownState,
		says: []string{"own-new", "nothing replaces credential AKIAown-active, which ends at "},
	},
	"backoff running": {
		reason: "After an attempt that failed the next one waits.",
		given:  given(live, otherScope, retry(3, 20*time.Second)),
		rule:   "blocked", action: plan.Wait{}, state: plan.Progressing, code: v1alpha1.ReasonBackoff, after: 20 * time.Second,
		says: []string{"attempt 3", seconds(now.Add(20 * time.Second))},
	},
	"backoff over": {
		reason: "At its end the next attempt starts.",
		given:  given(live, otherScope, retry(3, 0)),
		rule:   "issue", action: issuing(plan.IssueSpecChanged), state: plan.Progressing, code: v1alpha1.ReasonReissuing,
	},
	"budget empty": {
		reason: "Every mint except a scheduled rotation costs from the bucket.",
		given:  given(live, otherScope, budget(0, 4*time.Minute)),
		rule:   "blocked", action: plan.Wait{}, state: plan.Progressing, code: v1alpha1.ReasonMintBudgetExhausted, after: 6 * time.Minute,
		says: []string{"5 credentials", seconds(now.Add(6 * time.Minute))},
	},
	"budget with one left": {
		reason: "The last one may be used.",
		given:  given(live, otherScope, budget(1, 0)),
		rule:   "issue", action: issuing(plan.IssueSpecChanged), state: plan.Progressing, code: v1alpha1.ReasonReissuing,
	},
	"budget refilled": {
		reason: "One more is allowed after 10 minutes.",
		given:  given(live, otherScope, budget(0, ledger.BudgetRefill)),
		rule:   "issue", action: issuing(plan.IssueSpecChanged), state: plan.Progressing, code: v1alpha1.ReasonReissuing,
	},
	"budget empty, rotation due": {
		reason: "A scheduled rotation costs nothing.",
		given:  given(live, expires(time.Hour), budget(0, 0)),
		rule:   "issue", action: scheduled, state: plan.Steady, code: v1alpha1.ReasonReissuing,
	},
	"budget empty, first credential": {
		reason: "Also the first credential is paid for, so that a loop of failures ends.",
		given:  given(unissued, live, budget(0, 0)),
		rule:   "blocked", action: plan.Wait{}, state: plan.Progressing, code: v1alpha1.ReasonMintBudgetExhausted, after: ledger.BudgetRefill,
	},
	"budget empty, overlap ends sooner": {
		reason: "Anything due before the budget grows is done in time.",
		given:  given(live, otherScope, budget(0, 0), nextTo(retiring("own-old", time.Minute))),
		rule:   "blocked", action: plan.Wait{}, state: plan.Progressing, code: v1alpha1.ReasonMintBudgetExhausted, after: time.Minute,
	},
	"Secret of another owner": {
		reason: "A Secret that is not ours is never overwritten; nothing is reserved for it.",
		given:  given(live, foreign),
		rule:   "blocked", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonSecretNotOwned, after: plan.Recheck,
		says: []string{"spec.secret.name", `"training"`, `Deployment "web"`, "name another Secret"},
	},
	"Secret being deleted": {
		reason: "A credential published in it would be lost with it.",
		given:  given(live, beingDeleted),
		rule:   "blocked", action: plan.Wait{}, state: plan.Progressing, code: v1alpha1.ReasonSecretDeleting, after: plan.Recheck,
		says: []string{`"training"`, "finalizers keep it (example.com/hold)"},
	},
	"Secret of another owner, says the cache": {
		reason: "Whose it is is read live before it is said.",
		given:  given(foreign, untrusted),
		rule:   "read-secret", action: plan.ReadSecret{}, state: plan.Progressing, code: v1alpha1.ReasonPublishing,
	},
}
