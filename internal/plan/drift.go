package plan

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/ledger"
	"apitoken.dev/operator/internal/provider"
)

// Drift describes how the provider shows the credential in use, if that differs from how it
// was issued. A user decides what to do: deletion, revocation, expiry and rotation continue
// as without drift.
type Drift struct {
	// Reason is one of the reasons of the condition Drifted.
	Reason string
	// Lost says that the credential grants no access; empty: it grants access.
	Lost string
	// Message says what the provider shows, and what to do.
	Message string
}

// Drift returns the drift of the Active credential, as the ledger has it. Unknown kinds of
// drift are ignored.
func (o *Observation) Drift() (Drift, bool) { return assess(o).drift() }

func (s *situation) drift() (Drift, bool) {
	e := s.active
	if e == nil || e.Drift == "" {
		return Drift{}, false
	}
	called := Called(&e.LedgerEntry)
	replace := "raise spec.rotation.generation to replace it"
	if s.Token.Spec.Suspend {
		replace = "set spec.suspend to false and " + replace
	}
	switch e.Drift {
	case v1alpha1.DriftMissing:
		lost := fmt.Sprintf("credential %s no longer exists at the provider: it was deleted or revoked there, and grants no access", called)
		return Drift{v1alpha1.ReasonCredentialMissing, lost, Sentences(lost, "Find out why, and "+replace+s.repairAdvice())}, true
	case v1alpha1.DriftDisabled:
		lost := fmt.Sprintf("credential %s is disabled at the provider, and grants no access", called)
		return Drift{v1alpha1.ReasonCredentialDisabled, lost, Sentences(lost, "Find out why, and enable it there, or "+replace)}, true
	case v1alpha1.DriftChanged:
		return Drift{v1alpha1.ReasonCredentialChanged, "", fmt.Sprintf(
			"credential %s has more access at the provider than is declared. Find out why, and undo it there, or %s", called, replace)}, true
	default:
		return Drift{}, false
	}
}

// repairAdvice says what spec.drift of the provider does about a missing credential.
func (s *situation) repairAdvice() string {
	switch {
	case !s.Provider.Repairs:
		return ". The provider's spec.drift: Repair replaces such credentials"
	case s.Token.Spec.Suspend:
		return "; the provider's spec.drift: Repair replaces nothing while spec.suspend is true"
	case s.blocked():
		return "; the provider's spec.drift: Repair replaces it when no obstacle is left"
	default:
		return ", or wait for the operator to do so"
	}
}

// withLostAccess adds to an obstacle that the credential in use grants no access. With
// spec.suspend, the drift itself is shown instead.
func (s *situation) withLostAccess(d Decision) Decision {
	drift, _ := s.drift()
	switch {
	case drift.Lost == "" || d.Reason == drift.Reason:
	case d.Reason == v1alpha1.ReasonSuspended:
		d.State, d.Reason, d.Message = Stalled, drift.Reason, drift.Message
	default:
		d.Message = Sentences(drift.Lost, d.Message)
	}
	return d
}

// DriftOf is the drift of an entry's credential, given the credentials that Find returned
// for its name. One with that name and another id is ignored.
func DriftOf(e *v1alpha1.LedgerEntry, spec *v1alpha1.ApiTokenSpec, shown []provider.Credential) v1alpha1.CredentialDrift {
	drift, lives := v1alpha1.DriftMissing, false
	for _, c := range shown {
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

// Widened reports whether a provider shows a credential with more access than is declared.
// It is false if the provider shows no grant, and while the credential is of another
// declaration or is being changed in place, when a difference is expected.
func Widened(e *v1alpha1.LedgerEntry, spec *v1alpha1.ApiTokenSpec, shown *provider.Grant) bool {
	if shown == nil || e.Updating != "" || e.Fingerprint != Fingerprint(spec) {
		return false
	}
	return provider.Wider(GrantOf(spec), *shown)
}

// NearEnd is how long before its expiry a missing credential is not reported. The clock of
// the provider can be ahead.
const NearEnd = 5 * time.Minute

// TooMany reports whether the number of credentials that drift at once looks like a mistake:
// more than 5, and more than a tenth of all.
func TooMany(n, all int) bool { return n > max(5, all/10) }

// DriftPeriod is how long a credential that drifts, or was replaced because it was missing,
// counts as drifting.
const DriftPeriod = 24 * time.Hour

// Drifting returns the ApiTokens of a provider whose credential in use drifts, or replaced a
// missing one within DriftPeriod. It also returns how many of them have a credential in use.
func Drifting(tokens []v1alpha1.ApiToken, now time.Time) (drifting map[types.NamespacedName]bool, all int) {
	drifting = map[types.NamespacedName]bool{}
	for i := range tokens {
		t := &tokens[i]
		e := ledger.Active(&t.Status, "")
		if e == nil || !t.DeletionTimestamp.IsZero() {
			continue
		}
		all++
		repaired := e.Reason == string(IssueCredentialMissing) && e.IssuedAt != nil && now.Sub(e.IssuedAt.Time) < DriftPeriod
		if e.Drift != "" || repaired {
			drifting[types.NamespacedName{Namespace: t.Namespace, Name: t.Name}] = true
		}
	}
	return drifting, all
}

// repairable reports whether a credential is replaced once the provider confirms that it is
// missing. A disabled or changed one is never replaced: an administrator may have done that
// on purpose.
func (o *Observation) repairable(e *Entry) bool {
	return o.Provider.Repairs && e.Drift == v1alpha1.DriftMissing
}

// driftUnconfirmed: the sweep saw the credential in use with another drift than the ledger
// has, or it is about to be replaced because it is missing. The provider is asked about it,
// so that one wrong list changes no ApiToken. For another account, an account that is not
// recorded, or a server that is not verified, the answer would mean nothing.
func driftUnconfirmed(s *situation) (Decision, bool) {
	e, p := s.active, &s.Provider
	if e == nil || !s.needsConfirmation(e) || expired(e, s.Now.Add(NearEnd)) || s.accessOver() || !p.Found || !p.Ready || p.Unverified {
		return Decision{}, false
	}
	if !s.owns(e.Name) || e.Account == "" || s.otherAccount(e.Account) {
		return Decision{}, false
	}
	return s.steadily(Confirm{Name: e.Name}, "asking the provider about credential "+Called(&e.LedgerEntry)), true
}

func (o *Observation) needsConfirmation(e *Entry) bool {
	return e.ConfirmsIn == 0 && (e.Doubted || o.repairable(e) && !e.Confirmed)
}
