package plan

import (
	"fmt"

	"apitoken.dev/operator/api/v1alpha1"
)

// changeable reports whether the declaration differs from the credential only
// in what its provider can change without a new secret. What the provider no longer
// has, it cannot change.
func (o *Observation) changeable(e *Entry) bool {
	fixed := Fixed(&o.Token.Spec, o.Provider.Capabilities.Updates)
	return e != nil && fixed != "" && e.Drift != v1alpha1.DriftMissing && e.Fixed == fixed && e.Updating == "" && e.Fingerprint != Fingerprint(&o.Token.Spec)
}

// update changes the Active credential in place, where that is enough: the
// workload keeps its secret. An update that was read, not just written, may
// have happened or not: then a new credential is issued instead.
func update(o *Observation) (Decision, bool) {
	e := o.active()
	reason, _, wanted := o.need()
	if !wanted || reason != IssueSpecChanged || o.Provider.Form != nil || !o.changeable(e) || !o.wantsIssue() || !o.Secret.Live {
		return Decision{}, false
	}
	if o.Token.Spec.Rotation.Generation > e.RotationGeneration || !o.holds(e.Name) || !o.Secret.Intact || o.dueIfUpdated(e) {
		return Decision{}, false
	}
	return progressing(Update{Name: e.Name}, v1alpha1.ReasonUpdating,
		"changing the credential at the provider, because scopes, restrictions or lifetime changed; its secret stays"), true
}

// dueIfUpdated reports whether the credential would have to be rotated at once
// with the expiry that an update gives it: it lives on from when it was issued.
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

// republish: a Secret that was lost or edited gets the credential back that a
// person made, because nobody wants to make another one for that.
func republish(o *Observation) (Decision, bool) {
	e := o.active()
	if e == nil || !e.ByHand || !o.Secret.Live || o.Secret.Foreign || o.Secret.Deleting || o.Token.Deleting || o.Token.NamespaceEnding || o.over() {
		return Decision{}, false
	}
	if _, lost := o.secretLost(e); !lost {
		return Decision{}, false
	}
	return progressing(Republish{Name: e.Name}, v1alpha1.ReasonPublishing, "putting the credential back into the Secret"), true
}

// confirmEdit has a credential tried that a person says was edited, at a provider without an API.
func confirmEdit(o *Observation) (Decision, bool) {
	e := o.active()
	if _, unknown := unreadable(o); unknown {
		return Decision{}, false
	}
	if o.Provider.Form == nil || o.ended() || o.Token.Edited != o.Token.Generation || !o.changeable(e) || !o.holds(e.Name) || !o.Secret.Intact {
		return Decision{}, false
	}
	return progressing(ConfirmEdit{Name: e.Name}, v1alpha1.ReasonUpdating,
		fmt.Sprintf("credential %s was edited at the provider, as an annotation says", Called(&e.LedgerEntry))), true
}
