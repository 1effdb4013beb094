// Package plan decides what to do next for one ApiToken. It is pure: facts go
// in as an Observation, one Decision comes out; there is no client, no clock and
// no context here. Next lists the rules in their order, and that list is the
// specification of the operator. The same rules run in production, in table
// tests and in the explorer.
package plan

import (
	"time"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/ledger"
	"apitoken.dev/operator/internal/provider"
)

// Limits of the protocol.
const (
	// MaxUnsettled attempts may be open before nothing more is reserved.
	MaxUnsettled = 16
	// MaxLedger entries fit the ledger; the schema has the same number.
	MaxLedger = 32
	// DefaultLifetime of a credential when neither expiresIn nor expiresAt is set.
	DefaultLifetime = 90 * 24 * time.Hour
	// DefaultOverlap is how long the previous credential lives on.
	DefaultOverlap = time.Hour
	// Recheck is how soon something is looked at again that no event reports.
	Recheck = time.Minute
)

// Observation is everything a decision may depend on. It holds no secret value.
type Observation struct {
	// Now is the wall time, read once.
	Now time.Time
	// Token is the ApiToken as it was read.
	Token Token
	// Ledger is status.credentials, each with what this process knows of it.
	Ledger []Entry
	// Secret is the target Secret, from the metadata cache or read live.
	Secret Secret
	// Provider is the account the ApiToken refers to.
	Provider Provider
	// Restored is the answer to FindRestored, or nil if it was not asked.
	Restored *Restored
	// Occupied is the answer to CountSlots, or nil if it was not asked.
	Occupied *Occupied
	// Handover is what a person hands over, for credentials that are made by hand.
	Handover Handover
	// Failed are the rules whose last action failed in this process.
	Failed map[string]bool
}

// Token is the part of an ApiToken that decisions depend on, the ledger aside.
type Token struct {
	Namespace, Name, UID string
	Generation           int64
	Spec                 v1alpha1.ApiTokenSpec
	Deleting             bool
	// NamespaceEnding: its namespace is being deleted, and so will it be.
	NamespaceEnding bool
	HasFinalizer    bool
	Revision        int64
	Budget          *v1alpha1.MintBudget
	Retry           *v1alpha1.Retry
	// PublishRefused: the API server refused the last publish, and no dry run has passed since.
	PublishRefused bool
	// GapSince is when the Active credential was given up before another one was
	// there; zero: it was not.
	GapSince time.Time
	// GapReason is why; it was written with GapSince.
	GapReason string
	// Edited is the generation for which a person says that the credential was edited.
	Edited int64
	// End is the credential of which a user wants the overlap to end now; empty: none. A
	// tenant writes it, so it can be anything.
	End string
	// Owns reports whether a credential name was made for this ApiToken in this cluster.
	Owns func(name string) bool
}

// Entry is a ledger entry as this process sees it.
type Entry struct {
	v1alpha1.LedgerEntry
	// Settled: no request of this attempt can take effect any more.
	Settled bool
	// SettlesIn is how long until then.
	SettlesIn time.Duration
	// Rejected: this process made the attempt, the provider explicitly rejected it, and
	// nothing was reserved after it.
	Rejected bool
	// Ours: this process made the reservation, or began the change in place that
	// Updating marks. What it reads of its own is no longer under way.
	Ours bool
	// SeenFor is how long ago, by its monotonic clock, this process first saw the
	// attempt, or the mark of a change in place.
	SeenFor time.Duration
	// ProvesIn is how long until it is tried again to prove that a person has
	// deleted it; 0: now, or it was not tried.
	ProvesIn time.Duration
	// FindsIn is how long until the provider is asked again for its id; 0: now, or
	// it was not asked.
	FindsIn time.Duration
	// Doubted: the provider may show it otherwise than Drift says, and is to be asked.
	// ConfirmsIn is how long until then; 0: now.
	Doubted    bool
	ConfirmsIn time.Duration
	// Confirmed: it is missing, as the provider told this process a short time ago.
	Confirmed bool
}

