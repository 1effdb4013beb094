package plan

import (
	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/ledger"
)

// need is a reason to issue a credential.
type need struct {
	name  string
	check func(*situation) bool
	// reason for issuing; empty: the one that was recorded when the gap began.
	reason IssueReason
}

// needs in their order: the first that is found is the reason for issuing.
var needs = []need{
	{"handed-over", submitted, IssueHandedOver},                       // a user submitted a manual credential
	{"gap", gapOpen, ""},                                              // RevokeFirst gave up the previous credential
	{"no-credential", noCredential, IssueInitial},                     // none is in use
	{"credential-expired", credentialExpired, IssueScheduled},         // the one in use is past its expiry
	{"credential-missing", credentialMissing, IssueCredentialMissing}, // the provider no longer has it, and spec.drift is Repair
	{"spec-changed", specChanged, IssueSpecChanged},                   // it was issued for another declaration
	{"rotation-requested", rotationRequested, IssueRotationRequested}, // spec.rotation.generation was raised
	{"secret-lost", secretLost, IssueSecretLost},                      // the Secret does not hold it
	{"secret-changed", secretChanged, IssueSecretChanged},             // another client changed the data of the Secret
	{"rotation-due", rotationDueNow, IssueScheduled},                  // the schedule replaces it now
}

// Need names a reason to issue a credential, and the reason in the ledger for it; empty:
// the one that was recorded when the gap began.
type Need struct {
	Name   string
	Reason IssueReason
}

// Needs returns the needs in their order.
func Needs() []Need {
	out := make([]Need, 0, len(needs))
	for i := range needs {
		out = append(out, Need{needs[i].name, needs[i].reason})
	}
	return out
}

// needHandedOver is the need that a user's submission causes.
var needHandedOver = &needs[0]

// firstNeed returns the first need, apart from one; nil: no credential is needed.
func (s *situation) firstNeed(except *need) *need {
	if s.Token.Deleting || s.pastHardEnd() {
		return nil
	}
	for i := range needs {
		if n := &needs[i]; n != except && n.check(s) {
			return n
		}
	}
	return nil
}

// reasonFor returns why the credential is issued, and whether it counts against the mint
// budget: each one does, except a rotation that is free. The rotation that began with a
// gap was charged, or free, when the gap began: an empty budget must not prolong the gap.
func (n *need) reasonFor(s *situation) (reason IssueReason, charged bool) {
	if n.reason == "" {
		return s.gapReason(), false
	}
	return n.reason, !s.free(s.active)
}

// gapReason is why the gap began. An unknown reason counts as the schedule.
func (s *situation) gapReason() IssueReason {
	reason := IssueReason(s.Token.GapReason)
	if _, known := issueMessages[reason]; !known {
		return IssueScheduled
	}
	return reason
}

// submitted: a user submitted a manual credential that can be used.
func submitted(s *situation) bool { return s.handedOver() }

func gapOpen(s *situation) bool { return s.active == nil && !s.Token.GapSince.IsZero() }

func noCredential(s *situation) bool { return s.active == nil }

func credentialExpired(s *situation) bool { return expired(s.active, s.Now) }

// credentialMissing: the provider confirmed a short time ago that it has no such
// credential. Drift in the status can be old or restored, so it is not enough.
func credentialMissing(s *situation) bool {
	return s.repairable(s.active) && s.active.Confirmed
}

// specChanged: the credential was issued for another declaration, or a change in
// place has an unknown outcome.
func specChanged(s *situation) bool {
	return s.active.Fingerprint != s.declared() || s.active.Updating != ""
}

func rotationRequested(s *situation) bool {
	return s.Token.Spec.Rotation.Generation > s.active.RotationGeneration
}

func secretLost(s *situation) bool {
	return s.secretKnown() && (!s.holds(s.active.Name) || s.Secret.Deleting)
}

func secretChanged(s *situation) bool { return s.secretKnown() && !s.Secret.Intact }

func rotationDueNow(s *situation) bool { return s.due(s.active) }

// due reports whether the schedule replaces the credential now. An issue time far ahead of
// the clock counts as due: the credential would outlive its lifetime.
func (o *Observation) due(e *Entry) bool {
	if e.IssuedAt != nil && ledger.Ahead(e.IssuedAt.Time, o.Now, ledger.MaxPause) {
		return true
	}
	due := RotationDue(o.Token.UID, &o.Token.Spec, &e.LedgerEntry)
	return expired(e, o.Now) || !due.IsZero() && !o.Now.Before(due)
}

var issueMessages = map[IssueReason]string{
	IssueInitial:           "issuing a credential",
	IssueScheduled:         "rotating the credential before it expires",
	IssueRotationRequested: "issuing a new credential because spec.rotation.generation was raised",
	IssueSpecChanged:       "issuing a new credential because scopes, buckets, restrictions or lifetime changed",
	IssueSecretLost:        "issuing a new credential because the Secret no longer holds the current one",
	IssueSecretChanged:     "issuing a new credential because the data of the Secret was changed",
	IssueCredentialMissing: "issuing a new credential because the provider no longer has the one in use",
	IssueHandedOver:        "checking the submitted credential",
}

// issuing is a step towards a credential that is needed. A rotation on the schedule leaves
// the ApiToken Steady.
func (s *situation) issuing(a Action) Decision {
	d := Decision{Action: a, State: Progressing, Reason: v1alpha1.ReasonReissuing, Message: issueMessages[s.reason]}
	if s.reason == IssueInitial {
		d.Reason = v1alpha1.ReasonIssuing
	}
	if s.reason == IssueScheduled {
		d.State = Steady
	}
	return d
}
