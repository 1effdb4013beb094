package apitoken

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/connections"
	"apitoken.dev/operator/internal/ledger"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/secretstore"
)

// form says how a person makes the credential; nil: Mint makes it.
func (r *Reconciler) form(p *pass) *provider.Form {
	driver, ok := provider.As[provider.ByHand](p.facts.Driver)
	if !ok {
		return nil
	}
	form, byHand := driver.Form(p.facts.Config, r.mintRequest(p, ""))
	if !byHand {
		return nil
	}
	return &form
}

// editedFor is the generation for which a person says that the credential was edited.
func editedFor(t *v1alpha1.ApiToken) int64 {
	generation, err := strconv.ParseInt(t.Annotations[v1alpha1.AnnotationEdited], 10, 64)
	if err != nil {
		return 0
	}
	return generation
}

// handover tells whether a person hands a credential over, and whether this
// process has already refused it.
func (r *Reconciler) handover(ctx context.Context, p *pass) (plan.Handover, error) {
	out := plan.Handover{Secret: p.target.HandoverName()}
	if p.obs.Provider.Form == nil {
		return out, nil
	}
	version, err := r.secrets.HandoverVersion(ctx, p.target)
	if err != nil || version == "" {
		return out, err
	}
	out.Exists, out.Refused = true, r.memory.Handovers.Refusal(nameOf(p.token), version)
	return out, nil
}

// handed reads what is handed over.
func (r *Reconciler) handed(ctx context.Context, p *pass) (secretstore.Handed, plan.Outcome) {
	handed, ok, err := r.secrets.Handover(ctx, p.target)
	if err != nil {
		return secretstore.Handed{}, failed(err)
	}
	if !ok {
		return secretstore.Handed{}, plan.Superseded{What: "no credential is handed over any more"}
	}
	return handed, nil
}

// manual reports whether the credential of the attempt was handed over.
func (a *Attempt) manual() bool { return a.handed.Version() != "" }

// refuseHandover remembers a submitted credential that cannot be used, so that it is not
// tried again and again.
func (a *Attempt) refuseHandover(err error) {
	if !plan.RefusesHandover(err, a.manual()) {
		return
	}
	message := provider.AsError(err).Message
	a.p.obs.Handover.Refused = message
	a.r.memory.Handovers.Refuse(nameOf(a.p.token), a.handed.Version(), message)
}

// isNew ends an attempt with a credential that is in the ledger already. That in use was
// handed over before, and its Secret was left behind, unless another one is wanted: then a
// person has made none, and is told so.
func (a *Attempt) isNew(ctx context.Context) plan.Outcome {
	if a.p.obs.Provider.Form == nil {
		return nil
	}
	id := a.minted.Credential.ID
	known, err := a.knows(ctx, id)
	if err != nil || known == nil {
		return failed(err)
	}
	ledger.Identify(&a.p.token.Status, known.Name, id, time.Time{}) // the data plane has just accepted this key
	again := fmt.Sprintf("credential %s is on its way out and cannot be used again: make another one", id)
	if known.State == v1alpha1.StateActive && !a.p.obs.WantsAnother() {
		a.p.event(eventHanded, "Handover", "credential %s is in use already; the Secret that hands it over is deleted", id)
		accepted := failed(a.r.secrets.Accept(ctx, a.p.target, a.handed))
		return plan.Join(accepted, a.reject(plan.LookAgain{Why: plan.SameCredential}, plan.Rejection{AtOnce: true}))
	}
	if known.State == v1alpha1.StateActive {
		again = fmt.Sprintf("credential %s is in use already, and another one is wanted: make a new one", id)
	}
	err = provider.Invalid(again)
	rejection, _ := plan.MintFailed(err, a.action, a.manual())
	a.refuseHandover(err)
	return a.reject(a.r.providerFailed(a.p, "mint", err), rejection)
}

