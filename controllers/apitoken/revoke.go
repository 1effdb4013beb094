package apitoken

import (
	"context"
	"errors"
	"slices"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/audit"
	"apitoken.dev/operator/internal/connections"
	"apitoken.dev/operator/internal/ledger"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/provider"
)

// purge revokes every name of the ledger. When all are settled, the provider is
// asked for anything else of this owner, and only then the finalizer goes.
func (r *Reconciler) purge(ctx context.Context, p *pass, settled bool) error {
	conn, err := r.connect(ctx, p)
	if err != nil {
		return err
	}
	if begun, err := beginPurge(p, conn); err != nil || begun {
		return err // the write brings the next reconcile
	}
	ended, marked, err := r.purgeLedger(ctx, p, conn)
	if err != nil || marked || !settled {
		return errors.Join(err, r.dropEnded(ctx, p, conn, ended))
	}
	if err := r.purgeListed(ctx, p, conn); err != nil {
		return err
	}
	if err := r.purgeUnlisted(ctx, p, conn); err != nil {
		return err
	}
	if err := r.dropKept(ctx, p); err != nil {
		return err
	}
	for i := range p.token.Status.Credentials {
		p.revoked(&p.token.Status.Credentials[i])
	}
	return r.removeFinalizer(ctx, p)
}

// purgeLedger revokes every name of the ledger. It returns those that have settled and
// are revoked, and whether an entry was marked as gone.
func (r *Reconciler) purgeLedger(ctx context.Context, p *pass, conn connections.Connection) (ended []string, marked bool, err error) {
	var errs []error
	for i := range p.token.Status.Credentials {
		e := &p.token.Status.Credentials[i]
		err := r.endEntry(ctx, p, conn, e)
		if errs = append(errs, err); err == nil && p.settled(e.Name) {
			ended = append(ended, e.Name)
		}
	}
	marked, err = withoutMarks(errs)
	return ended, marked, err
}

// beginPurge records that the revocation of every credential begins, before the
// first call, and reports whether it had to. deletionPolicy may become Retain while
// the deletion waits, and what is said of a credential then must be true whenever
// this process stops.
func beginPurge(p *pass, conn connections.Connection) (bool, error) {
	var names []string
	for i := range p.token.Status.Credentials {
		e := &p.token.Status.Credentials[i]
		if !conn.Account.Is(e.Account) {
			return false, errAccountChanged
		}
		switch e.State {
		case v1alpha1.StateMinting, v1alpha1.StateActive, v1alpha1.StateAbandoned:
			names = append(names, e.Name)
		case v1alpha1.StateRetiring: // it was recorded before
		}
	}
	ledger.Retire(&p.token.Status, p.obs.Now, names...)
	return len(names) > 0, nil
}

// dropEnded drops the credentials that are seen to be gone while the deletion waits
// for others, so that the ledger says what was ended.
func (r *Reconciler) dropEnded(ctx context.Context, p *pass, conn connections.Connection, names []string) error {
	var errs []error
	for _, name := range names {
		gone, err := r.seenEnded(ctx, p, conn, p.entry(name))
		if errs = append(errs, err); gone && err == nil {
			p.drop(name)
		}
	}
	return errors.Join(errs...)
}

