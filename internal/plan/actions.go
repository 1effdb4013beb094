package plan

import (
	"time"

	"apitoken.dev/operator/internal/ledger"
)

// Action is what the reconciler does next: exactly one of the types below.
//
//sumtype:decl
type Action interface{ action() }

// The actions. The first three only read; the reconciler then decides again.
type (
	// ReadSecret reads the Secret live.
	ReadSecret struct{}
	// FindRestored asks the provider about the credential that the Secret names.
	FindRestored struct{ Name string }
	// CountSlots asks the provider which credentials the account has.
	CountSlots struct{}

	// Wait does nothing.
	Wait struct{}
	// AddFinalizer puts the finalizer on the ApiToken.
	AddFinalizer struct{}
	// RemoveFinalizer releases the ApiToken without a provider call.
	RemoveFinalizer struct{}
	// Release releases the ApiToken and keeps the Secret and its credential.
	Release struct{}
	// Purge revokes every name in the ledger. When Settled, the provider is asked for all
	// other credentials of the owner. If it has no other, the finalizer is removed.
	Purge struct{ Settled bool }

	// Adopt makes the entry of an attempt Active: the Secret holds its credential.
	Adopt struct {
		Name  string
		Terms ledger.Terms
	}
	// AdoptRestored adds the credential that the Secret names as the first ledger entry.
	AdoptRestored struct {
		Name  string
		Terms ledger.Terms
	}
	// AdoptRetiring adds a newer credential that the Secret holds to an older ledger. It is
	// revoked once another one has replaced it.
	AdoptRetiring struct {
		Name     string
		RetireAt time.Time
		Terms    ledger.Terms
	}
	// Identify asks the provider for the id of an adopted credential.
	Identify struct{ Name string }
	// Confirm asks the provider about the Active credential.
	Confirm struct{ Name string }
	// Withdraw takes back the reservation of an attempt that the provider rejected.
	Withdraw struct{ Name string }
	// Abandon abandons an attempt. With Fence, the Secret is written first, so that a paused
	// process can no longer publish the credential.
	Abandon struct {
		Name  string
		Fence bool
	}
	// Issue reserves, mints, publishes and records a new credential.
	Issue struct {
		Reason   IssueReason
		Revision int64
		// Charged: it counts against the mint budget.
		Charged bool
	}
	// Update changes the Active credential in place at the provider.
	Update struct{ Name string }
	// ConfirmEdit checks and records that a user edited the Active credential.
	ConfirmEdit struct{ Name string }
	// Republish writes the stored copy of the Active credential into the Secret.
	Republish struct{ Name string }
	// GiveUp moves the Active credential to Retiring, due now, before another one exists: a
	// gap begins. Charged: the rotation that begins with the gap, for Reason, counts against
	// the mint budget.
	GiveUp struct {
		Name    string
		Reason  IssueReason
		Charged bool
	}
	// TryPublish sends the Secret as a dry run.
	TryPublish struct{}
	// BeginRevoke moves settled attempts to Retiring, due now.
	BeginRevoke struct{ Names []string }
	// EndOverlap makes a Retiring entry due now, because a user requested it.
	EndOverlap struct{ Name string }
	// Retire moves the Active credential to Retiring, due now. Expired: its access has
	// ended, which an event reports.
	Retire struct {
		Name    string
		Expired bool
	}
	// Revoke revokes credentials and drops those that are gone.
	Revoke struct{ Names []string }
	// SyncSecret updates parts of the Secret, and records its version. Without a part it
	// only records the version.
	SyncSecret struct {
		// Metadata are labels, annotations and owner; every write updates them.
		Metadata bool
		// Settings are the keys that come from the provider's settings, Declaration those
		// that come from the declaration.
		Settings, Declaration bool
	}
	// DeleteSecret deletes the Secret.
	DeleteSecret struct{}
)

func (ReadSecret) action()      {}
func (FindRestored) action()    {}
func (CountSlots) action()      {}
func (Update) action()          {}
func (ConfirmEdit) action()     {}
func (Republish) action()       {}
func (GiveUp) action()          {}
func (Wait) action()            {}
func (AddFinalizer) action()    {}
func (RemoveFinalizer) action() {}
func (Release) action()         {}
func (Purge) action()           {}
func (Adopt) action()           {}
func (AdoptRestored) action()   {}
func (Identify) action()        {}
func (Confirm) action()         {}
func (AdoptRetiring) action()   {}
func (Withdraw) action()        {}
func (Abandon) action()         {}
func (Issue) action()           {}
func (TryPublish) action()      {}
func (BeginRevoke) action()     {}
func (EndOverlap) action()      {}
func (Retire) action()          {}
func (Revoke) action()          {}
func (SyncSecret) action()      {}
func (DeleteSecret) action()    {}

// IssueReason says why a credential is issued.
type IssueReason string

// The reasons for issuing.
const (
	IssueInitial           IssueReason = "Initial"
	IssueScheduled         IssueReason = "Scheduled"
	IssueRotationRequested IssueReason = "RotationRequested"
	IssueSpecChanged       IssueReason = "SpecChanged"
	IssueSecretLost        IssueReason = "SecretLost"
	IssueSecretChanged     IssueReason = "SecretChanged"
	IssueHandedOver        IssueReason = "HandedOver"
	IssueCredentialMissing IssueReason = "CredentialMissing"
	// IssueRestored is the reason of an entry whose ledger was lost. Nothing is issued for it.
	IssueRestored IssueReason = "Restored"
)