// Secret is the target Secret. Without Live it comes from the metadata cache
// and Trusted says whether it is as it was last written or checked.
type Secret struct {
	Live    bool
	Trusted bool
	Exists  bool
	// Foreign: it belongs to somebody else, who is named by Owner.
	Foreign bool
	Owner   string
	// Deleting: it is being deleted, and finalizers hold it until their owners are
	// done; HeldBy names them. Nothing is published in it.
	Deleting bool
	HeldBy   string
	// Name of the Secret.
	Name string
	// Credential is the name of the credential it holds; empty when it holds
	// none, or one of another cluster.
	Credential string
	// Intact: its data is what the operator wrote.
	Intact bool
	// MetadataCurrent: its labels, annotations and owner are as declared.
	MetadataCurrent bool
	// SettingsCurrent: the keys that follow from the provider's settings, such as an
	// endpoint, are as these say.
	SettingsCurrent bool
	// DeclarationCurrent: the keys that follow from the declaration, such as
	// BUCKET_NAME, are as declared.
	DeclarationCurrent bool
	// Contest is what keeps changing its metadata back.
	Contest Contest
	// Facts that the Secret carries about its credential.
	Facts CredentialFacts
}

// Contest says that another client changes the Secret's metadata back each time the
// operator writes it.
type Contest struct {
	// What differs from the declaration, such as `label "team"`, as it was read live.
	What string
	// By is the field manager that wrote it; empty when the API server does not say.
	By string
	// Pause is how long the operator waits after it wrote the metadata before it writes
	// them again, and Wait what is left of that; 0: it waits no longer.
	Pause, Wait time.Duration
}

// CredentialFacts are the annotations that describe the credential in a Secret.
// Anyone who can write the Secret can write them, so a decision never takes more
// from them than its rule says, and never an id.
type CredentialFacts struct {
	Account, Fingerprint string
	RotationGeneration   int64
	Revision             int64
	ExpiresAt            time.Time
}

// Restored is what the provider shows of the credential that a Secret names.
type Restored struct {
	// Live: it still gives access.
	Live bool
	// Account that was asked.
	Account string
	// ID of the only credential of that name; empty when there are several.
	ID string
	// CreatedAt and ExpiresAt are zero when the provider does not tell.
	CreatedAt, ExpiresAt time.Time
	// Remembered: an earlier reconcile got this answer. It holds until something
	// changes, or until AsksIn has passed. Nothing is issued or deleted because of it.
	Remembered bool
	// AsksIn is how long an answer that it is not live holds.
	AsksIn time.Duration
}

// Handover is a Secret with which a person hands a credential over.
type Handover struct {
	// Secret is its name, whether it exists or not.
	Secret string
	Exists bool
	// Refused says why the credential in it cannot be used; empty: it was not refused.
	Refused string
}

// Provider is the account the ApiToken refers to, from caches only.
type Provider struct {
	Found, Deleting, Ready, Admitted bool
	// OtherKind: there is none of the kind that is named, but one of the same name and of
	// this kind.
	OtherKind v1alpha1.ProviderKind
	// Reason and Message of the provider's own Ready condition when it is not ready.
	Reason, Message string
	// Verified: its settings, as they are now, were found to work. Until then Secrets keep
	// what earlier settings said.
	Verified bool
	// Unverified: its endpoint is not the one that was verified. Nothing is done there,
	// and what it does not show may exist.
	Unverified bool
	// Account it belongs to; empty when not known. Former is what earlier versions
	// called it.
	Account      string
	Former       []string
	Capabilities provider.Capabilities
	// GrantableScopes of the account; empty when not known.
	GrantableScopes []string
	// Form says how a person makes the credential; nil: the operator mints it.
	Form *provider.Form
	// Repairs: a credential that is missing at the provider is replaced.
	Repairs bool
	// Shared is what other ApiTokens have of the same account, where that matters.
	Shared Shared
	// Refusal is what the driver cannot grant of the declaration, or nil.
	Refusal *provider.Refusal
}

