package plan

import (
	"fmt"
	"strings"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/provider"
)

// Some providers have no API for credentials. A user creates, edits and deletes them in the
// provider's user interface, as provider.Form describes, and submits them in a Secret.

// Manual reports whether a user creates and deletes the credentials of the provider. If not, the
// operator mints and revokes them.
func (p *Provider) Manual() bool { return p.Form != nil }

// handedOver reports whether a user submitted a credential that can be used.
func (o *Observation) handedOver() bool {
	return o.Provider.Manual() && o.Handover.Exists && o.Handover.Refused == ""
}

// Task is an action that a user must take at the provider.
type Task struct {
	// Reason is one of the reasons of the condition ActionRequired.
	Reason string
	// Message says what to do, with the values to fill in.
	Message string
}

// Task returns what a user must do now, or nil. Creating and editing credentials come
// before deleting them.
func (o *Observation) Task() *Task { return assess(o).task() }

func (s *situation) task() *Task {
	if s.Provider.Manual() && !s.handedOver() && s.wanted() {
		return s.makeOrEdit()
	}
	for i := range s.Ledger {
		if e := &s.Ledger[i]; e.ByHand && InUse(&e.LedgerEntry) && (s.Token.Deleting || e.retiring() && e.retireDue(s.Now)) {
			return s.DeletionTask(&e.LedgerEntry)
		}
	}
	return nil
}

// InUse reports whether a credential was in use, or the provider has an id for it. A user
// cannot delete an attempt that is neither.
func InUse(e *v1alpha1.LedgerEntry) bool { return e.ID != "" || e.IssuedAt != nil }

// ThenPut stands between the form of a credential and how to submit it.
const ThenPut = ". Then put "

func (s *situation) makeOrEdit() *Task {
	e := s.active
	if s.unreadable() != nil || s.Token.Spec.Suspend {
		return nil
	}
	if s.reason == IssueSpecChanged && s.Provider.Form.Edit != "" && s.updatable(e) {
		return &Task{Reason: v1alpha1.ReasonEditCredential, Message: fmt.Sprintf(
			"edit credential %s at the provider (%s) so that it has: %s. Then confirm with: kubectl annotate apitoken -n %s %s --overwrite %s=%d",
			Called(&e.LedgerEntry), s.Provider.Form.Edit, s.fields(), s.Token.Namespace, s.Token.Name, v1alpha1.AnnotationEdited, s.Token.Generation)}
	}
	why := ""
	if s.Handover.Refused != "" {
		why = fmt.Sprintf("the credential in Secret %q cannot be used: %s. ", s.Handover.Secret, strings.TrimRight(s.Handover.Refused, "."))
	}
	return &Task{Reason: v1alpha1.ReasonCreateCredential, Message: why + fmt.Sprintf(
		"create a credential at the provider (%s) with: %s"+ThenPut+"%s into a Secret named %q with the label %s: %s, or run: kubectl apitoken handover -n %s %s",
		s.Provider.Form.Where, s.fields(), strings.Join(s.Provider.Form.Keys, ", "), s.Handover.Secret, v1alpha1.LabelManaged, v1alpha1.ManagedHandover,
		s.Token.Namespace, s.Token.Name)}
}

// WantsAnother reports whether another credential is needed than the one in use, apart from
// a user's submission of one.
func (o *Observation) WantsAnother() bool {
	s := situation{Observation: o, active: o.activeEntry()}
	return s.firstNeed(needHandedOver) != nil
}

func (o *Observation) fields() string {
	parts := make([]string, 0, len(o.Provider.Form.Fields))
	for _, f := range o.Provider.Form.Fields {
		parts = append(parts, fmt.Sprintf("%s: %s", f.Label, f.Value))
	}
	return strings.Join(parts, "; ")
}

// DeletionTask asks a user to delete a manual credential.
func (o *Observation) DeletionTask(e *v1alpha1.LedgerEntry) *Task {
	where := "in its user interface"
	if o.Provider.Manual() && o.Provider.Form.Revoke != "" {
		where = o.Provider.Form.Revoke
	}
	called := Called(e)
	return &Task{Reason: v1alpha1.ReasonDeleteCredential, Message: fmt.Sprintf(
		"delete credential %s at the provider (%s). The operator retries the key until the provider rejects it. If it cannot check, confirm the deletion with: kubectl annotate apitoken -n %s %s --overwrite %s=%s",
		called, where, o.Token.Namespace, o.Token.Name, v1alpha1.AnnotationDeleted, called)}
}

// SubmittedAgain says why a submitted credential cannot be used whose entry is in the ledger.
func SubmittedAgain(e *v1alpha1.LedgerEntry) string {
	if e.State == v1alpha1.StateActive {
		return fmt.Sprintf("credential %s is already in use, and a different one is needed: create a new one", Called(e))
	}
	return fmt.Sprintf("credential %s is no longer in use and cannot be used again: create a new one", Called(e))
}

// EditTask asks a user to correct an edit of a manual credential, which a probe found not to
// work as declared. Err is the provider's rejection of the declaration; nil: the provider
// rejects the credential.
func (o *Observation) EditTask(e *v1alpha1.LedgerEntry, err error) string {
	why := "the provider does not accept it"
	if err != nil {
		why = provider.AsError(err).Message
	}
	return fmt.Sprintf(
		"an annotation says that credential %s was edited, but it does not work as declared: %s. Correct it at the provider (%s); the operator checks it again every minute",
		Called(e), why, o.Provider.Form.Edit)
}
