package audit

// Reason is why an action is taken: one of these constants, the reason for issuing a
// credential (internal/plan), or the reason of a provider's Ready condition.
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
	// ReasonRoomNeeded: the account has no free slot.
	ReasonRoomNeeded Reason = "RoomNeeded"
	// ReasonDeleted: the ApiToken is being deleted.
	ReasonDeleted Reason = "Deleted"
	// ReasonOrphaned: it is in no ledger.
	ReasonOrphaned Reason = "Orphaned"
)

// Reasons are the reasons for revoking a credential.
func Reasons() []Reason {
	return []Reason{
		ReasonReplaced, ReasonEndRequested, ReasonAttemptAbandoned, ReasonAccessEnded, ReasonRoomNeeded, ReasonDeleted, ReasonOrphaned,
	}
}

// Asker is the source of a request.
type Asker string

// The sources of a request.
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

// Found is a kind of fact about a credential or a provider.
type Found string

// The kinds of facts.
const (
	// FoundIssued: the credential is in the Secret and in the ledger.
	FoundIssued Found = "Issued"
	// FoundRotated: another credential replaced this one, which is revoked after its overlap.
	FoundRotated Found = "Rotated"
	// FoundAdopted: the Secret has the credential of an interrupted attempt.
	FoundAdopted Found = "Adopted"
	// FoundUpdated: the credential was updated in place.
	FoundUpdated Found = "Updated"
	// FoundUpdateUnknown: an in-place update was interrupted, so the credential is replaced.
	FoundUpdateUnknown Found = "UpdateUnknown"
	// FoundAbandoned: an attempt was abandoned with an unknown outcome.
	FoundAbandoned Found = "Abandoned"
	// FoundRevoked: the provider no longer shows the credential, or shows it as ended.
	FoundRevoked Found = "Revoked"
	// FoundRetained: the credential is kept, and nothing revokes it.
	FoundRetained Found = "Retained"
	// FoundProviderReady and FoundProviderNotReady: the provider's credentials work, or do not.
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