// purgeListed revokes what the provider still lists of this owner, which has to be
// seen gone before anything else.
func (r *Reconciler) purgeListed(ctx context.Context, p *pass, conn connections.Connection) error {
	var errs []error
	left := 0
	var unknown []string
	for c, err := range conn.Client.List(ctx, r.ownerOf(p.token)) {
		if err != nil {
			return r.providerFailed(p, "list", err)
		}
		left++
		if p.entry(c.Name) == nil {
			unknown = append(unknown, named(&v1alpha1.LedgerEntry{Name: c.Name, ID: c.ID}))
		}
		errs = append(errs, r.revokeOne(ctx, p, conn, provider.Ref{Name: c.Name, ID: c.ID}))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if left > 0 {
		r.tellUnknown(p, unknown)
		return errLookAgain
	}
	return nil
}

// purgeUnlisted looks for every entry by its name and ID, where the provider's list
// shows its newest credentials only.
func (r *Reconciler) purgeUnlisted(ctx context.Context, p *pass, conn connections.Connection) error {
	if p.facts.Capabilities.Listed == 0 {
		return nil
	}
	for i := range p.token.Status.Credentials {
		e := &p.token.Status.Credentials[i]
		if gone, err := r.seenGone(ctx, p, conn, e); err != nil {
			return err
		} else if !gone {
			return errLookAgain
		}
	}
	return nil
}

// seenGone reports whether the provider shows nothing under the name of an entry, or
// only what has ended.
func (r *Reconciler) seenGone(ctx context.Context, p *pass, conn connections.Connection, e *v1alpha1.LedgerEntry) (bool, error) {
	found, err := conn.Client.Find(ctx, refOf(e))
	if err != nil {
		return false, r.providerFailed(p, "find", err)
	}
	return len(provider.Occupying(found)) == 0, nil
}

// errLookAgain says that what was revoked has to be seen gone.
var errLookAgain = errors.New(plan.StillThere)

// revoke ends credentials, and drops each that is then seen to be gone.
func (r *Reconciler) revoke(ctx context.Context, p *pass, names []string) error {
	conn, err := r.connect(ctx, p)
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range names {
		gone, err := r.revokeEntry(ctx, p, conn, p.entry(name))
		var task *personError
		switch {
		case errors.As(err, &task), errors.Is(err, errMarked): // a condition asks for it; or it goes on with what is marked
		case err != nil:
			errs = append(errs, err)
		case !gone:
			errs = append(errs, errLookAgain)
		default:
			p.drop(name)
		}
	}
	return errors.Join(errs...)
}

func (r *Reconciler) revokeEntry(ctx context.Context, p *pass, conn connections.Connection, e *v1alpha1.LedgerEntry) (gone bool, err error) {
	if !conn.Account.Is(e.Account) {
		return false, errAccountChanged
	}
	if err := r.endEntry(ctx, p, conn, e); err != nil {
		return false, err
	}
	return r.seenEnded(ctx, p, conn, e)
}

// seenEnded is seenGone, and then the stored copy of a credential that a person made
// is deleted: it proved the revocation.
func (r *Reconciler) seenEnded(ctx context.Context, p *pass, conn connections.Connection, e *v1alpha1.LedgerEntry) (bool, error) {
	if gone, err := r.seenGone(ctx, p, conn, e); err != nil || !gone {
		return false, err
	}
	if e.ByHand {
		return true, r.secrets.Drop(ctx, p.target, e.Name)
	}
	return true, nil
}

// errMarked says that an entry is marked as gone, which has to be written before
// the copy of its credential may go: without the copy there is no other proof.
var errMarked = errors.New("a credential is seen to be deleted")

// withoutMarks joins errors, and reports whether one said that an entry is marked.
func withoutMarks(errs []error) (marked bool, err error) {
	rest := slices.DeleteFunc(errs, func(err error) bool {
		marks := errors.Is(err, errMarked)
		marked = marked || marks
		return marks
	})
	return marked, errors.Join(rest...)
}

// endEntry ends the credential of a ledger entry: it is revoked, or shown to be
// deleted by the person who made it.
func (r *Reconciler) endEntry(ctx context.Context, p *pass, conn connections.Connection, e *v1alpha1.LedgerEntry) error {
	if e.Gone {
		return nil
	}
	person, err := r.toDelete(ctx, p, e)
	switch {
	case err != nil:
		return err
	case !person && e.ByHand:
		return nil
	case !person:
		return r.revokeOne(audit.Because(ctx, p.whyEnded(e)), p, conn, refOf(e))
	}
	if err := r.proveDeleted(ctx, p, conn, e); err != nil {
		return err
	}
	ledger.MarkGone(&p.token.Status, e.Name)
	return errMarked
}

// refOf names the credential of a ledger entry.
func refOf(e *v1alpha1.LedgerEntry) provider.Ref {
	ref := provider.Ref{Name: e.Name, ID: e.ID}
	if e.ReservedAt != nil {
		ref.Since = e.ReservedAt.Time
	}
	return ref
}

func (r *Reconciler) revokeOne(ctx context.Context, p *pass, conn connections.Connection, ref provider.Ref) error {
	err := conn.Client.Revoke(ctx, ref)
	operation(p.facts.DriverType, "revoke", err)
	return r.providerFailed(p, "revoke", err)
}
