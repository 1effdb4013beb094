package apitoken

import (
	"context"

	ctrl "sigs.k8s.io/controller-runtime"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/places"
	"apitoken.dev/operator/internal/plan"
)

// takePlace takes a place at the provider for the rest of this reconcile. It reports false
// if there is none now: the ApiToken is reconciled again when its turn comes.
func (r *Reconciler) takePlace(p *pass) bool {
	if p.place != nil {
		return true
	}
	p.asked = true
	place, ok := r.Places.Take(wanted(p))
	if ok {
		p.place = place
	}
	return ok
}

// leave gives the place back. One that did not ask for a place in this reconcile
// needs none, and must not keep others from theirs.
func (r *Reconciler) leave(p *pass) {
	p.place.Release()
	if !p.asked {
		r.Places.Leave(nameOf(p.token))
	}
}

// wanted is the place that the action at hand needs.
func wanted(p *pass) places.Want {
	w := places.Want{Who: nameOf(p.token), Provider: p.key.String(), Shared: p.key.Kind == v1alpha1.KindClusterTokenProvider}
	if p.facts.Capabilities.MaxLive > 0 {
		w.Account = string(p.facts.AccountKey[:])
	}
	if p.obs.Access() == plan.ClaimedAccess {
		w.Class = places.Rest // what only a Secret speaks for comes last
		return w
	}
	switch p.action.(type) { //nolint:gochecksumtype // every other action issues or replaces a credential, or calls no provider
	case plan.Purge, plan.Revoke:
		w.Class = places.Ends
		return w
	case plan.Confirm:
		w.Class = places.Rest
		return w
	case plan.Issue, plan.CountSlots:
		w.Mints = true
	}
	w.Class = places.Issues
	if e := p.inUse(); e != nil {
		w.Class = places.Rotates
		if e.ExpiresAt != nil {
			w.Due = e.ExpiresAt.Time
		}
	}
	return w
}

// inLine ends a reconcile that has no place. It writes only what must not wait: an
// ApiToken is not Ready any more, because its credential expired or is not as declared.
func (r *Reconciler) inLine(ctx context.Context, p *pass, d plan.Decision) (ctrl.Result, error) {
	result := ctrl.Result{RequeueAfter: plan.UntilDue(p.token, p.obs.Now)}
	waits, write := plan.WaitsInLine(p.token, &p.obs, d)
	if !write {
		return result, nil
	}
	if err := r.save(ctx, p, waits, nil); err != nil {
		return notSaved(err)
	}
	return result, nil
}
