package plan

import (
	"fmt"
	"time"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/provider"
)

// Drift is how the provider shows the credential in use, where that is not as it was
// issued. A person decides what to do: deletion, revocation, expiry and rotation go on
// as if there were none.
type Drift struct {
	// Reason is one of the reasons of the condition Drifted.
	Reason string
	// Lost says that the credential gives no access; empty: it gives access.
	Lost string
	// Message says what the provider shows, and what to do.
	Message string
}

// Drift returns the drift of the Active credential, as the ledger has it. A kind that
// this version does not know is none.
func (o *Observation) Drift() (Drift, bool) {
	e := o.active()
	if e == nil {
		return Drift{}, false
	}
	called := Called(&e.LedgerEntry)
	replace := "raise spec.rotation.generation to replace it"
	if o.Token.Spec.Suspend {
		replace = "set spec.suspend to false and " + replace
	}
	switch e.Drift {
	case v1alpha1.DriftMissing:
		lost := fmt.Sprintf("credential %s no longer exists at the provider: it was deleted or revoked there, and gives no access", called)
		return Drift{v1alpha1.ReasonCredentialMissing, lost, Sentences(lost, "Find out why, and "+replace+o.repairAdvice())}, true
	case v1alpha1.DriftDisabled:
		lost := fmt.Sprintf("credential %s is disabled at the provider, and gives no access", called)
		return Drift{v1alpha1.ReasonCredentialDisabled, lost, Sentences(lost, "Find out why, and enable it there, or "+replace)}, true
	case v1alpha1.DriftChanged:
		return Drift{v1alpha1.ReasonCredentialChanged, "", fmt.Sprintf(
			"credential %s has more access at the provider than is declared. Find out why, and undo it there, or %s", called, replace)}, true
	default:
		return Drift{}, false
	}
}

// repairAdvice says what spec.drift of the provider does about a missing credential.
func (o *Observation) repairAdvice() string {
	_, blocked := o.blocked()
	switch {
	case !o.Provider.Repairs:
		return ". The provider's spec.drift: Repair replaces such credentials"
	case o.Token.Spec.Suspend:
		return "; the provider's spec.drift: Repair replaces nothing while spec.suspend is true"
	case blocked:
		return "; the provider's spec.drift: Repair replaces it when nothing is in the way any more"
	default:
		return ", or wait for the operator to do so"
	}
}

// withLostAccess adds to what is in the way of a credential that the one in use gives no
// access. That of a suspension is no answer to it: then the drift itself is shown.
func (o *Observation) withLostAccess(d Decision) Decision {
	drift, _ := o.Drift()
	switch {
	case drift.Lost == "" || d.Reason == drift.Reason:
	case d.Reason == v1alpha1.ReasonSuspended:
		d.State, d.Reason, d.Message = Stalled, drift.Reason, drift.Message
	default:
		d.Message = Sentences(drift.Lost, d.Message)
	}
	return d
}

// DriftOf is how a provider shows the credential of an entry, given what Find shows
// under its name. Another credential of that name is not the one that was issued.
func DriftOf(e *v1alpha1.LedgerEntry, spec *v1alpha1.ApiTokenSpec, found []provider.Credential) v1alpha1.CredentialDrift {
	drift, lives := v1alpha1.DriftMissing, false
	for _, c := range found {
		if c.Name != e.Name || !c.State.Occupies() || e.ID != "" && c.ID != "" && c.ID != e.ID {
			continue
		}
		switch {
		case c.State == provider.Disabled:
			drift = v1alpha1.DriftDisabled
		case Widened(e, spec, c.Grant):
			return v1alpha1.DriftChanged
		default:
			lives = true
		}
	}
	if lives {
		return ""
	}
	return drift
}

// Widened reports whether a provider shows a credential with more access than is
// declared. Without a grant it does not tell. While the credential is of another
// declaration, or is being changed in place, its access is not the declared one anyway.
func Widened(e *v1alpha1.LedgerEntry, spec *v1alpha1.ApiTokenSpec, shown *provider.Grant) bool {
	if shown == nil || e.Updating != "" || e.Fingerprint != Fingerprint(spec) {
		return false
	}
	return provider.Wider(GrantOf(spec), *shown)
}

// NearEnd is how long before its expiry a credential is not missed at its provider, whose
// clock may be ahead.
const NearEnd = 5 * time.Minute

// TooMany reports whether so many at once look like a mistake: more than 5, and more
// than a tenth of all.
func TooMany(n, all int) bool { return n > max(5, all/10) }

// missing reports whether a credential is replaced once the provider confirms that it no
// longer has it. A disabled or changed one never is: an administrator may have cut it off.
func (o *Observation) missing(e *Entry) bool {
	return o.Provider.Repairs && e.Drift == v1alpha1.DriftMissing
}

// repairs reports whether a missing credential is replaced now. What the status says may
// be old, or restored: without a recent answer of the provider nothing is issued.
func (o *Observation) repairs(e *Entry) bool { return o.missing(e) && e.Confirmed }

// confirm asks the provider about the credential in use, because the sweep saw it
// otherwise than the ledger has it, or before it is replaced. A list that was wrong once
// changes no ApiToken. Of another account, of one that is not recorded, or of a server
// that is not verified, "not found" means nothing.
func confirm(o *Observation) (Decision, bool) {
	e, p := o.active(), &o.Provider
	if e == nil || !o.doubted(e) || expired(e, o.Now.Add(NearEnd)) || o.over() || !p.Found || !p.Ready || p.Unverified {
		return Decision{}, false
	}
	if !o.owns(e.Name) || e.Account == "" || o.otherAccount(e.Account) {
		return Decision{}, false
	}
	return o.steadily(Confirm{Name: e.Name}, "asking the provider about credential "+Called(&e.LedgerEntry)), true
}

// doubted reports whether the provider should be asked about a credential now.
func (o *Observation) doubted(e *Entry) bool {
	return e.ConfirmsIn == 0 && (e.Doubted || o.missing(e) && !e.Confirmed)
}
