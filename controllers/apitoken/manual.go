package apitoken

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/connections"
	"apitoken.dev/operator/internal/ledger"
	"apitoken.dev/operator/internal/metrics"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/secretstore"
)

// manual is the strategy for credentials that a user makes.
type manual struct{ r *Reconciler }

// prepare reads the credential that was submitted.
func (m manual) prepare(ctx context.Context, a *Attempt) plan.Outcome {
	handed, ok, err := m.r.secrets.Handover(ctx, a.p.target)
	switch {
	case err != nil:
		return failed(err)
	case !ok:
		return plan.Superseded{What: "no credential is handed over any more"}
	}
	a.handed = handed
	return nil
}

// rejected remembers a submitted credential that cannot be used, so that it is not tried
// again and again.
func (m manual) rejected(a *Attempt, err error) {
	if !plan.RefusesHandover(err, a.manual()) {
		return
	}
	message := provider.AsError(err).Message
	a.p.obs.Handover.Refused = message
	m.r.memory.Handovers.Refuse(nameOf(a.p.token), a.handed.Version(), message)
}

// check rejects a credential that is in the ledger already. The one in use was submitted
// before, and its Secret was left behind, unless another one is wanted: then the user has
// made none, and is told so.
func (m manual) check(ctx context.Context, a *Attempt) (plan.Outcome, *plan.Rejection) {
	id := a.minted.Credential.ID
	known, err := m.known(ctx, a, id)
	if err != nil || known == nil {
		return failed(err), nil
	}
	ledger.Identify(&a.p.token.Status, known.Name, id, time.Time{}) // the data plane has just accepted this key
	again := fmt.Sprintf("credential %s is on its way out and cannot be used again: make another one", id)
	if known.State == v1alpha1.StateActive && !a.p.obs.WantsAnother() {
		a.p.event(eventHanded, "Handover", "credential %s is in use already; the Secret that hands it over is deleted", id)
		accepted := failed(m.r.secrets.DeleteHandover(ctx, a.p.target, a.handed))
		return plan.Join(accepted, plan.Unfinished{Why: plan.SameCredential}), &plan.Rejection{AtOnce: true}
	}
	if known.State == v1alpha1.StateActive {
		again = fmt.Sprintf("credential %s is in use already, and another one is wanted: make a new one", id)
	}
	err = provider.Invalid(again)
	rejection, _ := plan.MintFailed(err, a.action, a.manual())
	m.rejected(a, err)
	return m.r.providerFailed(a.p, "mint", err), &rejection
}

// known returns the other entry that has the key with this id, or nil. An entry
// whose id is not known yet has the one of the key that was stored under its name.
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

// keep stores a copy of the credential.
func (m manual) keep(ctx context.Context, a *Attempt) error {
	err := m.r.secrets.SaveCopy(ctx, a.p.target, a.name, plan.GrantOf(&a.p.token.Spec), a.minted.Secret)
	if apierrors.IsAlreadyExists(err) {
		return nil // the client library repeated its own request: the name is ours alone
	}
	return err
}

// recorded deletes the Secret with which the credential was submitted.
func (m manual) recorded(ctx context.Context, a *Attempt) plan.Outcome {
	return writeFailed(m.r.secrets.DeleteHandover(ctx, a.p.target, a.handed))
}

// restored tries the credential that the Secret holds.
func (m manual) restored(ctx context.Context, p *pass, conn connections.Connection, _ string) (plan.Restored, plan.Outcome) {
	prober, can := provider.As[provider.Prober](conn.Client)
	if !can {
		return plan.Restored{}, plan.Failed{Err: errLeftOpen}
	}
	values, out := p.seen.Values(), plan.Restored{Account: conn.Account.ID}
	accepted, err := prober.Accepts(ctx, values, plan.GrantOf(&p.token.Spec))
	if err != nil {
		return plan.Restored{}, m.r.providerFailed(p, "probe", err)
	}
	if out.Live = accepted; accepted {
		out.ID = keyID(p, values)
	}
	return out, nil
}

// identify reads the id from the key itself, once the data plane has accepted that.
func (m manual) identify(ctx context.Context, p *pass, conn connections.Connection, e *v1alpha1.LedgerEntry) (string, time.Time, plan.Outcome) {
	values, grant, ok, err := m.stored(ctx, p, e)
	if err != nil || !ok || !canProbe(conn) {
		return "", time.Time{}, failed(err)
	}
	accepted, out := m.accepted(ctx, p, conn, values, grant)
	if out != nil || !accepted {
		return "", time.Time{}, out
	}
	return keyID(p, values), time.Time{}, nil
}

// errLeftOpen says that an answer does not tell how a credential is.
var errLeftOpen = errors.New("the answer does not tell")

