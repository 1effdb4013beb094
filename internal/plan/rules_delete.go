package plan

import (
	"fmt"
	"time"

	"apitoken.dev/operator/api/v1alpha1"
)

func gone(o *Observation) (Decision, bool) {
	if !o.Token.Deleting || o.Token.HasFinalizer {
		return Decision{}, false
	}
	return Decision{Action: Wait{}, Reason: v1alpha1.ReasonDeleting}, true
}

func retain(o *Observation) (Decision, bool) {
	if !o.Token.Deleting || o.Token.Spec.DeletionPolicy != v1alpha1.DeletionRetain {
		return Decision{}, false
	}
	return deleting(Release{}, "the Secret and its credential are kept"), true
}

func neverIssued(o *Observation) (Decision, bool) {
	if !o.Token.Deleting || len(o.Ledger) > 0 {
		return Decision{}, false
	}
	if o.Token.Revision > 0 {
		// Every entry was dropped after it was seen gone; without a provider there is
		// nobody to ask again.
		return deleting(RemoveFinalizer{}, "nothing is left to revoke"), !o.Provider.Found
	}
	if !o.Secret.Live {
		return deleting(ReadSecret{}, "checking whether the Secret holds a credential"), true
	}
	if o.restorable() || o.Provider.Found && o.Provider.Ready && o.Provider.Admitted {
		return Decision{}, false // asking the provider rules out what a lost status forgot
	}
	return deleting(RemoveFinalizer{}, "nothing was ever issued"), true
}

func noWayToRevoke(o *Observation) (Decision, bool) {
	if !o.Token.Deleting {
		return Decision{}, false
	}
	way := "set spec.deletionPolicy: Retain to let the ApiToken go without revoking"
	if !o.Provider.Found {
		return stalled(v1alpha1.ReasonProviderNotFound, fmt.Sprintf(
			"%s %q does not exist, so the credentials cannot be revoked: create it again, or %s",
			o.Token.Spec.ProviderRef.Kind, o.Token.Spec.ProviderRef.Name, way), Recheck), true
	}
	if e := o.foreign(); e != nil {
		return stalled(v1alpha1.ReasonForeignCredential, foreignMessage(e)+", or "+way, Recheck), true
	}
	if e := o.accountChanged(); e != nil {
		return stalled(v1alpha1.ReasonProviderAccountChanged, accountChangedMessage(o, e)+", or "+way, Recheck), true
	}
	if d, ok := o.endpointUnverified(); ok {
		d.Message += ", or " + way
		return d, true
	}
	return Decision{}, false
}

func purge(o *Observation) (Decision, bool) {
	if !o.Token.Deleting {
		return Decision{}, false
	}
	wait := unsettledFor(o)
	if wait > 0 {
		d := deleting(Purge{}, "revoking, and waiting until requests of unfinished attempts can no longer take effect")
		d.After = wait
		return d, true
	}
	return deleting(Purge{Settled: true}, "revoking every credential"), true
}

// unsettledFor is how long until every entry is settled.
func unsettledFor(o *Observation) time.Duration {
	var wait time.Duration
	for i := range o.Ledger {
		if e := &o.Ledger[i]; !e.Settled {
			wait = max(wait, e.SettlesIn, time.Second)
		}
	}
	return wait
}

func deleting(a Action, message string) Decision {
	return Decision{Action: a, State: Progressing, Reason: v1alpha1.ReasonDeleting, Message: message}
}

func stalled(reason, message string, after time.Duration) Decision {
	return Decision{Action: Wait{}, State: Stalled, Reason: reason, Message: message, After: after}
}

func foreignMessage(e *Entry) string {
	return fmt.Sprintf("status.credentials: %s was not made for this ApiToken in this cluster and is not revoked: start the operator with the --cluster-identity it had",
		e.Name)
}

func accountChangedMessage(o *Observation, e *Entry) string {
	return fmt.Sprintf("credential %s was issued by account %s, but provider %q now has the credentials of account %s: restore the old ones in its Secret",
		e.Name, e.Account, o.Token.Spec.ProviderRef.Name, o.Provider.Account)
}
