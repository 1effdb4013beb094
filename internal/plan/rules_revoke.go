package plan

import (
	"fmt"
	"slices"
	"time"

	"apitoken.dev/operator/api/v1alpha1"
)

func (e *Entry) retiring() bool { return e.State == v1alpha1.StateRetiring }

// retireDue reports whether the overlap of a Retiring entry has ended.
func (e *Entry) retireDue(now time.Time) bool {
	return e.RetireAt == nil || !now.Before(e.RetireAt.Time)
}

// pastDue reports whether a Retiring entry can be revoked: its overlap or all access has
// ended.
func (o *Observation) pastDue(e *Entry) bool { return o.pastHardEnd() || e.retireDue(o.Now) }

// settledAttempts returns the abandoned attempts that can no longer take effect.
func (o *Observation) settledAttempts() []string {
	var names []string
	for _, e := range o.in(v1alpha1.StateAbandoned) {
		if e.Settled && o.owns(e.Name) {
			names = append(names, e.Name)
		}
	}
	return names
}

// dueToRevoke returns the entries that are due, whether or not the provider can be asked.
func (o *Observation) dueToRevoke() []*Entry {
	var out []*Entry
	for _, e := range o.in(v1alpha1.StateRetiring) {
		if o.owns(e.Name) && e.Settled && e.ProvesIn == 0 && o.pastDue(e) {
			out = append(out, e)
		}
	}
	return out
}

// dueAtAccount returns the due entries that belong to the provider's account.
func (o *Observation) dueAtAccount() []string {
	var names []string
	for _, e := range o.dueToRevoke() {
		if o.Provider.Found && !o.otherAccount(e.Account) {
			names = append(names, e.Name)
		}
	}
	return names
}

// revocable returns the due entries that the provider can revoke now.
func (o *Observation) revocable() []string {
	if o.Provider.Unverified {
		return nil
	}
	return o.dueAtAccount()
}

// unpublished returns the names without the one that the Secret holds, which is not revoked.
// There are three exceptions: a gap that RevokeFirst accepts, a Secret that is being
// deleted, and the end of access, when the deletion of the Secret was tried first.
func (s *situation) unpublished(names []string) []string {
	if s.accessOver() || s.active == nil && !s.Token.GapSince.IsZero() {
		return names
	}
	var out []string
	for _, name := range names {
		if !s.holds(name) || s.Secret.Deleting {
			out = append(out, name)
		}
	}
	return out
}

// overlapEndRequested: the annotation apitoken.dev/end names a credential in its overlap. The
// end is recorded in the ledger, so removing the annotation does not undo it. The Active
// credential never ends like this: another one must replace it first.
func overlapEndRequested(s *situation) (Decision, bool) {
	e := s.entry(s.Token.End)
	if e == nil || !e.retiring() || !s.owns(e.Name) || s.pastDue(e) {
		return Decision{}, false
	}
	return s.steadily(EndOverlap{Name: e.Name}, "ending the overlap of a credential, as the annotation "+v1alpha1.AnnotationEnd+" requests"), true
}

// EndIgnored says why the annotation apitoken.dev/end has no effect; empty: it has an effect,
// or had it earlier. A value that does not name a credential of this ApiToken is not shown,
// because it can be any string.
func (o *Observation) EndIgnored() string {
	const allowed = ". Allowed is the name of a credential in status.credentials whose state is Retiring"
	field := "metadata.annotations[" + v1alpha1.AnnotationEnd + "]"
	e := o.entry(o.Token.End)
	switch {
	case o.Token.End == "", o.Token.Deleting:
		return ""
	case e == nil && o.WasReserved(o.Token.End), e != nil && e.retiring() && o.owns(e.Name):
		return ""
	case e == nil:
		return field + ": the value is not the name of a credential of this ApiToken" + allowed
	case e.State == v1alpha1.StateActive:
		return fmt.Sprintf("%s: credential %s is in use and cannot be ended now: raise spec.rotation.generation to replace it. It then ends "+
			"at once, without an overlap, unless the annotation is removed first%s",
			field, Called(&e.LedgerEntry), allowed)
	default:
		return fmt.Sprintf("%s: credential %s is %s and has no overlap to end%s", field, Called(&e.LedgerEntry), e.State, allowed)
	}
}

func abandonedAttemptSettled(s *situation) (Decision, bool) {
	names := s.unpublished(s.settledAttempts())
	if len(names) == 0 || !s.Secret.Live {
		return Decision{}, false
	}
	return s.steadily(BeginRevoke{Names: names}, "removing abandoned attempts"), true
}

func revocationDue(s *situation) (Decision, bool) {
	names := s.unpublished(s.revocable())
	if len(names) == 0 || !s.Secret.Live {
		return Decision{}, false
	}
	return s.steadily(Revoke{Names: names}, "revoking credentials that are no longer needed"), true
}

// NotRevoked begins the message of a revocation that cannot be done.
const NotRevoked = "a credential that should be gone could not be revoked: "

// preventRevocation are the reasons with which nothing can be revoked at the provider.
var preventRevocation = map[string]bool{
	v1alpha1.ReasonForeignCredential: true, v1alpha1.ReasonProviderAccountChanged: true, v1alpha1.ReasonEndpointUnverified: true,
}

// HoldsRevocation reports whether a decision prevents a due revocation until a user changes
// something.
func HoldsRevocation(o *Observation, d Decision) bool {
	return d.State == Stalled && preventRevocation[d.Reason] && slices.ContainsFunc(o.in(v1alpha1.StateRetiring), o.pastDue)
}

// revocationAtUnverifiedEndpoint says why a due credential is not revoked.
func revocationAtUnverifiedEndpoint(s *situation) (Decision, bool) {
	if len(s.dueAtAccount()) == 0 {
		return Decision{}, false
	}
	d, ok := s.unverifiedEndpoint()
	d.After = soonest(d.After, s.nextCheck())
	return d, ok
}

// revocationWithoutProvider says which due credential stays live because its provider does
// not exist, even while the credential in use works.
func revocationWithoutProvider(s *situation) (Decision, bool) {
	due := s.dueToRevoke()
	if s.Provider.Found || len(due) == 0 {
		return Decision{}, false
	}
	ref := s.Token.Spec.ProviderRef
	return stalled(v1alpha1.ReasonRevocationFailed, fmt.Sprintf(
		"%sspec.providerRef: %s %q does not exist, and only it can revoke credential %s: create it again with the same settings",
		NotRevoked, ref.Kind, ref.Name, Called(&due[0].LedgerEntry)), s.nextCheck()), true
}
