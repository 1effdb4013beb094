package plan

// rule looks at an Observation and decides, or passes it on.
type rule struct {
	name   string
	decide func(*Observation) (Decision, bool)
	order  order
}

// order says what a failed action means for the order of the rules.
type order int

const (
	// strict: the rules behind it rely on it, so they wait until it succeeds.
	strict order = iota
	// lenient: when its action has failed, the free rules behind it come first.
	lenient
	// free: it is lenient, and relies on no rule before it.
	free
)

// RuleUnderWay waits for an attempt, or a change in place, of another process.
const RuleUnderWay = "attempt-under-way"

// rules in their order: the first that decides wins. The last one always does.
// A write that the API server refuses, or a call that a provider does not answer,
// must not keep access alive that has to end: such a rule is lenient, and all that
// takes access away is free.
var rules = []rule{
	// An ApiToken that is being deleted.
	{"gone", gone, strict},                      // somebody else's finalizer holds it: nothing of ours is left
	{"retain", retain, strict},                  // Retain lets it go at once, also while deleting
	{"withdraw", withdraw, strict},              // the provider rejected the attempt, and the write that records it conflicted
	{"never-issued", neverIssued, strict},       // nothing was ever reserved: no provider is needed to go
	{"no-way-to-revoke", noWayToRevoke, strict}, // the provider is missing, another account, or perhaps another server
	{"purge", purge, strict},                    // revoke everything, wait until settled, list, go

	// Before anything can exist at the provider.
	{"finalizer", addFinalizer, strict},

	// An attempt that was read, not just written, is never minted.
	{"read-secret", readSecret, strict},       // what follows needs to know what the Secret holds
	{"adopt", adopt, strict},                  // the Secret holds the attempt's credential
	{"abandon", abandon, lenient},             // it does not, and no other process may still be at it: fence, give up
	{"find-restored", findRestored, strict},   // a status was lost; is the Secret's credential alive?
	{"adopt-restored", adoptRestored, strict}, // it is
	{"adopt-newer", adoptNewer, free},         // an older status was restored: the Secret's credential is newer

	// The hard end of spec.expiresAt.
	{"end-secret", endSecret, free},
	{"end-active", endActive, free},

	// Make before break.
	{"try-publish", tryPublish, lenient},   // after a refusal, a dry run comes first
	{"republish", republish, lenient},      // a credential that a person made is not asked for again
	{"confirm-edit", confirmEdit, lenient}, // a person edited the credential, as was asked
	{"update", update, lenient},            // the provider can change the credential in place
	{"count-slots", countSlots, lenient},   // few credentials fit the account: count before reserving
	{"make-room", makeRoom, lenient},       // the oldest Retiring one goes first
	{"give-up", giveUp, lenient},           // only where RevokeFirst accepts a gap
	{"issue", issue, lenient},

	// What the Secret carries next to the credential.
	{"sync-secret", syncSecret, free},

	// What is no longer needed.
	{"end-requested", endRequested, free}, // a user ends an overlap that is running
	{"begin-revoke", beginRevoke, free},
	{"revoke", revoke, free},

	// What the provider has to add to a credential that was adopted.
	{"identify", identify, free},
	{"confirm", confirm, free}, // what the sweep saw otherwise than the ledger has it

	// Nothing to do, and why.
	{RuleUnderWay, attemptUnderWayWait, free},
	{"foreign-credential", foreignCredentialWait, free},
	{"account-changed", accountChangedWait, free},
	{"endpoint-unverified", endpointUnverifiedWait, free},
	{"provider-missing", providerMissingWait, free},
	{"ended", ended, free},
	{"blocked", blockedWait, free},
	{"contested", contestedWait, free},
	{"steady", steady, free},
}

// Next decides what to do. It is total: every Observation has a Decision.
//
// A decision whose action has failed (Failed) waits while free rules behind it
// have something to do, and is repeated when they have not.
func Next(o Observation) Decision {
	var failed *Decision
	for _, r := range rules {
		if failed != nil && r.order != free {
			continue
		}
		d, ok := r.decide(&o)
		if !ok {
			continue
		}
		d.Rule = r.name
		if _, waits := d.Action.(Wait); waits {
			return orElseDecision(failed, d)
		}
		if r.order == strict || !o.Failed[r.name] {
			return d
		}
		if failed == nil {
			failed = &d
		}
	}
	return orElseDecision(failed, Decision{Rule: "none", Action: Wait{}})
}

// orElseDecision is a decision to repeat, or the other one if there is none.
func orElseDecision(again *Decision, other Decision) Decision {
	if again != nil {
		return *again
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
