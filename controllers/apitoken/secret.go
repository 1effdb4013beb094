package apitoken

import (
	"context"
	"strconv"

	"k8s.io/apimachinery/pkg/api/meta"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/secretstore"
)

// see takes a Secret as it was read or written. After a write the API server no longer
// refuses it.
func (p *pass) see(seen secretstore.Snapshot) {
	p.seen = seen
	if seen.Written {
		clearPublishRefused(p)
	}
}

// published takes a Secret as this pass wrote or checked it, and notes its version.
func (p *pass) published(seen secretstore.Snapshot) {
	p.see(seen)
	p.noteChecked()
}

// noteChecked notes the version of the Secret at hand as checked, if its data is what the
// operator wrote. Nothing else writes this field.
func (p *pass) noteChecked() { p.token.Status.Secret.ResourceVersion = p.seen.Checked() }

// syncSecret brings parts of the Secret up to date, and records its version.
func (r *Reconciler) syncSecret(ctx context.Context, p *pass, parts plan.SyncSecret) plan.Outcome {
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
			p.event(eventContested, "Sync", "%s of Secret %q was changed back by %s, and is written again; the next time after %s",
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

// clearPublishRefused forgets a refusal, because a write of the Secret or a dry run has
// passed since.
func clearPublishRefused(p *pass) {
	if plan.PublishRefused(&p.token.Status) {
		meta.RemoveStatusCondition(&p.token.Status.Conditions, v1alpha1.ConditionPublished)
	}
}
