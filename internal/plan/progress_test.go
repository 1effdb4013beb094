package plan_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/ledger"
	"apitoken.dev/operator/internal/plan"
)

// sample is the step between observations that are followed, which takes many decisions each.
const sample = 11

// The decisions are carried out one after the other, no time passes, and present faults remain.
func TestDecisionsReachAWait(t *testing.T) {
	failures := 0
	space(sample, func(name string, o plan.Observation) {
		if failures >= maxReports {
			return
		}
		from := describe(&o)
		if _, trail, ok := settle(copied(&o)); !ok {
			failures++
			t.Errorf("%s: %s\ndecisions never end: %v", name, from, trail)
		}
	})
}

// Without faults and as time passes, an ApiToken becomes Ready, reaches its hard end or is removed,
// and no other credential is left. That also holds in an account with two slots, with and without
// a gap.
func TestDecisionsConvergeOnceFaultsEnd(t *testing.T) {
	for name, account := range map[string]change{"any number": none, "two": twoSlots, "two, revoke first": all(twoSlots, revokeFirst)} {
		t.Run(name, func(t *testing.T) { testItConverges(t, account) })
	}
}

func testItConverges(t *testing.T, account change) {
	failures := 0
	space(sample, func(name string, o plan.Observation) {
		if failures >= maxReports || count(&o, v1alpha1.StateActive) > 1 {
			return
		}
		o = copied(&o)
		heal(&o)
		account(&o)
		from := describe(&o)
		if trail, why := converge(o); why != "" {
			failures++
			t.Errorf("%s: %s\n%s after %v", name, from, why, trail)
		}
	})
}

// heal takes away what only others can change.
func heal(o *plan.Observation) {
	healthy := observe()
	o.Provider, o.Token.Spec.Suspend = healthy.Provider, false
	if o.Secret.Foreign || o.Secret.Deleting {
		absent(o)
	}
	o.Ledger = slices.DeleteFunc(o.Ledger, func(e plan.Entry) bool { return e.State == "Frozen" || !o.Token.Owns(e.Name) })
	for i := range o.Ledger {
		o.Ledger[i].Account = account
	}
}

// converge lets time pass until nothing but the next rotation is due.
func converge(o plan.Observation) (trail []string, wrong string) {
	for range 120 { // a full ledger is looked at once a minute until an overlap of an hour is over
		next, steps, ok := settle(o)
		trail = append(trail, steps...)
		if !ok {
			return trail, "decisions never end"
		}
		o = next
		if reached(&o) {
			return trail, ""
		}
		d := plan.Next(o)
		if d.After <= 0 {
			return trail, fmt.Sprintf("it waits for ever: %s: %s", d.Reason, d.Message)
		}
		o = after(&o, d.After)
		trail = append(trail, "+"+d.After.String())
	}
	return trail, "nothing is reached"
}

// reached reports whether all is as declared, and nothing is left over.
func reached(o *plan.Observation) bool {
	switch r := plan.ReadinessOf(o); {
	case o.Token.Deleting:
		return !o.Token.HasFinalizer
	case over(o):
		return len(o.Ledger) == 0 && !o.Secret.Exists
	default:
		return r.Ready && len(o.Ledger) == 1 && dressed(o)
	}
}

// settle carries out decisions until one waits. The next reconcile begins with a cache.
func settle(o plan.Observation) (end plan.Observation, trail []string, ok bool) {
	for range 60 {
		d := decide(&o)
		trail = append(trail, d.Rule)
		if _, waits := d.Action.(plan.Wait); waits {
			return o, trail, true
		}
		if p, is := d.Action.(plan.Purge); is && !p.Settled {
			o = after(&o, d.After)
			continue
		}
		perform(&o, d.Action)
		o.Secret.Live, o.Restored, o.Failed = false, nil, nil
	}
	return o, trail, false
}

// decide looks as often as the decision asks to.
func decide(o *plan.Observation) plan.Decision {
	for {
		d := plan.Next(*o)
		if _, reads := d.Action.(plan.ReadSecret); reads {
			o.Secret.Live = true
		} else if _, finds := d.Action.(plan.FindRestored); finds {
			answered(o.Secret.Intact)(o) // one or the other
		} else if _, counts := d.Action.(plan.CountSlots); counts {
			counted(existing(o)...)(o)
		} else {
			return d
		}
	}
}

