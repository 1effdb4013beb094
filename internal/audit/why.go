package audit

// Reason says why something is done: one of the constants here, or a reason for which a
// credential is issued (internal/plan), or the reason of a provider's Ready condition.
type Reason string

// The reasons for revoking a credential.
const (
	// ReasonReplaced: another credential replaced it, and its overlap is over.
	ReasonReplaced Reason = "Replaced"
	// ReasonEndRequested: the annotation apitoken.dev/end named it.
	ReasonEndRequested Reason = "EndRequested"
	// ReasonAttemptAbandoned: its attempt ended with an unknown outcome.
	ReasonAttemptAbandoned Reason = "AttemptAbandoned"
	// ReasonAccessEnded: spec.expiresAt passed, or the credential expired.
	ReasonAccessEnded Reason = "AccessEnded"
	// ReasonRoomNeeded: the account has no room for another one.
	ReasonRoomNeeded Reason = "RoomNeeded"
	// ReasonDeleted: the ApiToken is being deleted.
	ReasonDeleted Reason = "Deleted"
	// ReasonOrphaned: no ledger knows it.
	ReasonOrphaned Reason = "Orphaned"
)

// Reasons are the reasons for revoking a credential.
func Reasons() []Reason {
	return []Reason{
		ReasonReplaced, ReasonEndRequested, ReasonAttemptAbandoned, ReasonAccessEnded, ReasonRoomNeeded, ReasonDeleted, ReasonOrphaned,
	}
}

// Asker is what asked for something.
type Asker string

// What can ask for something.
const (
	AskedBySpec       Asker = "spec"
	AskedByGeneration Asker = "spec.rotation.generation"
	AskedByStrategy   Asker = "spec.rotation.strategy"
	AskedByExpiresAt  Asker = "spec.expiresAt"
	AskedByDeletion   Asker = "metadata.deletionTimestamp"
	AskedByEnd        Asker = "metadata.annotations[apitoken.dev/end]"
	AskedBySchedule   Asker = "schedule"
	AskedBySecret     Asker = "secret"
	AskedByHandover   Asker = "handover"
	AskedByDrift      Asker = "drift"
	AskedByRecovery   Asker = "recovery"
	AskedBySweep      Asker = "sweep"
	AskedByCheck      Asker = "check"
)

// Askers are all values of Asker.
func Askers() []Asker {
	return []Asker{
		AskedBySpec, AskedByGeneration, AskedByStrategy, AskedByExpiresAt, AskedByDeletion, AskedByEnd, AskedBySchedule,
		AskedBySecret, AskedByHandover, AskedByDrift, AskedByRecovery, AskedBySweep, AskedByCheck,
	}
}

// Found is what the operator knows of a credential or a provider.
type Found string

// What can be found.
const (
	// FoundIssued: the credential is in the Secret and in the ledger.
	FoundIssued Found = "Issued"
	// FoundRotated: another credential replaced this one, which is revoked after its overlap.
	FoundRotated Found = "Rotated"
	// FoundAdopted: the Secret holds the credential of an attempt that was cut off.
	FoundAdopted Found = "Adopted"
	// FoundUpdated: the credential was changed in place.
	FoundUpdated Found = "Updated"
	// FoundUpdateUnknown: a change in place was cut off, so the credential is replaced.
	FoundUpdateUnknown Found = "UpdateUnknown"
	// FoundAbandoned: an attempt was given up with an unknown outcome.
	FoundAbandoned Found = "Abandoned"
	// FoundRevoked: the provider does not show the credential any more, or as ended.
	FoundRevoked Found = "Revoked"
	// FoundRetained: the credential is kept, and nothing revokes it.
	FoundRetained Found = "Retained"
	// FoundProviderReady and FoundProviderNotReady: the provider's credentials work, or not.
	FoundProviderReady    Found = "ProviderReady"
	FoundProviderNotReady Found = "ProviderNotReady"
)

// Findings are all values of Found.
func Findings() []Found {
	return []Found{
		FoundIssued, FoundRotated, FoundAdopted, FoundUpdated, FoundUpdateUnknown, FoundAbandoned, FoundRevoked, FoundRetained,
		FoundProviderReady, FoundProviderNotReady,
	}
}
