package plan

import (
	"fmt"
	"time"

	"apitoken.dev/operator/api/v1alpha1"
)

// obstacle is a state in which nothing may be reserved.
type obstacle struct {
	name  string
	check func(*situation) (Decision, bool)
	// lasts: it prevents issuing until a user changes something, even if no credential is
	// needed now. So the status does not promise a rotation.
	lasts bool
	// reasons that check can return.
	reasons reasons
}

type reasons []string

// obstacles in their order: the first that is found is reported. Each one that lasts
// returns a Stalled decision.
var obstacles = []obstacle{
	{"attempt-under-way", attemptUnderWay, false, reasons{v1alpha1.ReasonIssuing, v1alpha1.ReasonUpdating}}, // an attempt or change of another process
	{"namespace-deleting", namespaceDeleting, false, reasons{v1alpha1.ReasonDeleting}},                      // the namespace is being deleted
	{"value-unreadable", valueUnreadable, true, reasons{v1alpha1.ReasonUnreadableValue}},                    // spec.expiresAt is not a time
	{"suspended", suspended, false, reasons{v1alpha1.ReasonSuspended}},                                      // spec.suspend is true
	{"state-unknown", stateUnknown, true, reasons{v1alpha1.ReasonUnknownState}},                             // a newer version wrote the ledger
	{"foreign-credential", foreignCredential, true, reasons{v1alpha1.ReasonForeignCredential}},              // an entry is of another ApiToken or cluster
	{"foreign-secret", foreignSecret, true, reasons{v1alpha1.ReasonSecretNotOwned}},                         // the Secret belongs to another object
	{"secret-deleting", secretDeleting, false, reasons{v1alpha1.ReasonSecretDeleting}},                      // finalizers keep the old Secret
	{"attempt-unresolved", attemptUnresolved, false, reasons{v1alpha1.ReasonResolving}},                     // an attempt is not abandoned yet

	{"provider-missing", providerMissing, true, reasons{v1alpha1.ReasonProviderNotFound}},               // spec.providerRef names no provider
	{"namespace-not-admitted", namespaceNotAdmitted, true, reasons{v1alpha1.ReasonNamespaceNotAllowed}}, // spec.allowedNamespaces excludes the namespace
	{"provider-deleting", providerDeleting, true, reasons{v1alpha1.ReasonProviderDeleting}},             // the provider only revokes
	{"endpoint-unverified", endpointUnverified, true, reasons{v1alpha1.ReasonEndpointUnverified}},       // the endpoint can be another server
	{"account-blocked", accountBlocked, true, reasons{v1alpha1.ReasonAccountBlocked}},                   // the provider has blocked the account
	{"provider-not-ready", providerNotReady, false, reasons{v1alpha1.ReasonProviderNotReady}},           // the provider's credentials were not verified
	{"account-changed", accountChanged, true, reasons{v1alpha1.ReasonProviderAccountChanged}},           // an entry is of another account
	{"declaration-refused", declarationRefused, true, refusedReasons()},                                 // the driver or the account cannot grant it
	{"account-shared", accountShared, true, reasons{v1alpha1.ReasonProviderShared}},                     // too many ApiTokens use the account

	{"manual-step", manualStep, false, reasons{v1alpha1.ReasonActionRequired, v1alpha1.ReasonHandoverRefused}}, // a user must act at the provider
	{"ledger-full", ledgerFull, false, reasons{v1alpha1.ReasonLedgerFull}},                                     // too many entries, or unsettled attempts
	{"list-window-full", listWindowFull, false, reasons{v1alpha1.ReasonListingWindow}},                         // an unknown attempt would leave the list
	{obstacleSlots, slotsExhausted, false, reasons{v1alpha1.ReasonSlotsExhausted}},                             // the account has no room for another credential
	{"backoff", backoff, false, reasons{v1alpha1.ReasonBackoff}},                                               // the last attempt failed a short time ago
	{"budget-exhausted", budgetExhausted, false, reasons{v1alpha1.ReasonMintBudgetExhausted}},                  // too many credentials outside the schedule
}

// obstacleSlots is the obstacle that ending another credential can remove.
const obstacleSlots = "slots-exhausted"

// Obstacle names a state in which nothing may be reserved.
type Obstacle struct {
	Name string
	// Lasts: it holds until a user changes something, even if no credential is needed now.
	Lasts bool
	// Reasons that it is reported with.
	Reasons []string
}

// Obstacles returns the obstacles in their order.
func Obstacles() []Obstacle {
	out := make([]Obstacle, 0, len(obstacles))
	for i := range obstacles {
		out = append(out, Obstacle{obstacles[i].name, obstacles[i].lasts, obstacles[i].reasons})
	}
	return out
}

// NotReplaced returns why nothing can replace the credential in use until a user changes
// something. The status must not promise a rotation then.
func (o *Observation) NotReplaced() (Decision, bool) { return assess(o).notReplaced() }

