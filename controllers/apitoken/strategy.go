package apitoken

import (
	"context"
	"slices"
	"time"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/audit"
	"apitoken.dev/operator/internal/connections"
	"apitoken.dev/operator/internal/metrics"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/provider"
)

// A credential is made in one of two ways. A minted one is made, shown and revoked by
// calls of the provider. A manual one is made and deleted by a user, and no call shows
// it: the operator takes it from a Secret, keeps a copy of it, and tries that.

// attemptStrategy is what differs between the two ways in an attempt.
type attemptStrategy interface {
	// prepare reads what the attempt needs, before anything is reserved.
	prepare(ctx context.Context, a *Attempt) plan.Outcome
	// check ends an attempt whose credential cannot be published. With a Rejection, the
	// reservation is taken back.
	check(ctx context.Context, a *Attempt) (plan.Outcome, *plan.Rejection)
	// keep stores what is needed after the attempt. It is called before the publish.
	keep(ctx context.Context, a *Attempt) error
	// recorded cleans up once the credential is in the ledger as the one in use.
	recorded(ctx context.Context, a *Attempt) plan.Outcome
	// rejected notes an error of Mint.
	rejected(a *Attempt, err error)
}

// entryStrategy is what differs between the two ways for a credential of the ledger.
type entryStrategy interface {
	// restored returns what is known of the credential in the Secret, which the ledger
	// has lost.
	restored(ctx context.Context, p *pass, conn connections.Connection, name string) (plan.Restored, plan.Outcome)
	// identify returns the id of a credential, and when it ends (zero: not known). The id
	// is empty while it is not known.
	identify(ctx context.Context, p *pass, conn connections.Connection, e *v1alpha1.LedgerEntry) (id string, expires time.Time, out plan.Outcome)
	// shown returns how the provider shows a credential, if not as it was issued.
	shown(ctx context.Context, p *pass, conn connections.Connection, e *v1alpha1.LedgerEntry) (v1alpha1.CredentialDrift, plan.Outcome)
	// end ends a credential. If that marks the entry as gone, the mark must be written
	// before drop is called.
	end(ctx context.Context, p *pass, conn connections.Connection, e *v1alpha1.LedgerEntry) (marked bool, out plan.Outcome)
	// drop deletes what was kept of a credential that has ended or is let go.
	drop(ctx context.Context, p *pass, e *v1alpha1.LedgerEntry) error
}

var (
	_ attemptStrategy = minted{}
	_ attemptStrategy = manual{}
	_ entryStrategy   = minted{}
	_ entryStrategy   = manual{}
)

// strategyFor is the strategy for the next credential of an ApiToken.
func (r *Reconciler) strategyFor(p *pass) attemptStrategy {
	if p.obs.Provider.Form != nil {
		return manual{r}
	}
	return minted{r}
}

// strategyOf is the strategy for a credential of the ledger.
func (r *Reconciler) strategyOf(e *v1alpha1.LedgerEntry) entryStrategy {
	if e.ByHand {
		return manual{r}
	}
	return minted{r}
}

// strategyLost is the strategy for a credential that the ledger has lost. A manual one is
// tried, where the driver can do that.
func (r *Reconciler) strategyLost(p *pass, conn connections.Connection) entryStrategy {
	if _, can := provider.As[provider.Prober](conn.Client); can && p.obs.Provider.Form != nil {
		return manual{r}
	}
	return minted{r}
}

// minted is the strategy for credentials that the provider makes.
type minted struct{ r *Reconciler }

func (minted) prepare(context.Context, *Attempt) plan.Outcome { return nil }

func (minted) check(context.Context, *Attempt) (plan.Outcome, *plan.Rejection) { return nil, nil }

func (minted) keep(context.Context, *Attempt) error { return nil }

func (minted) recorded(context.Context, *Attempt) plan.Outcome { return nil }

func (minted) rejected(*Attempt, error) {}

func (m minted) restored(ctx context.Context, p *pass, conn connections.Connection, name string) (plan.Restored, plan.Outcome) {
	found, err := conn.Client.Find(ctx, provider.Ref{Name: name})
	if err != nil {
		return plan.Restored{}, m.r.providerFailed(p, "find", err)
	}
	isLive := func(c provider.Credential) bool { return c.Name == name && c.State == provider.Live }
	out := plan.Restored{Account: conn.Account.ID, Live: slices.ContainsFunc(found, isLive)}
	if shown, ok := plan.Shown(name, found); ok {
		out.ID, out.CreatedAt, out.ExpiresAt = shown.ID, shown.CreatedAt, shown.ExpiresAt
	}
	return out, nil
}

func (m minted) identify(ctx context.Context, p *pass, conn connections.Connection, e *v1alpha1.LedgerEntry) (string, time.Time, plan.Outcome) {
	found, err := conn.Client.Find(ctx, refOf(e))
	if err != nil {
		return "", time.Time{}, m.r.providerFailed(p, "find", err)
	}
	shown, ok := plan.Shown(e.Name, found)
	if !ok {
		return "", time.Time{}, nil
	}
	return shown.ID, shown.ExpiresAt, nil
}

func (m minted) shown(ctx context.Context, p *pass, conn connections.Connection, e *v1alpha1.LedgerEntry) (v1alpha1.CredentialDrift, plan.Outcome) {
	found, err := conn.Client.Find(ctx, refOf(e))
	if err != nil {
		return "", m.r.providerFailed(p, "find", err)
	}
	return plan.DriftOf(e, &p.token.Spec, found), nil
}

func (m minted) end(ctx context.Context, p *pass, conn connections.Connection, e *v1alpha1.LedgerEntry) (bool, plan.Outcome) {
	return false, m.r.revokeOne(audit.Because(ctx, p.whyEnded(e)), p, conn, refOf(e))
}

func (minted) drop(context.Context, *pass, *v1alpha1.LedgerEntry) error { return nil }

// revokeOne revokes a credential by its name and id.
func (r *Reconciler) revokeOne(ctx context.Context, p *pass, conn connections.Connection, ref provider.Ref) plan.Outcome {
	err := conn.Client.Revoke(ctx, ref)
	metrics.Operation(p.facts.DriverType, "revoke", err)
	return r.providerFailed(p, "revoke", err)
}

// refOf names the credential of a ledger entry.
func refOf(e *v1alpha1.LedgerEntry) provider.Ref {
	ref := provider.Ref{Name: e.Name, ID: e.ID}
	if e.ReservedAt != nil {
		ref.Since = e.ReservedAt.Time
	}
	return ref
}
