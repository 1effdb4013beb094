// Package why says why the operator issues and revokes credentials, for the audit trail.
package why

import (
	"time"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/audit"
	"apitoken.dev/operator/internal/plan"
)

// Acted is why an action is carried out. It is empty for an action that does not change
// credentials, and for one whose reason differs from entry to entry: see Ended.
func Acted(a plan.Action) audit.Why {
	switch a := a.(type) { //nolint:gochecksumtype // the others call nothing that changes a provider, or tell why for each entry
	case plan.Issue:
		return Issued(string(a.Reason))
	case plan.Update, plan.ConfirmEdit:
		return Issued(string(plan.IssueSpecChanged))
	case plan.EndOverlap:
		return audit.Why{Reason: audit.ReasonEndRequested, AskedBy: audit.AskedByEnd}
	case plan.Abandon:
		return audit.Why{Reason: audit.ReasonAttemptAbandoned, AskedBy: audit.AskedByRecovery}
	case plan.Purge, plan.Release, plan.RemoveFinalizer:
		return audit.Why{Reason: audit.ReasonDeleted, AskedBy: audit.AskedByDeletion}
	default:
		return audit.Why{}
	}
}

// askers are what asks for a credential, by the reason for which it is issued.
var askers = map[plan.IssueReason]audit.Asker{
	plan.IssueInitial: audit.AskedBySpec, plan.IssueSpecChanged: audit.AskedBySpec,
	plan.IssueScheduled: audit.AskedBySchedule, plan.IssueRotationRequested: audit.AskedByGeneration,
	plan.IssueSecretLost: audit.AskedBySecret, plan.IssueSecretChanged: audit.AskedBySecret,
	plan.IssueHandedOver: audit.AskedByHandover, plan.IssueCredentialMissing: audit.AskedByDrift,
	plan.IssueRestored: audit.AskedByRecovery,
}

// Issued is why a credential is issued. A status can hold a reason that this version does
// not know, so it is empty for any other reason.
func Issued(reason string) audit.Why {
	asker, known := askers[plan.IssueReason(reason)]
	if !known {
		return audit.Why{}
	}
	return audit.Why{Reason: audit.Reason(reason), AskedBy: asker}
}

// Ended is why the credential of an entry of an ApiToken is revoked. Active is the entry in
// use, or nil.
func Ended(t *v1alpha1.ApiToken, e, active *v1alpha1.LedgerEntry, now time.Time) audit.Why {
	switch {
	case !t.DeletionTimestamp.IsZero():
		return audit.Why{Reason: audit.ReasonDeleted, AskedBy: audit.AskedByDeletion}
	case e.IssuedAt == nil:
		return audit.Why{Reason: audit.ReasonAttemptAbandoned, AskedBy: audit.AskedByRecovery}
	case t.Annotations[v1alpha1.AnnotationEnd] == e.Name:
		return audit.Why{Reason: audit.ReasonEndRequested, AskedBy: audit.AskedByEnd}
	case active == nil && t.Status.GapSince != nil:
		return audit.Why{Reason: audit.ReasonRoomNeeded, AskedBy: audit.AskedByStrategy}
	case accessEnded(t, now):
		return audit.Why{Reason: audit.ReasonAccessEnded, AskedBy: audit.AskedByExpiresAt}
	case active == nil:
		return audit.Why{Reason: audit.ReasonAccessEnded, AskedBy: audit.AskedBySchedule}
	default:
		return audit.Why{Reason: audit.ReasonReplaced, AskedBy: Issued(successor(t, e, active).Reason).AskedBy}
	}
}

func accessEnded(t *v1alpha1.ApiToken, now time.Time) bool {
	end, err := t.Spec.HardEnd()
	return err == nil && !end.IsZero() && !now.Before(end)
}

// successor is the entry of the credential that replaced the one of an entry, or the next
// one that is still in the ledger. Entries are in the order in which they were reserved.
func successor(t *v1alpha1.ApiToken, e, active *v1alpha1.LedgerEntry) *v1alpha1.LedgerEntry {
	entries, after := t.Status.Credentials, false
	for i := range entries {
		if after && entries[i].IssuedAt != nil && entries[i].State != v1alpha1.StateAbandoned {
			return &entries[i]
		}
		after = after || entries[i].Name == e.Name
	}
	return active
}
