package apitoken

import (
	"context"
	"strconv"

	"k8s.io/apimachinery/pkg/api/meta"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/secretstore"
)

// see sets the Secret of this reconcile to one that was just read or written. A write
// proves that the API server accepts the Secret.
func (p *reconciliation) see(seen secretstore.Snapshot) {
	p.seen = seen
	if seen.Written {
		clearPublishRefused(p)
	}
}

// published is see for a Secret that this reconcile wrote or checked. It records its
// version.
func (p *reconciliation) published(seen secretstore.Snapshot) {
	p.see(seen)
	p.noteChecked()
}

// noteChecked records the version of the current Secret as checked, if its data is what the
// operator wrote. Nothing else writes this field.
func (p *reconciliation) noteChecked() { p.token.Status.Secret.ResourceVersion = p.seen.Checked() }

// syncSecret updates parts of the Secret and records its version.
func (r *Reconciler) syncSecret(ctx context.Context, p *reconciliation, parts plan.SyncSecret) plan.Outcome {
	e := p.entry(p.seen.View.Credential)
	if e == nil {
		return plan.Superseded{What: "the Secret holds another credential"}
	}
	contest := p.obs.Secret.Contest
	seen, err := r.secrets.Sync(ctx, p.target, p.seen, e, parts)
	if err != nil {
		return publishFailed(err)
	}
	if seen.Written {
		if pause := r.memory.Contests.Wrote(nameOf(p.token), p.target.Layout(), r.Clock.Monotonic()); pause > 0 {
			p.event(eventContested, "Sync", "%s of Secret %q was changed back by %s; the operator has restored it, and waits %s before it does so again",
				contest.What, p.token.SecretName(), managedBy(contest.By), pause)
		}
	}
	p.published(seen)
	return nil
}

// managedBy names a field manager in an event.
func managedBy(manager string) string {
	if manager == "" {
		return "another client"
	}
	return "field manager " + strconv.Quote(manager)
}

// clearPublishRefused removes the condition about a rejected write of the Secret, because a
// later write or dry run succeeded.
func clearPublishRefused(p *reconciliation) {
	if plan.PublishRefused(&p.token.Status) {
		meta.RemoveStatusCondition(&p.token.Status.Conditions, v1alpha1.ConditionPublished)
	}
}
