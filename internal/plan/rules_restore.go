package plan

import (
	"slices"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/credname"
)

// statusLost: the status is empty, and the Secret names a credential of this ApiToken. The
// provider is asked even if it no longer admits the namespace or is being deleted, so that
// a live credential is found and can be revoked.
func statusLost(s *situation) (Decision, bool) {
	if !s.restorable() || s.Restored != nil && !s.outdated(s.Restored) {
		return Decision{}, false
	}
	if !s.Provider.Found || !s.Provider.Ready || s.entryOfOtherAccount() != nil {
		return Decision{}, false
	}
	return progressing(FindRestored{Name: s.Secret.Credential}, v1alpha1.ReasonResolving,
		"the Secret holds a credential that is in no status; asking the provider about it"), true
}

// outdated reports whether a remembered answer is requested again, because the next step
// needs a current one.
func (s *situation) outdated(answer *Restored) bool {
	return answer.Remembered && (s.canIssue() || s.accessOver() && !s.Secret.Deleting)
}

func restoredCredentialLive(s *situation) (Decision, bool) {
	if !s.restorable() || s.Restored == nil || !s.Restored.Live {
		return Decision{}, false
	}
	return progressing(AdoptRestored{Name: s.Secret.Credential, Terms: s.restoredTerms()}, v1alpha1.ReasonResolving,
		"the credential in the Secret is live and is added to the ledger"), true
}

// statusOutdated: the status is older than the Secret, because it was restored from a
// backup. The credential in the Secret is added to the ledger, so that it is revoked once
// another one has replaced it. This needs no provider: a user can write any name into the
// Secret, and the provider has no credential of such a name. The Secret grants no access to
// a provider that does not admit the namespace, and an entry of another account would count
// for every ApiToken of this account.
func statusOutdated(s *situation) (Decision, bool) {
	if !s.secretNewer() || s.Token.Deleting || len(s.Ledger) >= MaxLedger {
		return Decision{}, false
	}
	if !s.Provider.Admitted && len(s.Ledger) == 0 || s.otherAccount(s.Secret.Facts.Account) {
		return Decision{}, false
	}
	t := s.newerTerms()
	retireAt := s.Now.Add(Overlap(&s.Token.Spec, t.ExpiresAt.Sub(s.Now)))
	return progressing(AdoptRetiring{Name: s.Secret.Credential, RetireAt: retireAt, Terms: t}, v1alpha1.ReasonResolving,
		"the status is older than the Secret: the credential in it is added to the ledger, replaced and then revoked"), true
}

// secretNewer reports whether the Secret names a credential that was issued for this
// ApiToken in this cluster after the status was written.
func (o *Observation) secretNewer() bool {
	later := o.Secret.Facts.Revision > o.Token.Revision || slices.ContainsFunc(o.Ledger, o.sameRevision)
	return !o.restorable() && o.claims() && later && o.entry(o.Secret.Credential) == nil
}

// sameRevision reports whether an entry is an attempt of the same revision as the credential
// in the Secret. The provider rejected that attempt after the backup of the status, and the
// next attempt got its revision.
func (o *Observation) sameRevision(e Entry) bool {
	if e.State != v1alpha1.StateMinting && e.State != v1alpha1.StateAbandoned {
		return false
	}
	name, err := credname.Parse(e.Name)
	return err == nil && name.Revision == o.Secret.Facts.Revision
}
