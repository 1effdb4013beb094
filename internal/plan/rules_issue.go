package plan

import (
	"fmt"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/credname"
)

// lastPublishRefused: the API server rejected the last Secret, so the next one is sent as a dry
// run before a credential is issued for it.
func lastPublishRefused(s *situation) (Decision, bool) {
	if !s.Token.PublishRefused || !s.Secret.Live || !s.canIssue() {
		return Decision{}, false
	}
	return progressing(TryPublish{}, v1alpha1.ReasonPublishRefused,
		"the API server rejected the Secret; sending a dry run before anything is issued"), true
}

func credentialNeeded(s *situation) (Decision, bool) {
	if !s.Secret.Live || !s.canIssue() {
		return Decision{}, false
	}
	revision := credname.NextRevision(max(s.Token.Revision, s.Secret.Facts.Revision))
	return s.issuing(Issue{Reason: s.reason, Revision: revision, Charged: s.charged}), true
}

// updatable reports whether the declaration differs from the credential only in fields that
// the provider can change in place. It cannot change a credential that it no longer has.
func (s *situation) updatable(e *Entry) bool {
	fixed := Fixed(&s.Token.Spec, s.Provider.Capabilities.Updates)
	return e != nil && fixed != "" && e.Drift != v1alpha1.DriftMissing && e.Fixed == fixed && e.Updating == "" && e.Fingerprint != s.declared()
}

// updateEnough: it is enough to change the Active credential in place, so the workload keeps
// its secret. A change in place that was read, and not begun in this reconcile, has an unknown
// outcome: then a new credential is issued.
func updateEnough(s *situation) (Decision, bool) {
	e := s.active
	if s.reason != IssueSpecChanged || s.Provider.Manual() || !s.canIssue() || !s.Secret.Live || !s.updatable(e) {
		return Decision{}, false
	}
	if s.Token.Spec.Rotation.Generation > e.RotationGeneration || !s.holds(e.Name) || !s.Secret.Intact || s.dueIfUpdated(e) {
		return Decision{}, false
	}
	return progressing(Update{Name: e.Name}, v1alpha1.ReasonUpdating,
		"changing the credential at the provider, because scopes, restrictions or lifetime changed; its secret stays"), true
}

// dueIfUpdated reports whether the schedule would rotate the credential at once with the
// expiry that a change in place gives it, which is counted from when it was issued.
func (o *Observation) dueIfUpdated(e *Entry) bool {
	if e.IssuedAt == nil {
		return true
	}
	end := ExpiryFor(&o.Token.Spec, e.IssuedAt.Time, o.Provider.Capabilities.MaxLifetime)
	if !o.Now.Before(end) {
		return true
	}
	due := rotationDue(o.Token.UID, &o.Token.Spec, e.Name, e.IssuedAt.Time, end, end.Sub(e.IssuedAt.Time))
	return !due.IsZero() && !o.Now.Before(due)
}

// manualSecretLost: the Secret of a manual credential was lost or changed. The stored copy is
// published again, so that users need not create another one.
func manualSecretLost(s *situation) (Decision, bool) {
	e := s.active
	if e == nil || !e.ByHand || !s.Secret.Live || s.Secret.Foreign || s.Secret.Deleting || s.Token.Deleting || s.Token.NamespaceEnding || s.accessOver() {
		return Decision{}, false
	}
	if !secretLost(s) && !secretChanged(s) {
		return Decision{}, false
	}
	return progressing(Republish{Name: e.Name}, v1alpha1.ReasonPublishing, "writing the stored credential back into the Secret"), true
}

// manualEditReported: an annotation says that a user edited the credential as asked.
func manualEditReported(s *situation) (Decision, bool) {
	e := s.active
	if !s.Provider.Manual() || s.unreadable() != nil || s.pastHardEnd() {
		return Decision{}, false
	}
	if s.Token.Edited != s.Token.Generation || !s.updatable(e) || !s.holds(e.Name) || !s.Secret.Intact {
		return Decision{}, false
	}
	return progressing(ConfirmEdit{Name: e.Name}, v1alpha1.ReasonUpdating,
		fmt.Sprintf("credential %s was edited at the provider, as an annotation says", Called(&e.LedgerEntry))), true
}
