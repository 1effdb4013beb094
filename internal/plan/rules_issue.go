package plan

import (
	"fmt"
	"time"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/credname"
	"apitoken.dev/operator/internal/ledger"
	"apitoken.dev/operator/internal/provider"
)

// need says why a new credential is wanted, and whether it costs from the budget:
// each one does, except a rotation that is free.
func (o *Observation) need() (reason IssueReason, charged, wanted bool) {
	if o.Token.Deleting || o.ended() {
		return "", false, false
	}
	e := o.active()
	switch {
	case o.handedOver():
		return IssueHandedOver, !o.free(e), true
	case e == nil && !o.Token.GapSince.IsZero():
		// The rotation was paid for, or free, when the old credential was given up. The
		// backoff limits its attempts: an empty budget would make the gap longer.
		return o.gapReason(), false, true
	case e == nil:
		return IssueInitial, true, true
	}
	spec, charged := &o.Token.Spec, !o.free(e)
	switch {
	case expired(e, o.Now):
		return IssueScheduled, charged, true
	case o.repairs(e):
		return IssueCredentialMissing, charged, true
	case e.Fingerprint != Fingerprint(spec), e.Updating != "":
		return IssueSpecChanged, charged, true
	case spec.Rotation.Generation > e.RotationGeneration:
		return IssueRotationRequested, charged, true
	}
	if reason, lost := o.secretLost(e); lost {
		return reason, charged, true
	}
	return IssueScheduled, charged, o.due(e)
}

// gapReason is why the credential was given up. A reason that this version does not
// know is the schedule's.
func (o *Observation) gapReason() IssueReason {
	reason := IssueReason(o.Token.GapReason)
	if _, known := issueMessages[reason]; !known {
		return IssueScheduled
	}
	return reason
}

func expired(e *Entry, now time.Time) bool {
	return e.ExpiresAt != nil && !now.Before(e.ExpiresAt.Time)
}

// due reports whether the schedule replaces the credential now.
func (o *Observation) due(e *Entry) bool {
	if e.IssuedAt != nil && ledger.Ahead(e.IssuedAt.Time, o.Now, ledger.MaxPause) {
		return true // the clock was far ahead, so it would live on long after its lifetime
	}
	due := RotationDue(o.Token.UID, &o.Token.Spec, &e.LedgerEntry)
	return expired(e, o.Now) || !due.IsZero() && !o.Now.Before(due)
}

// secretLost says what is wrong with the Secret of the Active credential.
func (o *Observation) secretLost(e *Entry) (IssueReason, bool) {
	switch {
	case !o.secretKnown():
		return "", false
	case !o.holds(e.Name), o.Secret.Deleting:
		return IssueSecretLost, true
	default:
		return IssueSecretChanged, !o.Secret.Intact
	}
}

// namespaceEnding: the namespace controller deletes Secrets and ApiTokens in any
// order; a Secret that is gone before its ApiToken is no reason to issue.
func namespaceEnding(o *Observation) (Decision, bool) {
	return Decision{Action: Wait{}, State: Progressing, Reason: v1alpha1.ReasonDeleting, After: Recheck,
		Message: fmt.Sprintf("namespace %q is being deleted: nothing more is issued in it", o.Token.Namespace)}, o.Token.NamespaceEnding
}

// unreadable: the end of access is unknown, so nothing may be issued. The API server
// refuses such a value; one that was stored before it did is kept as it is.
func unreadable(o *Observation) (Decision, bool) {
	_, err := o.Token.Spec.HardEnd()
	if err == nil {
		return Decision{}, false
	}
	return stalled(v1alpha1.ReasonUnreadableValue, fmt.Sprintf(
		"%v. Nothing is issued until it can be read; what is live ends at its own expiry", err), 0), true
}

func suspended(o *Observation) (Decision, bool) {
	return Decision{Action: Wait{}, State: Steady, Reason: v1alpha1.ReasonSuspended,
		Message: "spec.suspend is true: no credential is issued until it is false"}, o.Token.Spec.Suspend
}

func unknownState(o *Observation) (Decision, bool) {
	for i := range o.Ledger {
		e := &o.Ledger[i]
		switch e.State {
		case v1alpha1.StateMinting, v1alpha1.StateActive, v1alpha1.StateRetiring, v1alpha1.StateAbandoned:
		default:
			return stalled(v1alpha1.ReasonUnknownState, fmt.Sprintf(
				"credential %s is in state %q, which this version does not know: run the version of the operator that wrote it, or a newer one", e.Name, e.State), 0), true
		}
	}
	return Decision{}, false
}

func foreignCredential(o *Observation) (Decision, bool) {
	e := o.foreign()
	if e == nil {
		return Decision{}, false
	}
	return stalled(v1alpha1.ReasonForeignCredential, foreignMessage(e), 0), true
}

