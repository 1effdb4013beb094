package plan

import (
	"fmt"
	"slices"
	"time"

	"apitoken.dev/operator/api/v1alpha1"
)

// beginRevocable are the attempts given up that can no longer take effect.
func (o *Observation) beginRevocable() []string {
	var names []string
	for _, e := range o.in(v1alpha1.StateAbandoned) {
		if e.Settled && o.owns(e.Name) {
			names = append(names, e.Name)
		}
	}
	return names
}

// revocable are the Retiring credentials that are due, at the hard end all of
// them, and belong to the account at hand.
func (o *Observation) revocable() []string {
	var names []string
	for _, e := range o.dueToRevoke() {
		if o.Provider.Found && !o.Provider.Unverified && !o.otherAccount(e.Account) {
			names = append(names, e.Name)
		}
	}
	return names
}

// dueToRevoke returns the entries whose time is up, whether or not the provider can be asked.
func (o *Observation) dueToRevoke() []*Entry {
	var out []*Entry
	for _, e := range o.in(v1alpha1.StateRetiring) {
		if o.owns(e.Name) && e.Settled && e.ProvesIn == 0 && o.pastDue(e) {
			out = append(out, e)
		}
	}
	return out
}

// pastDue reports whether the overlap of a Retiring entry is over.
func (o *Observation) pastDue(e *Entry) bool {
	return o.ended() || e.RetireAt == nil || !o.Now.Before(e.RetireAt.Time)
}

// unpublished drops the name that the Secret holds: it is never revoked, except
// in the gap that RevokeFirst accepts, when the Secret is being deleted, and when
// access is over: then its deletion was tried first (end-secret).
func (o *Observation) unpublished(names []string) []string {
	if o.over() || o.active() == nil && !o.Token.GapSince.IsZero() {
		return names
	}
	var out []string
	for _, name := range names {
		if !o.holds(name) || o.Secret.Deleting {
			out = append(out, name)
		}
	}
	return out
}

// endSecret deletes the Secret first, so that it holds no revoked credential for
// longer than necessary. A deletion that fails holds nothing up: it is lenient.
func endSecret(o *Observation) (Decision, bool) {
	if !o.over() || !o.Secret.Live || !o.Secret.Exists || o.Secret.Foreign || o.Secret.Deleting {
		return Decision{}, false
	}
	if o.restorable() && o.Restored == nil {
		return Decision{}, false // nothing else knows of the credential it names
	}
	return o.ending(DeleteSecret{}), true
}

func endActive(o *Observation) (Decision, bool) {
	e := o.active()
	if !o.over() || e == nil || !o.Secret.Live {
		return Decision{}, false
	}
	return o.ending(Retire{Name: e.Name, Expired: true}), true
}

// ending is a step of taking access away at a hard end or an expiry. After an
// expiry the reason is what keeps another credential from being issued.
func (o *Observation) ending(a Action) Decision {
	if o.ended() {
		return Decision{Action: a, State: Stalled, Reason: v1alpha1.ReasonExpired, Message: endedMessage(o)}
	}
	d, _ := o.blocked()
	d.Action = a
	d.Message = "the credential has expired, so it is revoked and the Secret deleted, and no other can be issued now: " + d.Message
	return d
}

func ended(o *Observation) (Decision, bool) {
	if !o.ended() {
		return Decision{}, false
	}
	return stalled(v1alpha1.ReasonExpired, endedMessage(o), o.nextLook()), true
}

func endedMessage(o *Observation) string {
	return fmt.Sprintf("spec.expiresAt: %s has passed, so the credential is revoked and the Secret deleted: raise spec.expiresAt to get access again%s",
		o.hardEnd().Format(time.RFC3339), o.stillThere())
}

// stillThere says that the Secret outlives its credential because others hold it.
func (o *Observation) stillThere() string {
	if !o.Secret.Exists || o.Secret.Foreign || !o.Secret.Deleting {
		return ""
	}
	return fmt.Sprintf(". Secret %q is being deleted, and finalizers keep it (%s)", o.Secret.Name, o.Secret.HeldBy)
}