// knows returns the other entry that has the key with this id, or nil. An entry
// whose id is not known yet has the one of the key that was stored under its name.
func (a *Attempt) knows(ctx context.Context, id string) (*v1alpha1.LedgerEntry, error) {
	for i := range a.p.token.Status.Credentials {
		e := &a.p.token.Status.Credentials[i]
		if e.Name == a.name || !e.ByHand {
			continue
		}
		if e.ID == id {
			return e, nil
		}
		if e.ID == "" {
			values, _, ok, err := a.r.storedKey(ctx, a.p, e)
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

// keep keeps a copy of a credential made by hand before it is published.
func (a *Attempt) keep(ctx context.Context) error {
	if a.p.obs.Provider.Form == nil {
		return nil
	}
	err := a.r.secrets.Keep(ctx, a.p.target, a.name, plan.GrantOf(&a.p.token.Spec), a.minted.Secret)
	if apierrors.IsAlreadyExists(err) {
		return nil // the client library repeated its own request: the name is ours alone
	}
	return err
}

// accept deletes the Secret that handed the credential over.
func (a *Attempt) accept(ctx context.Context) plan.Outcome {
	if a.handed.Version() == "" {
		return nil
	}
	return writeFailed(a.r.secrets.Accept(ctx, a.p.target, a.handed))
}

// proveDeleted tries a credential that a person has to delete: it is done when
// the provider no longer knows it, or a person says so.
func (r *Reconciler) proveDeleted(ctx context.Context, p *pass, conn connections.Connection, e *v1alpha1.LedgerEntry) plan.Outcome {
	if p.token.Annotations[v1alpha1.AnnotationDeleted] == plan.Called(e) {
		p.event(eventDeleted, "Prove", "credential %s is deleted, as an annotation of the ApiToken says", plan.Called(e))
		return nil
	}
	kept, ok, err := r.secrets.Kept(ctx, p.target, e.Name)
	if err != nil {
		return failed(err)
	}
	if prober, can := provider.As[provider.Prober](conn.Client); !ok || !can || r.accepts(ctx, p, prober, kept) {
		r.memory.Proofs.Tried(nameOf(p.token), e.Name, r.Clock.Monotonic())
		return plan.NeedsPerson{Task: r.deleteMessage(p, e)}
	}
	p.event(eventDeleted, "Prove", "credential %s is deleted: the provider refuses it", plan.Called(e))
	return nil
}

// accepts reports whether the provider accepts a credential, or does not tell.
func (r *Reconciler) accepts(ctx context.Context, p *pass, prober provider.Prober, kept secretstore.Kept) bool {
	accepted, err := prober.Accepts(ctx, kept.Values(), kept.Grant)
	operation(p.facts.DriverType, "probe", err)
	return accepted || err != nil
}

func (r *Reconciler) deleteMessage(p *pass, e *v1alpha1.LedgerEntry) string {
	o := p.obs
	o.Ledger = []plan.Entry{{LedgerEntry: *e, Settled: true}}
	o.Token.Deleting = true
	if task := o.Task(); task != nil {
		return task.Message
	}
	return "a credential has to be deleted at the provider"
}

// dropKept deletes every credential that was kept for this ApiToken.
func (r *Reconciler) dropKept(ctx context.Context, p *pass) error {
	var errs []error
	for i := range p.token.Status.Credentials {
		if e := &p.token.Status.Credentials[i]; e.ByHand {
			errs = append(errs, r.secrets.Drop(ctx, p.target, e.Name))
		}
	}
	return errors.Join(errs...)
}

// confirmEdit tries a credential that a person says was edited, with the access that is
// declared now. Only a credential that works counts as edited: a mistake in the edit would
// otherwise be found by the workload. One that does not work is tried again every minute.
func (r *Reconciler) confirmEdit(ctx context.Context, p *pass) plan.Outcome {
	conn, out := r.connect(ctx, p)
	if out != nil {
		return out
	}
	e, err := p.active()
	if err != nil {
		return failed(err)
	}
	values, _, ok, err := r.storedKey(ctx, p, e)
	prober, can := provider.As[provider.Prober](conn.Client)
	switch {
	case err != nil:
		return failed(err)
	case !can:
		return plan.Failed{Err: errors.New("this provider's driver cannot try a credential that was edited by hand")}
	case !ok:
		return plan.Superseded{What: "the Secret has changed since it was read"}
	}
	accepted, err := prober.Accepts(ctx, values, plan.GrantOf(&p.token.Spec))
	operation(p.facts.DriverType, "probe", err)
	if accepted && err == nil {
		if err := r.secrets.Edited(ctx, p.target, e.Name, plan.GrantOf(&p.token.Spec)); err != nil {
			return publishFailed(err)
		}
		return r.changed(ctx, p, nil)
	}
	why := "the provider does not accept it"
	if err != nil {
		if !plan.RefusesEdit(err) {
			return r.providerFailed(p, "probe", err) // the provider was not reached, or may not be asked now
		}
		why = provider.AsError(err).Message
	}
	return plan.NeedsPerson{Task: fmt.Sprintf(
		"credential %s was edited, as an annotation says, and does not work as declared: %s. Correct it at the provider (%s); the operator tries it again every minute",
		plan.Called(e), why, p.obs.Provider.Form.Edit)}
}

// republish puts a credential that was kept back into the Secret.
func (r *Reconciler) republish(ctx context.Context, p *pass) plan.Outcome {
	e, err := p.active()
	if err != nil {
		return failed(err)
	}
	kept, ok, err := r.secrets.Kept(ctx, p.target, e.Name)
	if err != nil {
		return failed(err)
	}
	if !ok {
		ledger.Retire(&p.token.Status, p.obs.Now, e.Name) // no copy is left: another one must be made
		return nil
	}
	to := p.target
	if e.Fingerprint != to.Fingerprint && (kept.Fingerprint == "" || kept.Fingerprint == e.Fingerprint) {
		// The Secret says what this credential gives, and not what another one will.
		to.Connection.Declaration = provider.ConnectionOf(p.facts.Driver, p.facts.Config, kept.Grant).Declaration
		to.Fingerprint = e.Fingerprint
	}
	seen, err := r.secrets.Publish(ctx, to, p.seen, e, provider.Minted{Secret: kept.Values()})
	if err != nil {
		return publishFailed(err)
	}
	p.published(seen)
	return nil
}