// perform does to the world what an action does when all goes well.
func perform(o *plan.Observation, action plan.Action) {
	switch a := action.(type) {
	case plan.AddFinalizer:
		o.Token.HasFinalizer = true
	case plan.RemoveFinalizer, plan.Release, plan.Purge:
		o.Token.HasFinalizer = false
	case plan.Adopt:
		activate(o, a.Name)
	case plan.AdoptRestored:
		o.Ledger = append(o.Ledger, attempt(a.Name, v1alpha1.StateMinting, 0))
		o.Token.Revision = max(o.Token.Revision, o.Secret.Facts.Revision)
		activate(o, a.Name)
	case plan.AdoptRetiring:
		o.Ledger = append(o.Ledger, retiring(a.Name, 0))
		o.Token.Revision = max(o.Token.Revision, a.Terms.Revision)
	case plan.Identify:
		edit(o, a.Name, func(e *plan.Entry) { e.ID = "AKIA" + e.Name })
	case plan.Confirm:
		edit(o, a.Name, func(e *plan.Entry) { e.Doubted, e.Confirmed = false, true })
	case plan.Abandon:
		edit(o, a.Name, func(e *plan.Entry) { e.State = v1alpha1.StateAbandoned })
	case plan.Withdraw:
		o.Ledger = slices.DeleteFunc(o.Ledger, func(e plan.Entry) bool { return e.Name == a.Name })
		o.Token.Revision--
	case plan.Issue:
		issued(o, a)
	case plan.TryPublish:
		o.Token.PublishRefused = false
	case plan.BeginRevoke:
		retire(o, a.Names...)
	case plan.EndOverlap:
		retire(o, a.Name)
	case plan.Retire:
		retire(o, a.Name)
	case plan.Revoke:
		o.Ledger = slices.DeleteFunc(o.Ledger, func(e plan.Entry) bool { return slices.Contains(a.Names, e.Name) })
	case plan.SyncSecret:
		synced(o, a)
	case plan.DeleteSecret:
		absent(o)
		o.Secret.Trusted = true
	case plan.Update:
		edit(o, a.Name, func(e *plan.Entry) { e.Fingerprint = plan.Fingerprint(&o.Token.Spec) })
	case plan.ConfirmEdit:
		edit(o, a.Name, func(e *plan.Entry) { e.Fingerprint = plan.Fingerprint(&o.Token.Spec) })
	case plan.Republish:
		o.Secret.Exists, o.Secret.Credential, o.Secret.Intact, o.Secret.Trusted = true, a.Name, true, true
	case plan.GiveUp:
		retire(o, a.Name)
		o.Token.GapSince = o.Now
	case plan.Wait, plan.ReadSecret, plan.FindRestored, plan.CountSlots:
	}
	o.Occupied = nil // it was counted before
}

// existing are the names that the provider has: all that is in the ledger.
func existing(o *plan.Observation) []string {
	var out []string
	for _, e := range o.Ledger {
		out = append(out, e.Name)
	}
	return out
}

func edit(o *plan.Observation, name string, change func(*plan.Entry)) {
	for i := range o.Ledger {
		if o.Ledger[i].Name == name {
			change(&o.Ledger[i])
		}
	}
}

func retire(o *plan.Observation, names ...string) {
	for _, name := range names {
		edit(o, name, func(e *plan.Entry) { e.State, e.RetireAt = v1alpha1.StateRetiring, at(o.Now) })
	}
}

// activate makes an entry Active that the Secret holds; any other starts its overlap.
func activate(o *plan.Observation, name string) {
	spec := &o.Token.Spec
	for i := range o.Ledger {
		if e := &o.Ledger[i]; e.State == v1alpha1.StateActive {
			e.State, e.RetireAt = v1alpha1.StateRetiring, at(o.Now.Add(plan.Overlap(spec, 24*time.Hour)))
		}
	}
	edit(o, name, func(e *plan.Entry) {
		e.State, e.Settled, e.SettlesIn, e.IssuedAt = v1alpha1.StateActive, true, 0, at(o.Now)
		e.ExpiresAt, e.RetireAt = at(plan.ExpiryFor(spec, o.Now, 0)), nil
	})
	o.Token.Retry, o.Token.PublishRefused, o.Secret.Trusted, o.Token.GapSince = nil, false, true, time.Time{}
}

// issued reserves, mints, publishes and records.
func issued(o *plan.Observation, a plan.Issue) {
	name := fmt.Sprintf("own-r%d", a.Revision)
	e := attempt(name, v1alpha1.StateMinting, time.Minute)
	e.Fingerprint, e.RotationGeneration = plan.Fingerprint(&o.Token.Spec), o.Token.Spec.Rotation.Generation
	o.Ledger = append(o.Ledger, e)
	o.Token.Revision = a.Revision
	if a.Charged {
		s := &v1alpha1.ApiTokenStatus{MintBudget: o.Token.Budget}
		ledger.Charge(s, o.Now)
		o.Token.Budget = s.MintBudget
	}
	o.Secret.Exists, o.Secret.Credential, o.Secret.Intact = true, name, true
	o.Secret.MetadataCurrent, o.Secret.SettingsCurrent, o.Secret.DeclarationCurrent = true, true, true
	o.Secret.Facts = plan.CredentialFacts{Account: account, Revision: a.Revision}
	activate(o, name)
}
