package plan

import (
	"fmt"
	"slices"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/credname"
)

func addFinalizer(o *Observation) (Decision, bool) {
	return progressing(AddFinalizer{}, v1alpha1.ReasonIssuing, "preparing to issue the first credential"), !o.Token.HasFinalizer
}

// readSecret asks for a live read when the cache is not as last checked, or
// when something is about to be decided that must not rest on a cache: an
// attempt to resolve, a credential to issue, one to revoke, or the hard end.
func readSecret(o *Observation) (Decision, bool) {
	if o.Secret.Live {
		return Decision{}, false
	}
	resolve := slices.ContainsFunc(o.Ledger, Entry.unresolved)
	doomed := len(o.revocable()) > 0 || len(o.beginRevocable()) > 0
	ending := o.over() && (o.Secret.Exists || o.active() != nil)
	if o.Secret.Trusted && !resolve && !doomed && !ending && !o.wantsIssue() {
		return Decision{}, false
	}
	return progressing(ReadSecret{}, v1alpha1.ReasonPublishing, "looking at the Secret"), true
}

func (o *Observation) wantsIssue() bool {
	_, _, wants := o.need()
	_, blocked := o.blocked()
	return wants && !blocked
}

// adopt: "A Secret naming a Minting or Abandoned entry is adopted." It needs no
// provider: the id is asked for later.
func adopt(o *Observation) (Decision, bool) {
	if !o.Secret.Live {
		return Decision{}, false
	}
	e := o.entry(o.Secret.Credential)
	if e == nil || !o.owns(e.Name) || !o.holds(e.Name) || (e.State != v1alpha1.StateMinting && e.State != v1alpha1.StateAbandoned) {
		return Decision{}, false
	}
	return progressing(Adopt{Name: e.Name, Terms: o.reservedTerms(e)}, v1alpha1.ReasonResolving,
		fmt.Sprintf("the Secret holds credential %s of an earlier attempt", e.Name)), true
}

// withdraw: the provider rejected the attempt, and the write that records it conflicted.
// An attempt that another process has already abandoned stays Abandoned.
func withdraw(o *Observation) (Decision, bool) {
	for _, e := range o.in(v1alpha1.StateMinting) {
		if e.Rejected {
			return progressing(Withdraw{Name: e.Name}, v1alpha1.ReasonResolving,
				fmt.Sprintf("the provider rejected attempt %s: nothing was issued", e.Name)), true
		}
	}
	return Decision{}, false
}

// abandon: a Minting entry that was read is never minted. One of another process is
// left alone while this process waits for it. A settled attempt comes first, because it
// needs no write that could be refused.
func abandon(o *Observation) (Decision, bool) {
	if !o.Secret.Live {
		return Decision{}, false
	}
	var next *Entry
	for _, e := range o.in(v1alpha1.StateMinting) {
		if o.waitsFor(e) == 0 && (next == nil || e.Settled && !next.Settled) {
			next = e
		}
	}
	if next == nil {
		return Decision{}, false
	}
	return progressing(Abandon{Name: next.Name, Fence: o.fences(next)}, v1alpha1.ReasonResolving, unresolvedMessage(next)), true
}

func unresolvedMessage(e *Entry) string {
	return fmt.Sprintf("attempt %s ended without a known result", e.Name)
}

// fences reports whether the Secret is fenced when an attempt is given up. A settled
// attempt can no longer be published, so it needs no fence. One that another process may
// still publish gets none either: two processes that fence each other's attempts would
// keep each other from publishing. Without a fence the first publish makes the others
// conflict, and what it published is adopted.
func (o *Observation) fences(e *Entry) bool {
	return o.Secret.Exists && !o.Secret.Foreign && !e.Settled && o.theirs(e) == 0
}

// restorable: the status was lost (nothing was ever reserved under it), and the
// Secret names a credential made for this ApiToken in this cluster.
func (o *Observation) restorable() bool {
	return o.Token.Revision == 0 && len(o.Ledger) == 0 && o.claims()
}

func findRestored(o *Observation) (Decision, bool) {
	if !o.restorable() || o.Restored != nil && !o.outdated(o.Restored) {
		return Decision{}, false
	}
	// Neither a lost admission nor a provider that is going stops this: what is live
	// has to be known to be ended.
	if !o.Provider.Found || !o.Provider.Ready || o.accountChanged() != nil {
		return Decision{}, false
	}
	return progressing(FindRestored{Name: o.Secret.Credential}, v1alpha1.ReasonResolving,
		"the Secret holds a credential that no status knows; asking the provider for it"), true
}

// outdated reports whether an answer that was remembered is asked for again,
// because something would be done that only a new one allows.
func (o *Observation) outdated(answer *Restored) bool {
	return answer.Remembered && (o.wantsIssue() || o.over() && !o.Secret.Deleting)
}

func adoptRestored(o *Observation) (Decision, bool) {
	if !o.restorable() || o.Restored == nil || !o.Restored.Live {
		return Decision{}, false
	}
	return progressing(AdoptRestored{Name: o.Secret.Credential, Terms: o.restoredTerms()}, v1alpha1.ReasonResolving,
		"the credential in the Secret is live and is taken into the ledger"), true
}

// newer: the status is older than the Secret, which names a credential that was
// issued after it for this ApiToken in this cluster.
func (o *Observation) newer() bool {
	later := o.Secret.Facts.Revision > o.Token.Revision || slices.ContainsFunc(o.Ledger, o.precedes)
	return !o.restorable() && o.claims() && later && o.entry(o.Secret.Credential) == nil
}

// precedes reports whether an entry is an attempt of the same revision as the credential
// that the Secret names. The provider rejected that attempt after the status was backed
// up, and the next attempt got its revision.
func (o *Observation) precedes(e Entry) bool {
	if e.State != v1alpha1.StateMinting && e.State != v1alpha1.StateAbandoned {
		return false
	}
	name, err := credname.Parse(e.Name)
	return err == nil && name.Revision == o.Secret.Facts.Revision
}

// adoptNewer takes that credential into the ledger, so that it is revoked once another
// one has replaced it. It needs no provider: of a name that a user made up, the provider
// shows nothing. The Secret gives no access to a provider that does not admit the
// namespace, and an entry of another account would count against all that share this one.
func adoptNewer(o *Observation) (Decision, bool) {
	if !o.newer() || o.Token.Deleting || len(o.Ledger) >= MaxLedger {
		return Decision{}, false
	}
	if !o.Provider.Admitted && len(o.Ledger) == 0 || o.otherAccount(o.Secret.Facts.Account) {
		return Decision{}, false
	}
	t := o.newerTerms()
	retireAt := o.Now.Add(Overlap(&o.Token.Spec, t.ExpiresAt.Sub(o.Now)))
	return progressing(AdoptRetiring{Name: o.Secret.Credential, RetireAt: retireAt, Terms: t}, v1alpha1.ReasonResolving,
		"the status is older than the Secret: the credential in it is taken into the ledger, replaced and then revoked"), true
}

func progressing(a Action, reason, message string) Decision {
	return Decision{Action: a, State: Progressing, Reason: reason, Message: message}
}