func foreignSecret(o *Observation) (Decision, bool) {
	if !o.Secret.Live || !o.Secret.Exists || !o.Secret.Foreign {
		return Decision{}, false
	}
	return stalled(v1alpha1.ReasonSecretNotOwned, fmt.Sprintf(
		"spec.secret.name: Secret %q belongs to %s and is not taken over: name another Secret in spec.secret.name, or delete this one",
		o.Secret.Name, o.Secret.Owner), Recheck), true
}

// secretDeleting: what is published in a Secret that is being deleted is lost when
// its last finalizer goes. The end of the Secret brings the next pass.
func secretDeleting(o *Observation) (Decision, bool) {
	return Decision{Action: Wait{}, State: Progressing, Reason: v1alpha1.ReasonSecretDeleting, After: Recheck, Message: fmt.Sprintf(
			"Secret %q is being deleted, and finalizers keep it (%s): a credential is issued when it is gone", o.Secret.Name, o.Secret.HeldBy)},
		o.Secret.Exists && o.Secret.Deleting
}

// attemptNotGivenUp: an attempt that was read is not given up yet. Nothing is reserved
// until then, and all else goes on.
func attemptNotGivenUp(o *Observation) (Decision, bool) {
	minting := o.in(v1alpha1.StateMinting)
	if len(minting) == 0 {
		return Decision{}, false
	}
	return Decision{Action: Wait{}, State: Progressing, Reason: v1alpha1.ReasonResolving, After: Recheck,
		Message: unresolvedMessage(minting[0]) + ": nothing is issued until it is given up"}, true
}

func (o *Observation) providerBlocked() (Decision, bool) {
	p, ref := &o.Provider, o.Token.Spec.ProviderRef
	switch {
	case !p.Found:
		return stalled(v1alpha1.ReasonProviderNotFound, o.notFoundMessage(), 0), true
	case !p.Admitted:
		return stalled(v1alpha1.ReasonNamespaceNotAllowed, fmt.Sprintf(
			"spec.providerRef: %s %q does not serve namespace %q: label the namespace so that the provider's spec.allowedNamespaces selects it, or name another provider",
			ref.Kind, ref.Name, o.Token.Namespace), 0), true
	case p.Deleting:
		return stalled(v1alpha1.ReasonProviderDeleting, fmt.Sprintf(
			"spec.providerRef: %s %q is being deleted and only revokes: create another provider, and an ApiToken that names it", ref.Kind, ref.Name), 0), true
	case p.Unverified && p.Reason == v1alpha1.ReasonEndpointUnverified:
		return o.endpointUnverified()
	case !p.Ready && p.Reason == v1alpha1.ReasonAccountBlocked:
		return stalled(v1alpha1.ReasonAccountBlocked, fmt.Sprintf(
			"%s %q cannot issue anything now: %s", ref.Kind, ref.Name, orElse(o.providerMessage(), "its account is blocked: settle it with the provider")), 0), true
	case !p.Ready:
		return Decision{Action: Wait{}, State: Progressing, Reason: v1alpha1.ReasonProviderNotReady, Message: fmt.Sprintf(
			"%s %q is not ready (%s): %s", ref.Kind, ref.Name, orElse(p.Reason, "not checked yet"),
			orElse(o.providerMessage(), "its credentials have not been checked yet"))}, true
	}
	return Decision{}, false
}

// notFoundMessage says that there is no such provider; the kind is easily forgotten.
func (o *Observation) notFoundMessage() string {
	ref, where := o.Token.Spec.ProviderRef, ""
	if ref.Kind != v1alpha1.KindClusterTokenProvider {
		where = fmt.Sprintf(" in namespace %q", o.Token.Namespace)
	}
	todo := "create it, or name another provider"
	if other := o.Provider.OtherKind; other != "" {
		todo = fmt.Sprintf("there is a %s of this name, for which spec.providerRef needs kind: %s", other, other)
	}
	return fmt.Sprintf("spec.providerRef: %s %q does not exist%s: %s", ref.Kind, ref.Name, where, todo)
}

func accountBlocked(o *Observation) (Decision, bool) {
	e := o.accountChanged()
	if e == nil {
		return Decision{}, false
	}
	message := accountChangedMessage(o, e)
	if o.entry(e.Name) == nil {
		message += fmt.Sprintf(", or delete Secret %q, which holds it", o.Secret.Name)
	}
	// The account is that of the last connection, of which no event tells.
	return stalled(v1alpha1.ReasonProviderAccountChanged, message, Recheck), true
}

// refusalReasons translates what a driver refuses.
var refusalReasons = map[provider.RefusalReason]string{
	provider.RefusedScope:    v1alpha1.ReasonScopeNotGrantable,
	provider.RefusedLifetime: v1alpha1.ReasonLifetimeTooLong,
	provider.RefusedBuckets:  v1alpha1.ReasonTooManyBuckets,
	provider.RefusedBucket:   v1alpha1.ReasonBucketNotGrantable,
	provider.RefusedNarrow:   v1alpha1.ReasonRestrictionUnsupported,
}

