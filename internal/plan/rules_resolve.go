package plan

import (
	"fmt"
	"slices"

	"apitoken.dev/operator/api/v1alpha1"
)

func finalizerMissing(s *situation) (Decision, bool) {
	return progressing(AddFinalizer{}, v1alpha1.ReasonIssuing, "preparing to issue the first credential"), !s.Token.HasFinalizer
}

// secretUnread: the Secret changed since it was last checked, or the next step must not
// rely on a cache: resolving an attempt, issuing or revoking a credential, or ending access.
func secretUnread(s *situation) (Decision, bool) {
	if s.Secret.Live {
		return Decision{}, false
	}
	resolve := slices.ContainsFunc(s.Ledger, Entry.needsSecret)
	revoke := len(s.revocable()) > 0 || len(s.settledAttempts()) > 0
	end := s.accessOver() && (s.Secret.Exists || s.active != nil)
	if s.Secret.Trusted && !resolve && !revoke && !end && !s.canIssue() {
		return Decision{}, false
	}
	return progressing(ReadSecret{}, v1alpha1.ReasonPublishing, "reading the Secret"), true
}

// attemptPublished: the Secret names a Minting or Abandoned entry. Adopting it needs no
// provider; its id is requested later.
func attemptPublished(s *situation) (Decision, bool) {
	if !s.Secret.Live {
		return Decision{}, false
	}
	e := s.entry(s.Secret.Credential)
	if e == nil || !s.owns(e.Name) || !s.holds(e.Name) || (e.State != v1alpha1.StateMinting && e.State != v1alpha1.StateAbandoned) {
		return Decision{}, false
	}
	return progressing(Adopt{Name: e.Name, Terms: s.reservedTerms(e)}, v1alpha1.ReasonResolving,
		fmt.Sprintf("the Secret holds credential %s of an earlier attempt", e.Name)), true
}

// attemptRejected: the provider rejected the attempt, and the status write that records it
// had a conflict. An attempt that another process has abandoned stays Abandoned.
func attemptRejected(s *situation) (Decision, bool) {
	for _, e := range s.in(v1alpha1.StateMinting) {
		if e.Rejected {
			return progressing(Withdraw{Name: e.Name}, v1alpha1.ReasonResolving,
				fmt.Sprintf("the provider rejected attempt %s: nothing was issued", e.Name)), true
		}
	}
	return Decision{}, false
}

// attemptUnknown: an attempt that was read has an unknown outcome, and is never minted. It
// is abandoned, unless this process waits for another one to finish it. Settled attempts
// come first, because they need no write that could be rejected.
func attemptUnknown(s *situation) (Decision, bool) {
	if !s.Secret.Live {
		return Decision{}, false
	}
	var next *Entry
	for _, e := range s.in(v1alpha1.StateMinting) {
		if s.waitsFor(e) == 0 && (next == nil || e.Settled && !next.Settled) {
			next = e
		}
	}
	if next == nil {
		return Decision{}, false
	}
	return progressing(Abandon{Name: next.Name, Fence: s.fences(next)}, v1alpha1.ReasonResolving, unresolvedMessage(next)), true
}

// fences reports whether the Secret is fenced when an attempt is abandoned. A settled attempt
// can no longer be published, so it needs no fence. An attempt that another process can
// still publish gets none either: two processes that fence each other's attempts would never
// publish. Without a fence, the first publish makes the others conflict, and its credential
// is adopted.
func (o *Observation) fences(e *Entry) bool {
	return o.Secret.Exists && !o.Secret.Foreign && !e.Settled && o.otherProcessTime(e) == 0
}
