package apitoken

import (
	"context"
	"slices"
	"time"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/audit"
	"apitoken.dev/operator/internal/connections"
	"apitoken.dev/operator/internal/metrics"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/provider"
)

// There are two kinds of credentials. A minted credential is issued, found and revoked by
// calls to the provider. A manual credential is created and deleted by a user, and no call
// shows it: the operator reads it from a handover, stores a copy, and probes the data plane
// with the copy.

// attemptStrategy contains the parts of an attempt that differ between minted and manual
// credentials.
type attemptStrategy interface {
	// prepare reads what the attempt needs. It is called before the reservation.
	prepare(ctx context.Context, a *Attempt) plan.Outcome
	// check ends an attempt whose credential cannot be published. If it returns a Rejection,
	// the reservation is withdrawn.
	check(ctx context.Context, a *Attempt) (plan.Outcome, *plan.Rejection)
	// saveCopy stores a copy of the credential, if it is needed later. It is called before
	// Publish writes the Secret.
	saveCopy(ctx context.Context, a *Attempt) error
	// recorded cleans up once the ledger shows the credential as Active.
	recorded(ctx context.Context, a *Attempt) plan.Outcome
	// rejected records a rejection by Mint.
	rejected(a *Attempt, err error)
}

// kindStrategy contains the facts about a kind of credentials.
type kindStrategy interface {
	// isManual reports whether a user creates the credential; the ledger entry records it.
	isManual() bool
	// probed returns the version of the Secret whose data is needed to tell whether a
	// credential is live, or "" if the provider is asked by name.
	probed(p *reconciliation) string
}

// nextStrategy is the strategy for the next credential of an ApiToken.
type nextStrategy interface {
	attemptStrategy
	kindStrategy
}

// entryStrategy contains the operations on a ledger entry that differ between minted and
// manual credentials.
type entryStrategy interface {
	// restored returns what is known about the credential in the Secret if the ledger has
	// lost it.
	restored(ctx context.Context, p *reconciliation, conn connections.Connection, name string) (plan.Restored, plan.Outcome)
	// identify returns the id of a credential and when it expires. The id is empty and the
	// time is zero if unknown.
	identify(ctx context.Context, p *reconciliation, conn connections.Connection, e *v1alpha1.LedgerEntry) (id string, expires time.Time, out plan.Outcome)
	// shown returns how the credential at the provider differs from what was issued, or "".
	shown(ctx context.Context, p *reconciliation, conn connections.Connection, e *v1alpha1.LedgerEntry) (v1alpha1.CredentialDrift, plan.Outcome)
	// end revokes a credential. If it marks the entry as gone, the status must be written
	// before deleteCopy is called.
	end(ctx context.Context, p *reconciliation, conn connections.Connection, e *v1alpha1.LedgerEntry) (marked bool, out plan.Outcome)
	// deleteCopy deletes the stored copy of a credential that has ended or is retained.
	deleteCopy(ctx context.Context, p *reconciliation, e *v1alpha1.LedgerEntry) error
}

var (
	_ nextStrategy  = minted{}
	_ nextStrategy  = manual{}
	_ entryStrategy = minted{}
	_ entryStrategy = manual{}
)

// strategyFor returns the strategy for the next credential of an ApiToken.
func (r *Reconciler) strategyFor(p *reconciliation) nextStrategy {
	if p.obs.Provider.Manual() {
		return manual{r}
	}
	return minted{r}
}

// strategyOf returns the strategy for the credential of a ledger entry.
func (r *Reconciler) strategyOf(e *v1alpha1.LedgerEntry) entryStrategy {
	if e.ByHand {
		return manual{r}
	}
	return minted{r}
}

// strategyLost returns the strategy for a credential that the ledger has lost. A manual
// credential is probed, if the driver can do that.
func (r *Reconciler) strategyLost(p *reconciliation, conn connections.Connection) entryStrategy {
	if !canProbe(conn) || !r.strategyFor(p).isManual() {
		return minted{r}
	}
	return manual{r}
}

// minted is the strategy for credentials that the provider issues.
type minted struct{ r *Reconciler }

func (minted) prepare(context.Context, *Attempt) plan.Outcome { return nil }

func (minted) check(context.Context, *Attempt) (plan.Outcome, *plan.Rejection) { return nil, nil }

func (minted) saveCopy(context.Context, *Attempt) error { return nil }

func (minted) recorded(context.Context, *Attempt) plan.Outcome { return nil }

func (minted) rejected(*Attempt, error) {}

func (minted) isManual() bool { return false }

func (minted) probed(*reconciliation) string { return "" }

func (m minted) restored(ctx context.Context, p *reconciliation, conn connections.Connection, name string) (plan.Restored, plan.Outcome) {
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

func (m minted) identify(ctx context.Context, p *reconciliation, conn connections.Connection, e *v1alpha1.LedgerEntry) (string, time.Time, plan.Outcome) {
	found, err := conn.Client.Find(ctx, account.RefOf(e))
	if err != nil {
		return "", time.Time{}, m.r.providerFailed(p, "find", err)
	}
	shown, ok := plan.Shown(e.Name, found)
	if !ok {
		return "", time.Time{}, nil
	}
	return shown.ID, shown.ExpiresAt, nil
}

func (m minted) shown(ctx context.Context, p *reconciliation, conn connections.Connection, e *v1alpha1.LedgerEntry) (v1alpha1.CredentialDrift, plan.Outcome) {
	found, err := conn.Client.Find(ctx, account.RefOf(e))
	if err != nil {
		return "", m.r.providerFailed(p, "find", err)
	}
	return plan.DriftOf(e, &p.token.Spec, found), nil
}

func (m minted) end(ctx context.Context, p *reconciliation, conn connections.Connection, e *v1alpha1.LedgerEntry) (bool, plan.Outcome) {
	return false, m.r.revokeOne(audit.Because(ctx, p.whyEnded(e)), p, conn, account.RefOf(e))
}

func (minted) deleteCopy(context.Context, *reconciliation, *v1alpha1.LedgerEntry) error { return nil }

// revokeOne calls Revoke for one credential.
func (r *Reconciler) revokeOne(ctx context.Context, p *reconciliation, conn connections.Connection, ref provider.Ref) plan.Outcome {
	err := conn.Client.Revoke(ctx, ref)
	metrics.Operation(p.facts.DriverType, "revoke", err)
	return r.providerFailed(p, "revoke", err)
}