// endRequested ends the overlap of the credential that the annotation apitoken.dev/end
// names. It is recorded in the ledger, so taking the annotation away does not undo it.
// The Active credential is never ended like this: another one must replace it first.
func endRequested(o *Observation) (Decision, bool) {
	e := o.entry(o.Token.End)
	if e == nil || e.State != v1alpha1.StateRetiring || !o.owns(e.Name) || o.pastDue(e) {
		return Decision{}, false
	}
	return o.steadily(EndOverlap{Name: e.Name}, "ending the overlap of a credential, as the annotation "+v1alpha1.AnnotationEnd+" asks"), true
}

// EndIgnored says why the annotation apitoken.dev/end has no effect; empty: it has one, or
// it had one before. A value that is not a name of this ApiToken's credentials is not
// shown, because it can be anything.
func (o *Observation) EndIgnored(issuedBefore bool) string {
	const allowed = ". Allowed is the name of a credential in status.credentials whose state is Retiring"
	field := "metadata.annotations[" + v1alpha1.AnnotationEnd + "]"
	e := o.entry(o.Token.End)
	switch {
	case o.Token.End == "", o.Token.Deleting:
		return ""
	case e == nil && issuedBefore, e != nil && e.State == v1alpha1.StateRetiring && o.owns(e.Name):
		return ""
	case e == nil:
		return field + ": the value is not the name of a credential of this ApiToken" + allowed
	case e.State == v1alpha1.StateActive:
		return fmt.Sprintf("%s: credential %s is in use, and is not ended now: raise spec.rotation.generation to replace it. It then ends "+
			"at once, without an overlap, unless the annotation is removed first%s",
			field, Called(&e.LedgerEntry), allowed)
	default:
		return fmt.Sprintf("%s: credential %s is %s, and is not ended%s", field, Called(&e.LedgerEntry), e.State, allowed)
	}
}

func beginRevoke(o *Observation) (Decision, bool) {
	names := o.unpublished(o.beginRevocable())
	if len(names) == 0 || !o.Secret.Live {
		return Decision{}, false
	}
	return o.steadily(BeginRevoke{Names: names}, "clearing up attempts that were given up"), true
}

func revoke(o *Observation) (Decision, bool) {
	names := o.unpublished(o.revocable())
	if len(names) == 0 || !o.Secret.Live {
		return Decision{}, false
	}
	return o.steadily(Revoke{Names: names}, "revoking credentials that are no longer needed"), true
}

func foreignCredentialWait(o *Observation) (Decision, bool) {
	d, blocked := foreignCredential(o)
	d.After = soonest(d.After, o.nextLook())
	return d, blocked
}

func accountChangedWait(o *Observation) (Decision, bool) {
	d, blocked := accountBlocked(o)
	d.After = soonest(d.After, o.nextLook())
	return d, blocked
}

// NotRevoked begins the message of a revocation that cannot be done.
const NotRevoked = "a credential that should be gone could not be revoked: "

// holding are the reasons of waits during which nothing can be revoked at the provider.
var holding = map[string]bool{
	v1alpha1.ReasonForeignCredential: true, v1alpha1.ReasonProviderAccountChanged: true, v1alpha1.ReasonEndpointUnverified: true,
}

// HoldsRevocation reports whether a decision is to wait, for longer than a call takes,
// while a credential is due to be revoked.
func HoldsRevocation(o *Observation, d Decision) bool {
	return d.State == Stalled && holding[d.Reason] && slices.ContainsFunc(o.in(v1alpha1.StateRetiring), o.pastDue)
}

// providerMissingWait says what stays live because its provider is gone, also while the
// credential in use works.
func providerMissingWait(o *Observation) (Decision, bool) {
	due := o.dueToRevoke()
	if o.Provider.Found || len(due) == 0 {
		return Decision{}, false
	}
	ref := o.Token.Spec.ProviderRef
	return stalled(v1alpha1.ReasonRevocationFailed, fmt.Sprintf(
		"%sspec.providerRef: %s %q does not exist, and only it can revoke credential %s: create it again with the same settings",
		NotRevoked, ref.Kind, ref.Name, Called(&due[0].LedgerEntry)), o.nextLook()), true
}

