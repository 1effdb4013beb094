package plan

// rule looks at an Observation and decides, or passes it on.
type rule struct {
	name   string
	decide func(*Observation) (Decision, bool)
}

// rules in their order: the first that decides wins. The last one always does.
var rules = []rule{
	// An ApiToken that is being deleted.
	{"gone", gone},                      // somebody else's finalizer holds it: nothing of ours is left
	{"retain", retain},                  // Retain lets it go at once, also while deleting
	{"never-issued", neverIssued},       // nothing was ever reserved: no provider is needed to go
	{"no-way-to-revoke", noWayToRevoke}, // the provider is missing, or another account
	{"purge", purge},                    // revoke everything, wait until settled, list, go

	// Before anything can exist at the provider.
	{"finalizer", addFinalizer},

	// An attempt that was read, not just written, is never minted.
	{"read-secret", readSecret},       // what follows needs to know what the Secret holds
	{"adopt", adopt},                  // the Secret holds the attempt's credential
	{"abandon", abandon},              // it does not: fence, give up
	{"find-restored", findRestored},   // a status was lost; is the Secret's credential alive?
	{"adopt-restored", adoptRestored}, // it is
	{"adopt-newer", adoptNewer},       // an older status was restored: the Secret's credential is newer

	// The hard end of spec.expiresAt.
	{"end-secret", endSecret},
	{"end-active", endActive},

	// Make before break.
	{"try-publish", tryPublish},   // after a refusal, a dry run comes first
	{"republish", republish},      // a credential that a person made is not asked for again
	{"confirm-edit", confirmEdit}, // a person edited the credential, as was asked
	{"update", update},            // the provider can change the credential in place
	{"count-slots", countSlots},   // few credentials fit the account: count before reserving
	{"make-room", makeRoom},       // the oldest Retiring one goes first
	{"give-up", giveUp},           // only where RevokeFirst accepts a gap
	{"issue", issue},

	// What the Secret carries next to the credential.
	{"sync-secret", syncSecret},

	// What is no longer needed.
	{"begin-revoke", beginRevoke},
	{"revoke", revoke},

	// What the provider has to add to a credential that was adopted.
	{"identify", identify},

	// Nothing to do, and why.
	{"foreign-credential", foreignCredentialWait},
	{"account-changed", accountChangedWait},
	{"ended", ended},
	{"blocked", blockedWait},
	{"contested", contestedWait},
	{"steady", steady},
}

// Next decides what to do. It is total: every Observation has a Decision.
func Next(o Observation) Decision {
	for _, r := range rules {
		if d, ok := r.decide(&o); ok {
			d.Rule = r.name
			return d
		}
	}
	return Decision{Rule: "none", Action: Wait{}}
}

// Rules returns the names of the rules in their order.
func Rules() []string {
	out := make([]string, 0, len(rules))
	for _, r := range rules {
		out = append(out, r.name)
	}
	return out
}