// shown tries a credential. One that is limited to addresses may be refused to the
// operator alone, so nothing follows from that.
func (m manual) shown(ctx context.Context, p *pass, conn connections.Connection, e *v1alpha1.LedgerEntry) (v1alpha1.CredentialDrift, plan.Outcome) {
	values, grant, ok, err := m.stored(ctx, p, e)
	switch {
	case err != nil:
		return "", failed(err)
	case !ok || !canProbe(conn) || len(grant.AllowedIPs)+len(grant.DeniedIPs) > 0:
		return "", plan.Failed{Err: errLeftOpen}
	}
	accepted, out := m.accepted(ctx, p, conn, values, grant)
	if out != nil || accepted {
		return "", out
	}
	return v1alpha1.DriftMissing, nil
}

// end is done when the user has deleted the credential. The entry is marked as gone
// before the copy may go: without the copy there is no other proof.
func (m manual) end(ctx context.Context, p *pass, conn connections.Connection, e *v1alpha1.LedgerEntry) (bool, plan.Outcome) {
	exists, err := m.exists(ctx, p, e)
	if err != nil || !exists {
		return false, failed(err)
	}
	if out := m.proveDeleted(ctx, p, conn, e); out != nil {
		return false, out
	}
	ledger.MarkGone(&p.token.Status, e.Name)
	return true, nil
}

// drop deletes the copy of a credential.
func (m manual) drop(ctx context.Context, p *pass, e *v1alpha1.LedgerEntry) error {
	return m.r.secrets.DeleteCopy(ctx, p.target, e.Name)
}

// exists reports whether there is a credential that a user has to delete. An attempt
// that was cut off has the key that was stored under its name, unless another entry has
// taken that over; without one it got nowhere.
func (m manual) exists(ctx context.Context, p *pass, e *v1alpha1.LedgerEntry) (bool, error) {
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

// proveDeleted tries a credential that a user has to delete: it is done when the
// provider no longer knows it, or the user says so.
func (m manual) proveDeleted(ctx context.Context, p *pass, conn connections.Connection, e *v1alpha1.LedgerEntry) plan.Outcome {
	if p.token.Annotations[v1alpha1.AnnotationDeleted] == plan.Called(e) {
		p.event(eventDeleted, "Prove", "credential %s is deleted, as an annotation of the ApiToken says", plan.Called(e))
		return nil
	}
	kept, ok, err := m.r.secrets.ReadCopy(ctx, p.target, e.Name)
	if err != nil {
		return failed(err)
	}
	if prober, can := provider.As[provider.Prober](conn.Client); !ok || !can || mayExist(ctx, p, prober, kept) {
		m.r.memory.Proofs.Tried(nameOf(p.token), e.Name, m.r.Clock.Monotonic())
		return plan.NeedsUser{Task: p.obs.DeletionTask(e).Message}
	}
	p.event(eventDeleted, "Prove", "credential %s is deleted: the provider refuses it", plan.Called(e))
	return nil
}

// mayExist reports whether the provider accepts a credential, or does not tell.
func mayExist(ctx context.Context, p *pass, prober provider.Prober, kept secretstore.Copy) bool {
	accepted, err := prober.Accepts(ctx, kept.Values(), kept.Grant)
	metrics.Operation(p.facts.DriverType, "probe", err)
	return accepted || err != nil
}

// stored returns the key of an entry: the stored copy, or what the Secret holds
// if it is as the operator wrote it. It reports false when there is neither.
func (m manual) stored(ctx context.Context, p *pass, e *v1alpha1.LedgerEntry) (map[string]provider.Value, provider.Grant, bool, error) {
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
	ok = v.Exists && !v.Foreign && v.Intact && v.Credential == e.Name
	return seen.Values(), plan.GrantOf(&p.token.Spec), ok, nil
}

// accepted tries a key.
func (m manual) accepted(
	ctx context.Context, p *pass, conn connections.Connection, values map[string]provider.Value, grant provider.Grant,
) (bool, plan.Outcome) {
	prober, can := provider.As[provider.Prober](conn.Client)
	if !can {
		return false, plan.Failed{Err: errLeftOpen}
	}
	accepted, err := prober.Accepts(ctx, values, grant)
	metrics.Operation(p.facts.DriverType, "probe", err)
	return accepted, m.r.providerFailed(p, "probe", err)
}

// canProbe reports whether the driver can try a key.
func canProbe(conn connections.Connection) bool {
	_, can := provider.As[provider.Prober](conn.Client)
	return can
}

// keyID is the public id that a key carries in itself; empty when it has none.
func keyID(p *pass, values map[string]provider.Value) string {
	driver, ok := provider.As[provider.ByHand](p.facts.Driver)
	if !ok {
		return ""
	}
	return driver.KeyID(values)
}

// manual reports whether the credential of the attempt was submitted.
func (a *Attempt) manual() bool { return a.handed.Version() != "" }
