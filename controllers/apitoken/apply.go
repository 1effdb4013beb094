package apitoken

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/trim"
)

// apply carries out one action. Changes to the ledger are made in p.token and
// written by report.
//
//nolint:gocyclo // one case an action, and the compiler's help to forget none
func (r *Reconciler) apply(ctx context.Context, p *pass, d plan.Decision) error {
	switch a := d.Action.(type) {
	case plan.AddFinalizer:
		return r.patchFinalizer(ctx, p, true)
	case plan.RemoveFinalizer:
		return r.removeFinalizer(ctx, p)
	case plan.Release:
		return r.release(ctx, p)
	case plan.Purge:
		return r.purge(ctx, p, a.Settled)
	case plan.Adopt:
		return r.adopt(p, a.Name)
	case plan.AdoptRestored:
		return r.adoptRestored(p, a.Name)
	case plan.Abandon:
		return r.abandon(ctx, p, a)
	case plan.Issue:
		err := r.issue(ctx, p, a)
		rotationFailed(p.facts.DriverType, a.Reason, p.base, err)
		return err
	case plan.Update:
		return r.update(ctx, p)
	case plan.ConfirmEdit:
		return r.confirmEdit(ctx, p)
	case plan.Republish:
		return r.republish(ctx, p)
	case plan.GiveUp:
		return r.giveUp(p, a.Name)
	case plan.TryPublish:
		return r.tryPublish(ctx, p)
	case plan.BeginRevoke:
		return r.retire(p, a.Names...)
	case plan.Retire:
		return r.retire(p, a.Name)
	case plan.Revoke:
		return r.revoke(ctx, p, a.Names)
	case plan.SyncSecret:
		return r.syncSecret(ctx, p)
	case plan.DeleteSecret:
		return r.deleteSecret(ctx, p)
	case plan.ReadSecret, plan.FindRestored, plan.CountSlots, plan.Wait:
		return nil
	}
	return fmt.Errorf("no way to carry out %T", d.Action)
}

// errSuperseded says that somebody else changed the object first: nothing was
// done, and what there is now has to be looked at again.
var errSuperseded = errors.New("the object was changed meanwhile")

func superseded(err error) error {
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) || apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("%w: %s", errSuperseded, apierrors.ReasonForError(err))
	}
	return err
}

// patchFinalizer changes the finalizer and nothing else, if the ApiToken still is as read.
func (r *Reconciler) patchFinalizer(ctx context.Context, p *pass, on bool) error {
	changed, err := trim.SetFinalizer(ctx, r.Client, r.Live, p.token, on)
	if err != nil {
		return superseded(err)
	}
	if changed {
		r.wrote(p)
	}
	return nil
}

func (r *Reconciler) removeFinalizer(ctx context.Context, p *pass) error {
	if err := r.patchFinalizer(ctx, p, false); err != nil {
		return err
	}
	p.token.DeletionTimestamp = nil
	r.forget(client.ObjectKeyFromObject(p.token))
	return nil
}

// wrote notes that the API server has the token as it is in p.
func (r *Reconciler) wrote(p *pass) {
	// Half of what the API server answers; sending nothing back leaves them as they are.
	p.token.ManagedFields = nil
	rotated(p.facts.DriverType, p.base, &p.token.Status)
	p.base = p.token.Status.DeepCopy()
	p.saved = true
	r.written.remember(p.token)
	r.tell(p)
}

// release keeps Secret and credential, and lets the ApiToken go.
func (r *Reconciler) release(ctx context.Context, p *pass) error {
	seen, err := r.secrets.Read(ctx, p.target)
	if err != nil {
		return err
	}
	if v := seen.View; v.Exists && !v.Foreign {
		if err := r.secrets.Release(ctx, p.target, seen); err != nil {
			return superseded(err)
		}
	}
	if err := r.dropKept(ctx, p); err != nil {
		return err
	}
	p.event(eventRetained, "Release", "Secret %q and its credential are kept: deletionPolicy is Retain, and nothing revokes them now", p.token.SecretName())
	if err := r.removeFinalizer(ctx, p); err != nil {
		return err
	}
	retained.WithLabelValues(p.facts.DriverType).Inc()
	return nil
}

// adopt makes an attempt Active whose credential the Secret holds.
func (r *Reconciler) adopt(p *pass, name string) error {
	facts := p.seen.View.Facts
	e := p.entry(name)
	if e == nil {
		return fmt.Errorf("credential %s is not in the ledger", name)
	}
	e.ID = facts.ID
	e.IssuedAt, e.ExpiresAt = timeOf(facts.IssuedAt), timeOf(facts.ExpiresAt)
	if e.IssuedAt == nil {
		e.IssuedAt = stamp(&p.obs)
	}
	r.activate(p, e)
	p.event(eventAdopted, "Adopt", "credential %s of an interrupted attempt is in the Secret and in use", name)
	return nil
}

