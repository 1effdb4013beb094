package apitoken

import (
	"context"
	"errors"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/apierror"
	"apitoken.dev/operator/internal/connections"
	"apitoken.dev/operator/internal/ledger"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/secretstore"
)

// manual is the strategy for credentials that a user creates and submits.
type manual struct{ r *Reconciler }

// prepare reads the submitted credential.
func (m manual) prepare(ctx context.Context, a *Attempt) plan.Outcome {
	submitted, ok, err := m.r.secrets.Handover(ctx, a.p.target)
	switch {
	case err != nil:
		return apierror.Failed(err)
	case !ok:
		return plan.Superseded{What: "the submitted credential no longer exists"}
	}
	a.submitted = submitted
	return nil
}

// rejected records a submitted credential that cannot be used, so that it is not tried
// again.
func (m manual) rejected(a *Attempt, err error) {
	if !plan.RefusesHandover(err, a.hasSubmitted()) {
		return
	}
	message := provider.AsError(err).Message
	a.p.obs.Handover.Refused = message
	m.r.memory.Handovers.Refuse(nameOf(a.p.token), a.submitted.Version(), message)
}

// check rejects a credential that is already in the ledger. If it is the one in use, its
// handover was left behind and is deleted. If a new credential is needed, the user
// submitted the old one again, and the rejection says so.
func (m manual) check(ctx context.Context, a *Attempt) (plan.Outcome, *plan.Rejection) {
	id := a.minted.Credential.ID
	known, err := m.known(ctx, a, id)
	if err != nil || known == nil {
		return apierror.Failed(err), nil
	}
	ledger.Identify(&a.p.token.Status, known.Name, id, time.Time{}) // the data plane has just accepted this key
	if known.State == v1alpha1.StateActive && !a.p.obs.WantsAnother() {
		a.p.event(eventHanded, "Handover", "credential %s is already in use; its handover Secret is deleted", id)
		accepted := apierror.Failed(m.r.secrets.DeleteHandover(ctx, a.p.target, a.submitted))
		return plan.Join(accepted, plan.Unfinished{Why: plan.SameCredential}), &plan.Rejection{AtOnce: true}
	}
	err = provider.Invalid(plan.SubmittedAgain(known))
	rejection, _ := plan.MintFailed(err, a.action, a.hasSubmitted())
	m.rejected(a, err)
	return m.r.providerFailed(a.p, "mint", err), &rejection
}

// known returns another entry with this id, or nil. If the id of an entry is unknown, it is
// read from the copy that is stored under the name of the entry.
func (m manual) known(ctx context.Context, a *Attempt, id string) (*v1alpha1.LedgerEntry, error) {
	for i := range a.p.token.Status.Credentials {
		e := &a.p.token.Status.Credentials[i]
		if e.Name == a.name || !e.ByHand {
			continue
		}
		if e.ID == id {
			return e, nil
		}
		if e.ID == "" {
			values, _, ok, err := m.stored(ctx, a.p, e)
			if err != nil {
				return nil, err
			}
			if ok && keyID(a.p, values) == id {
				return e, nil
			}
		}
	}
	return nil, nil
}

// saveCopy stores a copy of the credential in a Secret.
func (m manual) saveCopy(ctx context.Context, a *Attempt) error {
	err := m.r.secrets.SaveCopy(ctx, a.p.target, a.name, plan.GrantOf(&a.p.token.Spec), a.minted.Secret)
	if apierrors.IsAlreadyExists(err) {
		return nil // the client library repeated its own request: no other attempt has this name
	}
	return err
}

// recorded deletes the handover.
func (m manual) recorded(ctx context.Context, a *Attempt) plan.Outcome {
	return apierror.WriteFailed(m.r.secrets.DeleteHandover(ctx, a.p.target, a.submitted))
}

// isManual is true: a user creates the credential.
func (manual) isManual() bool { return true }

// probed returns the version of the Secret, because the key in its data is probed.
func (manual) probed(p *reconciliation) string { return p.seen.Version }

// restored probes the data plane with the credential in the Secret.
func (m manual) restored(ctx context.Context, p *reconciliation, conn connections.Connection, _ string) (plan.Restored, plan.Outcome) {
	values := p.seen.Values()
	accepted, out := m.accepted(ctx, p, conn, values, plan.GrantOf(&p.token.Spec))
	if out != nil {
		return plan.Restored{}, out
	}
	answer := plan.Restored{Account: conn.Account.ID, Live: accepted}
	if accepted {
		answer.ID = keyID(p, values)
	}
	return answer, nil
}

// identify reads the id from the key itself, once the data plane has accepted the key.
func (m manual) identify(ctx context.Context, p *reconciliation, conn connections.Connection, e *v1alpha1.LedgerEntry) (string, time.Time, plan.Outcome) {
	values, grant, ok, err := m.stored(ctx, p, e)
	if err != nil || !ok || !canProbe(conn) {
		return "", time.Time{}, apierror.Failed(err)
	}
	accepted, out := m.accepted(ctx, p, conn, values, grant)
	if out != nil || !accepted {
		return "", time.Time{}, out
	}
	return keyID(p, values), time.Time{}, nil
}

// errInconclusive is returned when a probe does not show whether a credential is live.
var errInconclusive = errors.New("the probe is inconclusive")

