package plan

import (
	"time"

	"apitoken.dev/operator/internal/ledger"
)

// Action is what the reconciler does next: exactly one of the types below.
//
//sumtype:decl
type Action interface{ action() }

// The actions. The first three only look; the reconciler then decides again.
type (
	// ReadSecret reads the Secret live.
	ReadSecret struct{}
	// FindRestored asks the provider for the credential that the Secret names.
	FindRestored struct{ Name string }
	// CountSlots asks the provider which credentials the account has.
	CountSlots struct{}

	// Wait does nothing.
	Wait struct{}
	// AddFinalizer puts the finalizer on the ApiToken.
	AddFinalizer struct{}
	// RemoveFinalizer lets the ApiToken go without a provider call.
	RemoveFinalizer struct{}
	// Release lets the ApiToken go and keeps Secret and credential.
	Release struct{}
	// Purge revokes every name in the ledger. When Settled, the provider is asked
	// for anything else of the owner, and the finalizer goes when there is nothing.
	Purge struct{ Settled bool }

	// Adopt makes an attempt whose credential the Secret holds the Active one.
	Adopt struct {
		Name  string
		Terms ledger.Terms
	}
	// AdoptRestored makes the credential the Secret names the first ledger entry.
	AdoptRestored struct {
		Name  string
		Terms ledger.Terms
	}
	// AdoptRetiring takes a newer credential that the Secret holds into an older
	// ledger, to be revoked once another one has replaced it.
	AdoptRetiring struct {
		Name     string
		RetireAt time.Time
		Terms    ledger.Terms
	}
	// Identify asks the provider for the id of a credential that was adopted.
	Identify struct{ Name string }
	// Confirm asks the provider how it shows the Active credential.
	Confirm struct{ Name string }
	// Withdraw takes back the reservation of an attempt that the provider rejected.
	Withdraw struct{ Name string }
	// Abandon gives up an attempt; with Fence the Secret is written first, so that
	// a paused process cannot publish it any more.
	Abandon struct {
		Name  string
		Fence bool
	}
	// Issue reserves, mints, publishes and records a new credential.
	Issue struct {
		Reason   IssueReason
		Revision int64
		// Charged: it costs one from the mint budget.
		Charged bool
	}
	// Update changes the Active credential in place.
	Update struct{ Name string }
	// ConfirmEdit takes a person's word that the Active credential was edited.
	ConfirmEdit struct{ Name string }
	// Republish puts the Active credential, which was kept, back into the Secret.
	Republish struct{ Name string }
	// GiveUp moves the Active credential to Retiring, due now, although there is no
	// other one yet: the workload is without access until there is. Charged: the
	// rotation that begins with it, for Reason, costs one from the mint budget.
	GiveUp struct {
		Name    string
		Reason  IssueReason
		Charged bool
	}
	// TryPublish sends the Secret as a dry run.
	TryPublish struct{}
	// BeginRevoke moves settled attempts to Retiring, due now.
	BeginRevoke struct{ Names []string }
	// EndOverlap makes a Retiring entry due now, because a user asked for it.
	EndOverlap struct{ Name string }
	// Retire moves the Active credential to Retiring, due now. Expired: its access
	// has ended, and an event says so.
	Retire struct {
		Name    string
		Expired bool
	}
	// Revoke revokes credentials and drops those that are gone.
	Revoke struct{ Names []string }
	// SyncSecret brings parts of the Secret up to date, and records its version. With no
	// part it records the version only.
	SyncSecret struct {
		// Metadata are labels, annotations and owner; any write brings them up to date.
		Metadata bool
		// Settings are the keys that follow from the provider's settings, Declaration
		// those that follow from the declaration.
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