// issueRestored is the reason of an entry whose ledger was lost.
const issueRestored = "Restored"

// adoptRestored makes the Secret's credential the first entry of a lost ledger.
func (r *Reconciler) adoptRestored(p *pass, name string) error {
	facts := p.seen.View.Facts
	p.token.Status.Credentials = append(p.token.Status.Credentials, v1alpha1.LedgerEntry{
		Name: name, State: v1alpha1.StateMinting, Account: facts.Account, Reason: issueRestored,
		Fingerprint: facts.Fingerprint, RotationGeneration: facts.RotationGeneration, ByHand: p.obs.Provider.Form != nil,
	})
	if e := p.entry(name); facts.Fingerprint == plan.Fingerprint(&p.token.Spec) {
		e.Fixed = plan.Fixed(&p.token.Spec, p.facts.Capabilities.Updates)
	}
	p.token.Status.Revision = max(p.token.Status.Revision, facts.Revision)
	return r.adopt(p, name)
}

// activate makes an entry the Active one; any other Active one starts its overlap.
func (r *Reconciler) activate(p *pass, e *v1alpha1.LedgerEntry) {
	status := &p.token.Status
	for i := range status.Credentials {
		old := &status.Credentials[i]
		if old.State != v1alpha1.StateActive || old.Name == e.Name {
			continue
		}
		lifetime := plan.Lifetime(&p.token.Spec)
		if old.ExpiresAt != nil && old.IssuedAt != nil {
			lifetime = old.ExpiresAt.Sub(old.IssuedAt.Time)
		}
		due := p.obs.Now.Add(plan.Overlap(&p.token.Spec, lifetime) + time.Second).Truncate(time.Second)
		if old.ExpiresAt != nil && due.After(old.ExpiresAt.Time) {
			due = old.ExpiresAt.Time
		}
		old.State, old.RetireAt = v1alpha1.StateRetiring, timeOf(due)
	}
	e.State, e.RetireAt = v1alpha1.StateActive, nil
	status.Retry = nil
	r.endGap(p)
	clearPublishRefused(p)
	status.Secret.ResourceVersion = p.seen.Version
}

// abandon gives an attempt up that was read, not just written.
func (r *Reconciler) abandon(ctx context.Context, p *pass, a plan.Abandon) error {
	if a.Fence {
		if err := r.secrets.Fence(ctx, p.target, p.seen, a.Name); err != nil {
			return publishFailed(err)
		}
	}
	if e := p.entry(a.Name); e != nil {
		e.State = v1alpha1.StateAbandoned
	}
	p.event(eventAbandoned, "Abandon", "attempt %s ended without a known result; it is revoked once it can no longer take effect", a.Name)
	return nil
}

// tryPublish asks the API server whether it would take the Secret now.
func (r *Reconciler) tryPublish(ctx context.Context, p *pass) error {
	if err := r.secrets.TryPublish(ctx, p.target, p.seen); err != nil {
		p.token.Status.Retry = plan.Backoff(p.token.Status.Retry, p.obs.Now, plan.Remaining(&p.obs))
		return publishFailed(err)
	}
	clearPublishRefused(p)
	return nil
}

func (r *Reconciler) syncSecret(ctx context.Context, p *pass) error {
	seen, err := r.secrets.Sync(ctx, p.target, p.seen)
	if err != nil {
		return superseded(publishFailed(err))
	}
	p.published(seen)
	return nil
}

func (r *Reconciler) deleteSecret(ctx context.Context, p *pass) error {
	if err := r.secrets.Delete(ctx, p.target, p.seen); err != nil {
		return superseded(err)
	}
	p.event(eventExpired, "Expire", "the time is up: Secret %q is deleted and its credential revoked", p.token.SecretName())
	r.tell(p) // no other pass deletes it again
	p.token.Status.Secret.ResourceVersion = ""
	seen, err := r.secrets.Read(ctx, p.target)
	if err != nil {
		return err
	}
	p.see(seen)
	return nil
}

func (p *pass) entry(name string) *v1alpha1.LedgerEntry {
	for i := range p.token.Status.Credentials {
		if p.token.Status.Credentials[i].Name == name {
			return &p.token.Status.Credentials[i]
		}
	}
	return nil
}

func timeOf(t time.Time) *metav1.Time {
	if t.IsZero() {
		return nil
	}
	out := metav1.NewTime(t.UTC().Truncate(time.Second))
	return &out
}