// shown probes the data plane with a credential. A credential that is restricted to
// addresses is inconclusive: the data plane can reject the operator's address.
func (m manual) shown(ctx context.Context, p *reconciliation, conn connections.Connection, e *v1alpha1.LedgerEntry) (v1alpha1.CredentialDrift, plan.Outcome) {
	values, grant, ok, err := m.stored(ctx, p, e)
	switch {
	case err != nil:
		return "", apierror.Failed(err)
	case !ok || !canProbe(conn) || grant.LimitsAddresses():
		return "", plan.Failed{Err: errInconclusive}
	}
	accepted, out := m.accepted(ctx, p, conn, values, grant)
	if out != nil || accepted {
		return "", out
	}
	return v1alpha1.DriftMissing, nil
}

// end verifies that the user has deleted the credential. It marks the entry as gone before
// the stored copy is deleted, because the deletion cannot be verified without the copy.
func (m manual) end(ctx context.Context, p *reconciliation, conn connections.Connection, e *v1alpha1.LedgerEntry) (bool, plan.Outcome) {
	exists, err := m.exists(ctx, p, e)
	if err != nil || !exists {
		return false, apierror.Failed(err)
	}
	if out := m.proveDeleted(ctx, p, conn, e); out != nil {
		return false, out
	}
	ledger.MarkGone(&p.token.Status, e.Name)
	return true, nil
}

// deleteCopy deletes the stored copy of a credential.
func (m manual) deleteCopy(ctx context.Context, p *reconciliation, e *v1alpha1.LedgerEntry) error {
	return m.r.secrets.DeleteCopy(ctx, p.target, e.Name)
}

// exists reports whether an entry has a credential that a user must delete. An interrupted
// attempt has the credential that was stored under its name, unless another entry has the
// same id. Without a stored copy it has no credential.
func (m manual) exists(ctx context.Context, p *reconciliation, e *v1alpha1.LedgerEntry) (bool, error) {
	if plan.InUse(e) {
		return true, nil
	}
	kept, ok, err := m.r.secrets.ReadCopy(ctx, p.target, e.Name)
	if err != nil || !ok {
		return false, err
	}
	id := keyID(p, kept.Values())
	elsewhere := slices.ContainsFunc(p.token.Status.Credentials, func(other v1alpha1.LedgerEntry) bool {
		return other.Name != e.Name && other.ID == id
	})
	if !elsewhere {
		ledger.Identify(&p.token.Status, e.Name, id, time.Time{})
	}
	return !elsewhere, nil
}

// proveDeleted verifies that a user has deleted a credential: the provider rejects it, or
// the user confirms it with an annotation.
func (m manual) proveDeleted(ctx context.Context, p *reconciliation, conn connections.Connection, e *v1alpha1.LedgerEntry) plan.Outcome {
	if p.token.Annotations[v1alpha1.AnnotationDeleted] == plan.Called(e) {
		p.event(eventDeleted, "Prove", "credential %s is deleted: an annotation of the ApiToken confirms it", plan.Called(e))
		return nil
	}
	kept, ok, err := m.r.secrets.ReadCopy(ctx, p.target, e.Name)
	if err != nil {
		return apierror.Failed(err)
	}
	if prober, can := provider.As[provider.Prober](conn.Client); !ok || !can || mayExist(ctx, p, prober, kept) {
		m.r.memory.Proofs.Tried(nameOf(p.token), e.Name, m.r.Clock.Monotonic())
		return plan.NeedsUser{Task: p.obs.DeletionTask(e).Message}
	}
	p.event(eventDeleted, "Prove", "credential %s is deleted: the provider rejects it", plan.Called(e))
	return nil
}

// mayExist reports whether the provider accepts a credential, or the probe failed.
func mayExist(ctx context.Context, p *reconciliation, prober provider.Prober, kept secretstore.Copy) bool {
	accepted, err := p.probe(ctx, prober, kept.Values(), kept.Grant)
	return accepted || err != nil
}

// stored returns the credential of an entry: from the stored copy, or from the Secret if
// its data is what the operator wrote. It reports false if both are missing.
func (m manual) stored(ctx context.Context, p *reconciliation, e *v1alpha1.LedgerEntry) (map[string]provider.Value, provider.Grant, bool, error) {
	kept, ok, err := m.r.secrets.ReadCopy(ctx, p.target, e.Name)
	if err != nil || ok {
		return kept.Values(), kept.Grant, ok, err
	}
	seen := p.seen
	if !seen.View.Live {
		if seen, err = m.r.secrets.Read(ctx, p.target); err != nil {
			return nil, provider.Grant{}, false, err
		}
	}
	v := seen.View
	return seen.Values(), plan.GrantOf(&p.token.Spec), v.Intact && v.Holds(e.Name), nil
}

// accepted probes the data plane with a key.
func (m manual) accepted(
	ctx context.Context, p *reconciliation, conn connections.Connection, values map[string]provider.Value, grant provider.Grant,
) (bool, plan.Outcome) {
	prober, can := provider.As[provider.Prober](conn.Client)
	if !can {
		return false, plan.Failed{Err: errInconclusive}
	}
	accepted, err := p.probe(ctx, prober, values, grant)
	return accepted, m.r.providerFailed(p, "probe", err)
}

// keyID returns the public id that a key contains, or "".
func keyID(p *reconciliation, values map[string]provider.Value) string {
	driver, ok := provider.As[provider.Manual](p.facts.Driver)
	if !ok {
		return ""
	}
	return driver.KeyID(values)
}

// hasSubmitted reports whether the attempt is for a submitted credential.
func (a *Attempt) hasSubmitted() bool { return a.submitted.Version() != "" }