func (s *situation) notReplaced() (Decision, bool) {
	e := s.active
	if e == nil || s.Token.Deleting || s.Token.Spec.Suspend || s.pastHardEnd() || expired(e, s.Now) {
		return Decision{}, false
	}
	for _, f := range s.obstacles() {
		if !f.lasts {
			continue
		}
		ends := ""
		if e.ExpiresAt != nil {
			ends = ", which ends at " + e.ExpiresAt.UTC().Format(time.RFC3339)
		}
		d := f.decision
		d.Message = Sentences(d.Message, fmt.Sprintf("Until then nothing replaces credential %s%s", Called(&e.LedgerEntry), ends))
		return d, true
	}
	return Decision{}, false
}

// namespaceDeleting: the namespace controller deletes Secrets and ApiTokens in any order,
// so a Secret that is gone first must not cause a new credential.
func namespaceDeleting(s *situation) (Decision, bool) {
	if !s.Token.NamespaceEnding {
		return Decision{}, false
	}
	return waiting(v1alpha1.ReasonDeleting,
		fmt.Sprintf("namespace %q is being deleted: no more credentials are issued in it", s.Token.Namespace), Recheck), true
}

// valueUnreadable: the end of access is unknown. The API server rejects such a value, but
// one that was stored before that validation existed can still be there.
func valueUnreadable(s *situation) (Decision, bool) {
	err := s.unreadable()
	if err == nil {
		return Decision{}, false
	}
	return stalled(v1alpha1.ReasonUnreadableValue, fmt.Sprintf(
		"%v. Nothing is issued until it can be read; live credentials end at their own expiry", err), 0), true
}

func suspended(s *situation) (Decision, bool) {
	return Decision{Action: Wait{}, State: Steady, Reason: v1alpha1.ReasonSuspended,
		Message: "spec.suspend is true: no credential is issued until it is false"}, s.Token.Spec.Suspend
}

func stateUnknown(s *situation) (Decision, bool) {
	for i := range s.Ledger {
		e := &s.Ledger[i]
		switch e.State {
		case v1alpha1.StateMinting, v1alpha1.StateActive, v1alpha1.StateRetiring, v1alpha1.StateAbandoned:
		default:
			return stalled(v1alpha1.ReasonUnknownState, fmt.Sprintf(
				"credential %s is in state %q, which this version does not know: run the version of the operator that wrote it, or a newer one", e.Name, e.State), 0), true
		}
	}
	return Decision{}, false
}

// foreignCredential: an entry's name was not made for this ApiToken in this cluster. Anyone
// who can write a status could put another's credential there, so it is never revoked.
func foreignCredential(s *situation) (Decision, bool) {
	e := s.foreignEntry()
	if e == nil {
		return Decision{}, false
	}
	return stalled(v1alpha1.ReasonForeignCredential, foreignEntryMessage(e), 0), true
}

// foreignEntry returns an entry whose name was not made for this ApiToken in this cluster,
// or nil.
func (o *Observation) foreignEntry() *Entry {
	for i := range o.Ledger {
		if e := &o.Ledger[i]; !o.owns(e.Name) {
			return e
		}
	}
	return nil
}

func foreignEntryMessage(e *Entry) string {
	return fmt.Sprintf("status.credentials: %s was not made for this ApiToken in this cluster and is not revoked: start the operator with the --cluster-identity it had",
		e.Name)
}

func foreignSecret(s *situation) (Decision, bool) {
	secret := &s.Secret
	if !secret.Live || !secret.Exists || !secret.Foreign {
		return Decision{}, false
	}
	return stalled(v1alpha1.ReasonSecretNotOwned, fmt.Sprintf(
		"spec.secret.name: Secret %q belongs to %s and is not taken over: name another Secret in spec.secret.name, or delete this one",
		secret.Name, secret.Owner), Recheck), true
}

// secretDeleting: a credential published in a Secret that is being deleted is lost when its
// last finalizer is removed. The deletion of the Secret triggers the next reconcile.
func secretDeleting(s *situation) (Decision, bool) {
	secret := &s.Secret
	if !secret.Exists || !secret.Deleting {
		return Decision{}, false
	}
	return waiting(v1alpha1.ReasonSecretDeleting, fmt.Sprintf(
		"Secret %q is being deleted, and finalizers keep it (%s): a credential is issued when it is gone", secret.Name, secret.HeldBy), Recheck), true
}

// attemptUnresolved: nothing is reserved until the attempt is abandoned or adopted.
// Everything else continues.
func attemptUnresolved(s *situation) (Decision, bool) {
	minting := s.in(v1alpha1.StateMinting)
	if len(minting) == 0 {
		return Decision{}, false
	}
	return waiting(v1alpha1.ReasonResolving, unresolvedMessage(minting[0])+": nothing is issued until it is abandoned", Recheck), true
}

// manualStep: a manual credential is needed, and no user has submitted one.
func manualStep(s *situation) (Decision, bool) {
	if !s.Provider.Manual() || s.handedOver() {
		return Decision{}, false
	}
	task := s.task()
	if task == nil || task.Reason == v1alpha1.ReasonDeleteCredential {
		return Decision{}, false
	}
	d := stalled(v1alpha1.ReasonActionRequired, task.Message, 0)
	if s.Handover.Refused != "" {
		d.Reason = v1alpha1.ReasonHandoverRefused
	}
	if s.readiness().Ready {
		d.State = Steady // a reminder: the workload has what was declared
	}
	return d, true
}
