package plan

import (
	"fmt"
	"slices"
	"strconv"

	"apitoken.dev/operator/api/v1alpha1"
)

// behind are the parts of the Secret that may be brought up to date now. It holds
// the credential of e.
//
// The Secret never says more than its key may do: keys that follow from the declaration
// wait until the credential was issued for it, and keys that follow from the provider's
// settings until these are verified.
func (o *Observation) behind(e *Entry) SyncSecret {
	s, verified := &o.Secret, o.Provider.Verified
	return SyncSecret{
		Metadata:    !s.MetadataCurrent,
		Settings:    !s.SettingsCurrent && verified,
		Declaration: !s.DeclarationCurrent && verified && o.issuedFor(e),
	}
}

// issuedFor reports whether a credential is known to give what is declared.
func (o *Observation) issuedFor(e *Entry) bool {
	return e.Updating == "" && e.Fingerprint == Fingerprint(&o.Token.Spec)
}

// kept returns the Active entry if the Secret holds its credential, unchanged, and is
// to be kept up to date; nil: it does not.
func (o *Observation) kept() *Entry {
	e, s := o.active(), &o.Secret
	if e == nil || o.Token.Deleting || o.ended() || !o.holds(e.Name) || !s.Intact || s.Deleting {
		return nil
	}
	return e
}

// syncSecret brings the Secret up to date, or records that a Secret that changed is
// still right.
func syncSecret(o *Observation) (Decision, bool) {
	e, s := o.kept(), &o.Secret
	if e == nil {
		return Decision{}, false
	}
	if _, waits := attemptUnderWay(o); waits {
		return Decision{}, false // a write would make the publish of that attempt conflict
	}
	parts := o.behind(e)
	waits := parts.Metadata && s.Contest.Wait > 0
	if waits {
		parts.Metadata = false
	}
	nothing := parts == (SyncSecret{})
	switch {
	case nothing && (s.Trusted || waits || !s.Live):
		return Decision{}, false
	case !s.Live:
		return o.steadily(ReadSecret{}, "looking at the Secret"), true
	default:
		return o.steadily(parts, "bringing the Secret up to date"), true
	}
}

// contested returns who keeps changing the Secret's metadata back while the operator
// waits before it writes them again.
func (o *Observation) contested() (Contest, bool) {
	s := &o.Secret
	return s.Contest, o.kept() != nil && s.Live && !s.MetadataCurrent && s.Contest.Wait > 0
}

// contestedWait: two controllers that each write what they want, at once, would do
// so for ever.
func contestedWait(o *Observation) (Decision, bool) {
	c, ok := o.contested()
	if !ok {
		return Decision{}, false
	}
	by := "another client"
	if c.By != "" {
		by = "field manager " + strconv.Quote(c.By)
	}
	return Decision{Action: Wait{}, State: Progressing, Reason: v1alpha1.ReasonSecretContested, After: o.nextLook(), Message: fmt.Sprintf(
		"%s of Secret %q is changed back by %s each time the operator writes it: take it out of spec.secret, or stop the other from writing it. The operator waits %s between two writes",
		c.What, o.Secret.Name, by, c.Pause)}, true
}

// AwaitsWrite reports whether the Secret has to be written: a credential is wanted, an
// attempt is not fenced yet, or what the Secret carries is not as declared.
func AwaitsWrite(o *Observation) bool {
	if _, _, wanted := o.need(); wanted {
		return true
	}
	if slices.ContainsFunc(o.in(v1alpha1.StateMinting), func(e *Entry) bool { return !e.Settled }) {
		return true
	}
	e := o.kept()
	return e == nil || o.behind(e) != (SyncSecret{})
}
