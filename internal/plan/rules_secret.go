package plan

import (
	"fmt"
	"slices"
	"strconv"

	"apitoken.dev/operator/api/v1alpha1"
)

// outdatedParts returns the parts of the Secret that are outdated and may be written now.
// The Secret holds the credential of e.
//
// The Secret must not promise more access than its credential has: keys that come from the
// declaration wait until the credential was issued for it, and keys that come from the
// provider's settings until these are verified.
func (s *situation) outdatedParts(e *Entry) SyncSecret {
	secret, verified := &s.Secret, s.Provider.Verified
	return SyncSecret{
		Metadata:    !secret.MetadataCurrent,
		Settings:    !secret.SettingsCurrent && verified,
		Declaration: !secret.DeclarationCurrent && verified && s.issuedFor(e),
	}
}

// issuedFor reports whether a credential is known to grant what is declared.
func (s *situation) issuedFor(e *Entry) bool {
	return e.Updating == "" && e.Fingerprint == s.declared()
}

// maintained returns the Active entry if the Secret holds its credential unchanged and is
// kept up to date, or nil.
func (s *situation) maintained() *Entry {
	e, secret := s.active, &s.Secret
	if e == nil || s.Token.Deleting || s.pastHardEnd() || !s.holds(e.Name) || !secret.Intact || secret.Deleting {
		return nil
	}
	return e
}

// secretOutdated: a part of the Secret is outdated, or another client wrote to the Secret
// and left it correct, which is recorded. While an attempt is in progress nothing is
// written: the publish of that attempt would conflict.
func secretOutdated(s *situation) (Decision, bool) {
	e, secret := s.maintained(), &s.Secret
	if e == nil {
		return Decision{}, false
	}
	if _, waits := s.found(RuleUnderWay); waits {
		return Decision{}, false
	}
	parts := s.outdatedParts(e)
	waits := parts.Metadata && secret.Contest.Wait > 0
	if waits {
		parts.Metadata = false
	}
	nothing := parts == (SyncSecret{})
	switch {
	case nothing && (secret.Trusted || waits || !secret.Live):
		return Decision{}, false
	case !secret.Live:
		return s.steadily(ReadSecret{}, "reading the Secret"), true
	default:
		return s.steadily(parts, "updating the Secret"), true
	}
}

// contest returns who keeps reverting the Secret's metadata while the operator waits before
// it writes them again.
func (s *situation) contest() (Contest, bool) {
	secret := &s.Secret
	return secret.Contest, s.maintained() != nil && secret.Live && !secret.MetadataCurrent && secret.Contest.Wait > 0
}

// secretContested: another client reverts the metadata each time. Without a wait the two
// would write the Secret forever.
func secretContested(s *situation) (Decision, bool) {
	c, ok := s.contest()
	if !ok {
		return Decision{}, false
	}
	by := "another client"
	if c.By != "" {
		by = "field manager " + strconv.Quote(c.By)
	}
	return waiting(v1alpha1.ReasonSecretContested, fmt.Sprintf(
		"%s of Secret %q is reverted by %s each time the operator writes it: remove it from spec.secret, or stop the other client from writing it. The operator waits %s between two writes",
		c.What, s.Secret.Name, by, c.Pause), s.nextCheck()), true
}

// AwaitsWrite reports whether the Secret must be written: a credential is needed, an
// attempt is not fenced yet, or a part of the Secret is outdated.
func AwaitsWrite(o *Observation) bool {
	s := assess(o)
	if s.wanted() || slices.ContainsFunc(s.in(v1alpha1.StateMinting), func(e *Entry) bool { return !e.Settled }) {
		return true
	}
	e := s.maintained()
	return e == nil || s.outdatedParts(e) != (SyncSecret{})
}
