// Package plan decides what to do next for one ApiToken. It is pure: an Observation goes in
// and one Decision comes out, and there is no client, clock or context.
//
// Three ordered lists specify the operator. The needs (needs.go) say why a credential is
// issued. The obstacles (obstacles.go) say what prevents that. The rules (this file) read
// both and decide on one action. assess.go applies the first two lists, once per decision.
//
// The same lists run in production, in table tests and in the explorer.
package plan

// rule decides, or leaves the decision to the rules after it. It is named for its action,
// and decide for the state in which the action is due.
type rule struct {
	name   string
	decide func(*situation) (Decision, bool)
	order  order
}

// order says which rules may act after the action of a rule failed.
type order int

const (
	// strict: the rules after it rely on it, so they wait until it succeeds.
	strict order = iota
	// lenient: after a failure, the free rules after it come first.
	lenient
	// free: lenient, and it relies on no rule before it.
	free
)

// RuleUnderWay waits for an attempt, or a change in place, of another process. The
// obstacle that it waits for has the same name.
const RuleUnderWay = "attempt-under-way"

// rules in their order: the first that decides wins. The last one always decides.
// A write that the API server rejects, or a provider that does not answer, must not prolong
// access that must end. So rules with such actions are lenient, and all rules that
// end access are free.
var rules = []rule{
	// An ApiToken that is being deleted.
	{"gone", finalizerRemoved, strict},                 // another controller's finalizer keeps it
	{"retain", deletedWithRetain, strict},              // Retain releases it at once
	{"withdraw", attemptRejected, strict},              // the provider rejected the attempt, and the write that records it had a conflict
	{"never-issued", nothingIssued, strict},            // nothing was ever reserved, so no provider is needed
	{"no-way-to-revoke", revocationImpossible, strict}, // the provider is missing, has another account, or can be another server
	{"purge", tokenDeleted, strict},                    // revoke everything, wait until all is settled, list, release

	// Before a credential can exist at the provider.
	{"finalizer", finalizerMissing, strict},

	// An attempt that was read, and not just reserved, is never minted.
	{"read-secret", secretUnread, strict},              // the next step must know what the Secret holds
	{"adopt", attemptPublished, strict},                // the Secret holds the attempt's credential
	{"abandon", attemptUnknown, lenient},               // it does not, and no other process can be working on it: fence and abandon
	{"find-restored", statusLost, strict},              // the status was lost: does the Secret's credential still exist?
	{"adopt-restored", restoredCredentialLive, strict}, // it does
	{"adopt-newer", statusOutdated, free},              // an older status was restored: the Secret's credential is newer

	// The end of access.
	{"end-secret", secretOutlivesAccess, free},
	{"end-active", credentialOutlivesAccess, free},

	// A new credential before the previous one ends.
	{"try-publish", lastPublishRefused, lenient},   // the last Secret was rejected: send a dry run first
	{"republish", manualSecretLost, lenient},       // publish the stored copy of a manual credential again
	{"confirm-edit", manualEditReported, lenient},  // a user edited the credential as asked
	{"update", updateEnough, lenient},              // the provider can change the credential in place
	{"count-slots", slotsUncounted, lenient},       // the account has room for few credentials: count before reserving
	{"make-room", oldCredentialHoldsSlot, lenient}, // revoke the oldest Retiring one first
	{"give-up", activeHoldsSlot, lenient},          // only with RevokeFirst, which accepts a gap
	{"issue", credentialNeeded, lenient},

	// What the Secret holds in addition to the credential.
	{"sync-secret", secretOutdated, free},

	// Credentials that are no longer needed.
	{"end-requested", overlapEndRequested, free}, // a user ends an overlap early
	{"begin-revoke", abandonedAttemptSettled, free},
	{"revoke", revocationDue, free},

	// Questions to the provider that nothing else waits for. While an attempt is in progress their
	// answers are not written, because the record of that attempt would conflict.
	{RuleUnderWay, whileFound(RuleUnderWay), free},
	{"identify", idUnknown, free},       // the id of an adopted credential
	{"confirm", driftUnconfirmed, free}, // a drift that the sweep saw

	// Nothing to do, and why.
	{"foreign-credential", whileFound("foreign-credential"), free},
	{"account-changed", whileFound("account-changed"), free},
	{"endpoint-unverified", revocationAtUnverifiedEndpoint, free},
	{"provider-missing", revocationWithoutProvider, free},
	{"ended", hardEndPassed, free},
	{"blocked", needBlocked, free},
	{"contested", secretContested, free},
	{"steady", nothingToDo, free},
}

// Next decides what to do. It is total: every Observation has a Decision.
//
// A decision whose action failed (Observation.Failed) is postponed while free rules after it
// have something to do, and repeated otherwise.
func Next(o Observation) Decision {
	s := assess(&o)
	var failed *Decision
	for _, r := range rules {
		if failed != nil && r.order != free {
			continue
		}
		d, ok := r.decide(s)
		if !ok {
			continue
		}
		d.Rule = r.name
		if _, waits := d.Action.(Wait); waits {
			return repeatedOr(failed, d)
		}
		if r.order == strict || !o.Failed[r.name] {
			return d
		}
		if failed == nil {
			failed = &d
		}
	}
	return repeatedOr(failed, Decision{Rule: "none", Action: Wait{}})
}

// repeatedOr returns the decision whose action failed, or the other one if none failed.
func repeatedOr(failed *Decision, other Decision) Decision {
	if failed != nil {
		return *failed
	}
	return other
}

// Rules returns the names of the rules in their order.
func Rules() []string {
	out := make([]string, 0, len(rules))
	for _, r := range rules {
		out = append(out, r.name)
	}
	return out
}
