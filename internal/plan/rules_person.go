package plan

import (
	"fmt"
	"strings"

	"apitoken.dev/operator/api/v1alpha1"
)

// handedOver reports whether a person hands over a credential that may be used.
func (o *Observation) handedOver() bool {
	return o.Provider.Form != nil && o.Handover.Exists && o.Handover.Refused == ""
}

// awaitsPerson: a credential that is made by hand is wanted, and nobody has
// handed one over.
func awaitsPerson(o *Observation) (Decision, bool) {
	if o.Provider.Form == nil || o.handedOver() {
		return Decision{}, false
	}
	task := o.Task()
	if task == nil || task.Reason == v1alpha1.ReasonDeleteCredential {
		return Decision{}, false
	}
	d := stalled(v1alpha1.ReasonActionRequired, task.Message, 0)
	if o.Handover.Refused != "" {
		d.Reason = v1alpha1.ReasonHandoverRefused
	}
	if ReadinessOf(o).Ready {
		d.State = Steady // a reminder: the workload has what was declared
	}
	return d, true
}

// Task is something that a person has to do at the provider.
type Task struct {
	// Reason is one of the reasons of the condition ActionRequired.
	Reason string
	// Message says what, with the values to fill in.
	Message string
}

// Task returns what a person has to do now; nil: nothing. What gives access comes
// before what takes it away.
func (o *Observation) Task() *Task {
	if form := o.Provider.Form; form != nil && !o.Token.Deleting && !o.handedOver() {
		if _, _, wanted := o.need(); wanted {
			return o.makeOrEdit()
		}
	}
	for i := range o.Ledger {
		if e := &o.Ledger[i]; e.ByHand && InUse(&e.LedgerEntry) && o.doomed(e) {
			return &Task{Reason: v1alpha1.ReasonDeleteCredential, Message: o.deleteMessage(e)}
		}
	}
	return nil
}

// InUse reports whether a credential is or was in use, or is known to the
// provider: an attempt that came to neither has nothing that a person could delete.
func InUse(e *v1alpha1.LedgerEntry) bool { return e.ID != "" || e.IssuedAt != nil }

// doomed reports whether a credential is only waited for to be gone.
func (o *Observation) doomed(e *Entry) bool {
	due := e.RetireAt == nil || !o.Now.Before(e.RetireAt.Time)
	return o.Token.Deleting || e.State == v1alpha1.StateRetiring && due
}

// ThenPut stands between the form of a credential and how it is handed over.
const ThenPut = ". Then put "

func (o *Observation) makeOrEdit() *Task {
	e := o.active()
	if _, unknown := unreadable(o); unknown || o.Token.Spec.Suspend {
		return nil
	}
	if reason, _, _ := o.need(); reason == IssueSpecChanged && o.changeable(e) && o.Provider.Form.Edit != "" {
		return &Task{Reason: v1alpha1.ReasonEditCredential, Message: fmt.Sprintf(
			"edit credential %s at the provider (%s) so that it has: %s. Then say so with: kubectl annotate apitoken -n %s %s --overwrite %s=%d",
			Called(&e.LedgerEntry), o.Provider.Form.Edit, o.fields(), o.Token.Namespace, o.Token.Name, v1alpha1.AnnotationEdited, o.Token.Generation)}
	}
	why := ""
	if o.Handover.Refused != "" {
		why = fmt.Sprintf("what Secret %q hands over cannot be used: %s. ", o.Handover.Secret, strings.TrimRight(o.Handover.Refused, "."))
	}
	return &Task{Reason: v1alpha1.ReasonCreateCredential, Message: why + fmt.Sprintf(
		"make a credential at the provider (%s) with: %s"+ThenPut+"%s into a Secret named %q with the label %s: %s, or run: kubectl apitoken handover -n %s %s",
		o.Provider.Form.Where, o.fields(), strings.Join(o.Provider.Form.Keys, ", "), o.Handover.Secret, v1alpha1.LabelManaged, v1alpha1.ManagedHandover,
		o.Token.Namespace, o.Token.Name)}
}

// WantsAnother reports whether another credential than the one in use is wanted, whatever
// is handed over.
func (o *Observation) WantsAnother() bool {
	without := *o
	without.Handover = Handover{Secret: o.Handover.Secret}
	_, _, wanted := without.need()
	return wanted
}

func (o *Observation) fields() string {
	parts := make([]string, 0, len(o.Provider.Form.Fields))
	for _, f := range o.Provider.Form.Fields {
		parts = append(parts, fmt.Sprintf("%s: %s", f.Label, f.Value))
	}
	return strings.Join(parts, "; ")
}

func (o *Observation) deleteMessage(e *Entry) string {
	where := "in its user interface"
	if o.Provider.Form != nil && o.Provider.Form.Revoke != "" {
		where = o.Provider.Form.Revoke
	}
	called := Called(&e.LedgerEntry)
	return fmt.Sprintf(
		"delete credential %s at the provider (%s). The operator tries it until it is refused; where it cannot tell, say so with: kubectl annotate apitoken -n %s %s --overwrite %s=%s",
		called, where, o.Token.Namespace, o.Token.Name, v1alpha1.AnnotationDeleted, called)
}