func blockedWait(o *Observation) (Decision, bool) {
	if _, _, wanted := o.need(); !wanted {
		return Decision{}, false
	}
	d, blocked := o.blocked()
	if !blocked {
		return Decision{}, false
	}
	d = o.withLostAccess(d)
	d.After = soonest(d.After, o.nextLook())
	return d, true
}

func steady(o *Observation) (Decision, bool) {
	d := o.steadily(Wait{}, "")
	d.After = soonest(d.After, o.nextLook())
	return d, true
}

// steadily is a decision that does not change how the ApiToken is doing: if it
// is blocked or has no access, it stays so while old credentials are cleared away.
func (o *Observation) steadily(a Action, message string) Decision {
	d := Decision{State: Steady, Reason: v1alpha1.ReasonReady, Message: message}
	if drift, drifted := o.Drift(); drifted && o.active().Drift.NoAccess() {
		d = stalled(drift.Reason, drift.Message, 0)
	}
	if o.ended() {
		d = stalled(v1alpha1.ReasonExpired, endedMessage(o), 0)
	}
	if b, waits := attemptUnderWay(o); waits {
		d = b
	} else if _, _, wanted := o.need(); wanted {
		if b, blocked := o.blocked(); blocked {
			d = o.withLostAccess(b)
		}
	} else if b, obstacle := o.NotReplaced(); obstacle {
		d = o.withLostAccess(b)
	}
	d.Action = a
	return d
}

// nextLook is how long until something is due that no event announces.
func (o *Observation) nextLook() time.Duration {
	var next time.Duration
	for i := range o.Ledger {
		next = soonest(next, o.entryDue(&o.Ledger[i]))
	}
	for _, end := range []time.Time{o.hardEnd(), o.expiryToEnforce()} {
		if !end.IsZero() && o.Now.Before(end) && !o.ended() {
			next = soonest(next, o.until(end))
		}
	}
	if o.restorable() && o.Restored != nil {
		next = soonest(next, o.Restored.AsksIn)
	}
	if _, ok := o.contested(); ok {
		next = soonest(next, o.Secret.Contest.Wait)
	}
	return next
}

// entryDue is how long until something is due for one entry; 0: never.
func (o *Observation) entryDue(e *Entry) time.Duration {
	switch e.State {
	case v1alpha1.StateAbandoned, v1alpha1.StateRetiring:
		switch {
		case !e.Settled:
			return max(e.SettlesIn, time.Second)
		case e.RetireAt != nil && o.Now.Before(e.RetireAt.Time):
			return o.until(e.RetireAt.Time)
		case e.ProvesIn > 0:
			return e.ProvesIn
		default:
			return Recheck
		}
	case v1alpha1.StateActive:
		if o.ended() {
			return 0
		}
		return soonest(o.waitsFor(e), soonest(soonest(e.FindsIn, e.ConfirmsIn), o.activeDue(e)))
	case v1alpha1.StateMinting:
		return o.waitsFor(e)
	}
	return 0
}

// activeDue is how long until the schedule has something to do for the credential
// in use; 0: never.
func (o *Observation) activeDue(e *Entry) time.Duration {
	if e.ExpiresAt == nil {
		return 0
	}
	if due := RotationDue(o.Token.UID, &o.Token.Spec, &e.LedgerEntry); o.Now.Before(due) {
		return o.until(due)
	}
	if o.Now.Before(e.ExpiresAt.Time) {
		return o.until(e.ExpiresAt.Time)
	}
	return 0
}

func (o *Observation) until(t time.Time) time.Duration { return max(t.Sub(o.Now), time.Millisecond) }

// soonest is the smaller of two delays, where 0 means never.
func soonest(a, b time.Duration) time.Duration {
	if a == 0 || (b != 0 && b < a) {
		return b
	}
	return a
}