// State says how the ApiToken is doing while a decision holds.
type State int

// The states, in the terms of kstatus.
const (
	// Steady: nothing to do now but wait for the next event.
	Steady State = iota
	// Progressing: work is under way.
	Progressing
	// Stalled: somebody has to change something.
	Stalled
)

// Decision is one action and the reason for it.
type Decision struct {
	// Rule that decided.
	Rule string
	// Action to take.
	Action Action
	State  State
	// Reason is one of the reasons in conditions.go, Message a sentence.
	Reason, Message string
	// After is when to look again without an event; 0: never.
	After time.Duration
}

// active returns the entry that the workload should be using (ledger.Active).
func (o *Observation) active() *Entry {
	return ledger.ActiveOf(o.Ledger, func(e *Entry) *v1alpha1.LedgerEntry { return &e.LedgerEntry }, o.Secret.Credential)
}

func (o *Observation) entry(name string) *Entry {
	for i := range o.Ledger {
		if o.Ledger[i].Name == name {
			return &o.Ledger[i]
		}
	}
	return nil
}

func (o *Observation) in(state v1alpha1.CredentialState) []*Entry {
	var out []*Entry
	for i := range o.Ledger {
		if o.Ledger[i].State == state {
			out = append(out, &o.Ledger[i])
		}
	}
	return out
}

// holds reports whether the Secret, ours, names the credential.
func (o *Observation) holds(name string) bool {
	return o.Secret.Exists && !o.Secret.Foreign && o.Secret.Credential == name
}

// secretKnown reports whether the Secret is known well enough to act on.
func (o *Observation) secretKnown() bool { return o.Secret.Live || o.Secret.Trusted }

// hardEnd is spec.expiresAt; the zero time if it is absent or cannot be read.
func (o *Observation) hardEnd() time.Time {
	end, _ := o.Token.Spec.HardEnd()
	return end
}

// ended reports whether spec.expiresAt has passed.
func (o *Observation) ended() bool {
	end := o.hardEnd()
	return !end.IsZero() && !o.Now.Before(end)
}

// lapsed reports whether the operator must end the credential in use, because it
// is past its expiry, its provider does not end it, and no other can be issued in
// its place now.
func (o *Observation) lapsed() bool {
	end := o.expiryToEnforce()
	if end.IsZero() || o.Now.Before(end) {
		return false
	}
	_, blocked := o.blocked()
	return blocked
}

// expiryToEnforce is when the operator has to end the credential in use, or the
// retired or revoked one that a Secret still holds; zero: it does not have to.
func (o *Observation) expiryToEnforce() time.Time {
	if o.Provider.Capabilities.ExpiryEnforcedBy != provider.EnforcedByOperator {
		return time.Time{}
	}
	s, e := &o.Secret, o.active()
	if e == nil {
		if e = o.entry(s.Credential); e == nil && o.wasIssued() {
			return s.Facts.ExpiresAt
		}
		if e == nil || e.State != v1alpha1.StateRetiring || !o.holds(e.Name) {
			return time.Time{}
		}
	}
	if e.ExpiresAt == nil {
		return time.Time{}
	}
	return e.ExpiresAt.Time
}

// wasIssued reports whether the Secret, ours, names a credential that the ledger had.
func (o *Observation) wasIssued() bool {
	s := &o.Secret
	return s.Exists && !s.Foreign && s.Credential != "" && o.owns(s.Credential) && o.Token.Revision > 0 && s.Facts.Revision <= o.Token.Revision
}

// over reports whether access has to end now.
func (o *Observation) over() bool { return o.ended() || o.lapsed() }

// foreign returns an entry whose name was not made for this ApiToken in this
// cluster, or nil. Whoever may write a status could put another's credential
// there; it is never revoked.
func (o *Observation) foreign() *Entry {
	for i := range o.Ledger {
		if e := &o.Ledger[i]; !o.owns(e.Name) {
			return e
		}
	}
	return nil
}

func (o *Observation) owns(name string) bool { return o.Token.Owns == nil || o.Token.Owns(name) }