func refused(o *Observation) (Decision, bool) {
	if limit := o.Provider.Capabilities.MaxLifetime; limit > 0 && o.Token.Spec.ExpiresAt == nil {
		if lifetime := Lifetime(&o.Token.Spec); lifetime > limit {
			return stalled(v1alpha1.ReasonLifetimeTooLong, fmt.Sprintf(
				"spec.expiresIn: %s is longer than the %s that this provider issues credentials for: declare at most that", lifetime, limit), 0), true
		}
	}
	r := o.Provider.Refusal
	if r == nil {
		r = o.ungrantable()
	}
	if r == nil {
		return Decision{}, false
	}
	reason, known := refusalReasons[r.Reason]
	if !known {
		reason = v1alpha1.ReasonProviderRefused
	}
	var after time.Duration
	if r.Reason == provider.RefusedLifetime && o.Token.Spec.ExpiresAt != nil {
		after = Recheck // a hard end that is too far ahead comes closer without an event
	}
	return stalled(reason, fmt.Sprintf("%s: %s: %s", r.Field, r.Value, r.Message), after), true
}

// ungrantable is the refusal of a scope that this account may not give, where
// only the account knows which it may.
func (o *Observation) ungrantable() *provider.Refusal {
	if len(o.Provider.Capabilities.Scopes) > 0 || len(o.Provider.GrantableScopes) == 0 {
		return nil
	}
	return provider.RefuseScopes(o.Provider.GrantableScopes, GrantOf(&o.Token.Spec))
}

func ledgerFull(o *Observation) (Decision, bool) {
	unsettled := 0
	for i := range o.Ledger {
		e := &o.Ledger[i]
		if e.IssuedAt == nil && e.State != v1alpha1.StateActive && !e.Settled {
			unsettled++
		}
	}
	if unsettled < MaxUnsettled && len(o.Ledger) < MaxLedger {
		return Decision{}, false
	}
	return Decision{Action: Wait{}, State: Progressing, Reason: v1alpha1.ReasonLedgerFull, After: Recheck, Message: fmt.Sprintf(
		"%d credentials in the ledger, %d of them unfinished attempts, wait to be revoked: nothing more is issued until the provider has let them go",
		len(o.Ledger), unsettled)}, true
}

func backoff(o *Observation) (Decision, bool) {
	r := o.Token.Retry
	if r == nil || !o.Now.Before(r.NotBefore.Time) {
		return Decision{}, false
	}
	return Decision{Action: Wait{}, State: Progressing, Reason: v1alpha1.ReasonBackoff, After: r.NotBefore.Sub(o.Now),
		Message: fmt.Sprintf("attempt %d did not end well; the next one starts at %s", r.Failures, r.NotBefore.UTC().Format(time.RFC3339))}, true
}

func budgetExhausted(o *Observation) (Decision, bool) {
	if _, charged, wanted := o.need(); !wanted || !charged {
		return Decision{}, false
	}
	remaining, next := ledger.BudgetAt(o.Token.Budget, o.Now)
	if remaining.Remaining > 0 {
		return Decision{}, false
	}
	return Decision{Action: Wait{}, State: Progressing, Reason: v1alpha1.ReasonMintBudgetExhausted, After: next.Sub(o.Now),
		Message: fmt.Sprintf("%d credentials were issued outside the schedule in a short time; the next one is allowed at %s", ledger.BudgetSize, next.UTC().Format(time.RFC3339))}, true
}

func tryPublish(o *Observation) (Decision, bool) {
	if !o.Token.PublishRefused || !o.Secret.Live || !o.wantsIssue() {
		return Decision{}, false
	}
	return progressing(TryPublish{}, v1alpha1.ReasonPublishRefused,
		"the API server refused the Secret; trying it as a dry run before anything is issued"), true
}

func issue(o *Observation) (Decision, bool) {
	if !o.Secret.Live || !o.wantsIssue() {
		return Decision{}, false
	}
	reason, charged, _ := o.need()
	return o.issuing(Issue{Reason: reason, Revision: credname.NextRevision(max(o.Token.Revision, o.Secret.Facts.Revision)), Charged: charged}), true
}

var issueMessages = map[IssueReason]string{
	IssueInitial:           "issuing a credential",
	IssueScheduled:         "rotating the credential before it expires",
	IssueRotationRequested: "issuing a new credential because spec.rotation.generation was raised",
	IssueSpecChanged:       "issuing a new credential because scopes, buckets, restrictions or lifetime changed",
	IssueSecretLost:        "issuing a new credential because the Secret no longer holds the current one",
	IssueSecretChanged:     "issuing a new credential because the data of the Secret was changed",
	IssueCredentialMissing: "issuing a new credential because the provider no longer has the one in use",
	IssueHandedOver:        "checking the credential that was handed over",
}
