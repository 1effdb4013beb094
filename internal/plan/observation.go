package plan

import (
	"time"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/credname"
	"apitoken.dev/operator/internal/ledger"
	"apitoken.dev/operator/internal/provider"
)

// Observation is everything that a decision can depend on. It holds no secret value.
type Observation struct {
	// Now is the wall time, read once.
	Now time.Time
	// Token is the ApiToken as it was read.
	Token Token
	// Ledger is status.credentials, with what this process knows about each entry.
	Ledger []Entry
	// Secret is the target Secret, from the metadata cache or read live.
	Secret Secret
	// Provider is the provider that spec.providerRef names.
	Provider Provider
	// Restored is the result of FindRestored; nil: the provider was not asked.
	Restored *Restored
	// Occupied is the result of CountSlots; nil: the provider was not asked.
	Occupied *Occupied
	// Handover is the Secret with which a user submits a manual credential.
	Handover Handover
	// Failed has the rules whose last action failed in this process.
	Failed map[string]bool
}

// Token is the part of an ApiToken that decisions depend on, except its ledger.
type Token struct {
	Namespace, Name, UID string
	Generation           int64
	Spec                 v1alpha1.ApiTokenSpec
	Deleting             bool
	// NamespaceEnding: its namespace is being deleted.
	NamespaceEnding bool
	HasFinalizer    bool
	// Revision is the number in the name that was reserved last; 0: no name was reserved.
	Revision int64
	Budget   *v1alpha1.MintBudget
	Retry    *v1alpha1.Retry
	// PublishRefused: the API server rejected the last write of the Secret, and no dry run
	// has succeeded since.
	PublishRefused bool
	// GapSince is when RevokeFirst gave up the Active credential; zero: no gap is open.
	GapSince time.Time
	// GapReason is the IssueReason that was recorded with GapSince.
	GapReason string
	// Edited is the generation for which a user confirmed the edit of a manual credential.
	Edited int64
	// End is the value of the annotation apitoken.dev/end: the credential whose overlap a
	// user ends. Tenants write it, so it can be any string.
	End string
	// Owns reports whether a credential name was made for this ApiToken in this cluster.
	Owns func(name string) bool
}

// Entry is a ledger entry, with what this process knows about it.
type Entry struct {
	v1alpha1.LedgerEntry
	// Settled: no request of this attempt can take effect any more.
	Settled bool
	// SettlesIn is how long until then.
	SettlesIn time.Duration
	// Rejected: this process made the attempt, the provider explicitly rejected it, and
	// nothing was reserved after it.
	Rejected bool
	// Ours: this process reserved the name, or began the change in place that Updating
	// marks. An entry of its own that it reads again is no longer in progress.
	Ours bool
	// SeenFor is how long ago, by its monotonic clock, this process first saw the attempt, or
	// the mark of a change in place.
	SeenFor time.Duration
	// ProvesIn is how long until the operator checks again whether a user has deleted a
	// manual credential; 0: now.
	ProvesIn time.Duration
	// FindsIn is how long until the provider is asked again for the id; 0: now.
	FindsIn time.Duration
	// Doubted: the sweep saw another drift than the one in the ledger, so the provider is
	// asked. ConfirmsIn is how long until then; 0: now.
	Doubted    bool
	ConfirmsIn time.Duration
	// Confirmed: a short time ago the provider answered this process that it has no such
	// credential.
	Confirmed bool
}

// Restored is the provider's answer about the credential that a Secret names, while the
// ledger has lost it.
type Restored struct {
	// Live: it still grants access.
	Live bool
	// Account that was asked.
	Account string
	// ID of the credential; empty when several have its name.
	ID string
	// CreatedAt and ExpiresAt are zero when the provider does not report them.
	CreatedAt, ExpiresAt time.Time
	// Remembered: the answer is from an earlier reconcile. It is valid until something
	// changes, or for AsksIn. Nothing is issued or deleted based on it.
	Remembered bool
	// AsksIn is how long a negative answer stays valid.
	AsksIn time.Duration
}

// Handover is the Secret with which a user submits a manual credential.
type Handover struct {
	// Secret is its name, whether or not it exists.
	Secret string
	Exists bool
	// Refused says why its content cannot be used; empty: it was not refused.
	Refused string
}

// Provider is the provider that spec.providerRef names, from caches only.
type Provider struct {
	Found, Deleting, Ready, Admitted bool
	// OtherKind is the kind of a provider with this name, if none of the named kind exists.
	OtherKind v1alpha1.ProviderKind
	// Reason and Message are those of its Ready condition while it is not ready.
	Reason, Message string
	// Verified: its current settings were found to work. Until then Secrets keep the
	// values of the previous settings.
	Verified bool
	// Unverified: its endpoint is not the one that was verified. No request is sent there,
	// and a credential that it does not list can still exist.
	Unverified bool
	// Account of its credentials; empty when unknown. Former has the identifiers that
	// earlier versions of the operator used for the same account.
	Account      string
	Former       []string
	Capabilities provider.Capabilities
	// GrantableScopes of the account; empty when unknown.
	GrantableScopes []string
	// Form describes how a user creates the credential; nil for a provider that is not Manual.
	Form *provider.Form
	// Repairs: a credential that is missing at the provider is replaced.
	Repairs bool
	// Shared describes the other ApiTokens of the account.
	Shared Shared
	// Refusal is the part of the declaration that the driver cannot grant, or nil.
	Refusal *provider.Refusal
}

// activeEntry returns the entry that the workload should be using (ledger.Active), or nil.
func (o *Observation) activeEntry() *Entry {
	return ledger.ActiveOf(o.Ledger, func(e *Entry) *v1alpha1.LedgerEntry { return &e.LedgerEntry }, o.Secret.Credential)
}

// entry returns the ledger entry of a name, or nil.
func (o *Observation) entry(name string) *Entry {
	for i := range o.Ledger {
		if o.Ledger[i].Name == name {
			return &o.Ledger[i]
		}
	}
	return nil
}

// in returns the ledger entries in a state.
func (o *Observation) in(state v1alpha1.CredentialState) []*Entry {
	var out []*Entry
	for i := range o.Ledger {
		if o.Ledger[i].State == state {
			out = append(out, &o.Ledger[i])
		}
	}
	return out
}

// owns reports whether a credential name was made for this ApiToken in this cluster.
func (o *Observation) owns(name string) bool { return o.Token.Owns == nil || o.Token.Owns(name) }

// WasReserved reports whether the ledger has, or had, an entry with a name: the name was made
// for this ApiToken in this cluster, and its revision is not above that of the status.
func (o *Observation) WasReserved(name string) bool {
	n, err := credname.Parse(name)
	return err == nil && n.Revision <= o.Token.Revision && o.owns(name)
}

// hardEnd is spec.expiresAt; zero: it is absent or unreadable.
func (o *Observation) hardEnd() time.Time {
	end, _ := o.Token.Spec.HardEnd()
	return end
}

// unreadable is the error of a spec.expiresAt that is not a time, or nil.
func (o *Observation) unreadable() error {
	_, err := o.Token.Spec.HardEnd()
	return err
}

// pastHardEnd reports whether spec.expiresAt has passed.
func (o *Observation) pastHardEnd() bool {
	end := o.hardEnd()
	return !end.IsZero() && !o.Now.Before(end)
}

// expired reports whether a credential is past its own expiry.
func expired(e *Entry, now time.Time) bool {
	return e.ExpiresAt != nil && !now.Before(e.ExpiresAt.Time)
}
