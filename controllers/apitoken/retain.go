package apitoken

import (
	"context"
	"fmt"
	"strings"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/audit"
	"apitoken.dev/operator/internal/metrics"
	"apitoken.dev/operator/internal/observe"
	"apitoken.dev/operator/internal/plan"
)

// release lets the ApiToken go. It keeps the Secret and its credential, unless the
// credential was revoked before deletionPolicy became Retain.
func (r *Reconciler) release(ctx context.Context, p *pass) plan.Outcome {
	seen, err := r.secrets.Read(ctx, p.target)
	if err != nil {
		return failed(err)
	}
	p.see(seen)
	secret, out := r.releaseSecret(ctx, p)
	if out != nil {
		return out
	}
	if err := r.dropKept(ctx, p); err != nil {
		return failed(err)
	}
	for i := range p.token.Status.Credentials {
		e := &p.token.Status.Credentials[i]
		p.found(audit.FoundRetained, e.Name, e.ID, p.subject.Why)
	}
	p.event(eventRetained, "Release", "%s", secret+alsoRetained(p))
	left := len(p.token.Status.Credentials) > 0
	if out := r.removeFinalizer(ctx, p); out != nil {
		return out
	}
	if left {
		metrics.Retained(p.facts.DriverType)
	}
	return nil
}

// releaseSecret keeps the Secret, or deletes it if what it holds was revoked. It
// returns what an event says of it.
func (r *Reconciler) releaseSecret(ctx context.Context, p *pass) (string, plan.Outcome) {
	name, v := p.token.SecretName(), p.seen.View
	switch e := p.entry(v.Credential); {
	case !v.Exists || v.Foreign:
		return "deletionPolicy is Retain, and there is no Secret to keep", nil
	case e == nil && r.wasRevoked(p):
		if err := r.secrets.Delete(ctx, p.target, p.seen); err != nil {
			return fmt.Sprintf("deletionPolicy is Retain, but the credential of Secret %q was revoked before, and the Secret could not be deleted (%s)",
				name, reasonOf(err)), nil
		}
		return fmt.Sprintf("deletionPolicy is Retain, but the credential of Secret %q was revoked before: the Secret is deleted", name), nil
	case e != nil && revoking(p, e):
		return fmt.Sprintf("Secret %q is kept: deletionPolicy is Retain. The operator had begun to revoke its credential %s, which may no longer give access",
			name, plan.Called(e)), writeFailed(r.secrets.Release(ctx, p.target, p.seen))
	default:
		its := "its credential"
		if e != nil {
			its += " " + named(e)
		}
		return fmt.Sprintf("Secret %q and %s are kept: deletionPolicy is Retain, and nothing revokes them now", name, its),
			writeFailed(r.secrets.Release(ctx, p.target, p.seen))
	}
}

// wasRevoked reports whether the ledger had the credential that the Secret names and
// dropped it: it was revoked and seen gone.
func (r *Reconciler) wasRevoked(p *pass) bool {
	v := &p.seen.View
	return v.Credential != "" && v.Facts.Revision <= p.token.Status.Revision && observe.Owns(r.Cluster, p.token)(v.Credential)
}

// revoking reports whether the revocation of a credential may have begun.
func revoking(p *pass, e *v1alpha1.LedgerEntry) bool {
	return e.State == v1alpha1.StateRetiring && (e.RetireAt == nil || !p.obs.Now.Before(e.RetireAt.Time))
}

// alsoRetained names the credentials that may stay live although the Secret does not
// hold them: previous ones in their overlap, and attempts with an unknown outcome.
func alsoRetained(p *pass) string {
	var live, doubtful []string
	for i := range p.token.Status.Credentials {
		switch e := &p.token.Status.Credentials[i]; {
		case e.Name == p.seen.View.Credential:
		case revoking(p, e):
			doubtful = append(doubtful, plan.Called(e))
		default:
			live = append(live, plan.Called(e))
		}
	}
	var said string
	if len(live) > 0 {
		said += ". What the Secret does not hold stays live too, and you revoke it at the provider: " + strings.Join(live, ", ")
	}
	if len(doubtful) > 0 {
		said += ". Check at the provider whether these are revoked, which the operator had begun: " + strings.Join(doubtful, ", ")
	}
	return said
}
