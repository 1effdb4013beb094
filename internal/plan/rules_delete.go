package plan

import (
	"fmt"
	"time"

	"apitoken.dev/operator/api/v1alpha1"
)

// finalizerRemoved: only a finalizer of another controller keeps the ApiToken.
func finalizerRemoved(s *situation) (Decision, bool) {
	if !s.Token.Deleting || s.Token.HasFinalizer {
		return Decision{}, false
	}
	return Decision{Action: Wait{}, Reason: v1alpha1.ReasonDeleting}, true
}

func deletedWithRetain(s *situation) (Decision, bool) {
	if !s.Token.Deleting || s.Token.Spec.DeletionPolicy != v1alpha1.DeletionRetain {
		return Decision{}, false
	}
	return whileDeleting(Release{}, "the Secret and its credential are kept"), true
}

// nothingIssued: the ledger is empty. If credentials were issued earlier, each entry was
// dropped after its credential was seen to be gone. If the status can be lost, a provider
// that is ready is asked for credentials of this ApiToken.
func nothingIssued(s *situation) (Decision, bool) {
	if !s.Token.Deleting || len(s.Ledger) > 0 {
		return Decision{}, false
	}
	if s.Token.Revision > 0 {
		return whileDeleting(RemoveFinalizer{}, "nothing is left to revoke"), !s.Provider.Found
	}
	if !s.Secret.Live {
		return whileDeleting(ReadSecret{}, "checking whether the Secret holds a credential"), true
	}
	if s.restorable() || s.Provider.Found && s.Provider.Ready && s.Provider.Admitted {
		return Decision{}, false
	}
	return whileDeleting(RemoveFinalizer{}, "nothing was ever issued"), true
}

// revocationImpossible: the credentials cannot be revoked until a user changes something.
func revocationImpossible(s *situation) (Decision, bool) {
	if !s.Token.Deleting {
		return Decision{}, false
	}
	way := "set spec.deletionPolicy: Retain to delete the ApiToken without revoking"
	if !s.Provider.Found {
		return stalled(v1alpha1.ReasonProviderNotFound, fmt.Sprintf(
			"%s %q does not exist, so the credentials cannot be revoked: create it again, or %s",
			s.Token.Spec.ProviderRef.Kind, s.Token.Spec.ProviderRef.Name, way), Recheck), true
	}
	if e := s.foreignEntry(); e != nil {
		return stalled(v1alpha1.ReasonForeignCredential, foreignEntryMessage(e)+", or "+way, Recheck), true
	}
	if e := s.entryOfOtherAccount(); e != nil {
		return stalled(v1alpha1.ReasonProviderAccountChanged, accountChangedMessage(s, e)+", or "+way, Recheck), true
	}
	if d, ok := s.unverifiedEndpoint(); ok {
		d.Message += ", or " + way
		return d, true
	}
	return Decision{}, false
}

func tokenDeleted(s *situation) (Decision, bool) {
	if !s.Token.Deleting {
		return Decision{}, false
	}
	if wait := s.unsettledFor(); wait > 0 {
		d := whileDeleting(Purge{}, "revoking, and waiting until requests of unfinished attempts can no longer take effect")
		d.After = wait
		return d, true
	}
	return whileDeleting(Purge{Settled: true}, "revoking every credential"), true
}

// unsettledFor is how long until every entry is settled.
func (o *Observation) unsettledFor() time.Duration {
	var wait time.Duration
	for i := range o.Ledger {
		if e := &o.Ledger[i]; !e.Settled {
			wait = max(wait, e.SettlesIn, time.Second)
		}
	}
	return wait
}
