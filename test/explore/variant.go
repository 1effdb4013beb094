package explore

import (
	"context"
	"reflect"
	"runtime"
	"strings"
	"time"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/controllers/apitoken"
	"apitoken.dev/operator/internal/ledger"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/provider"
)

// variant is the protocol, or a version of it that is broken on purpose. The explorer
// must detect every broken one.
type variant struct {
	name string
	// see edits the observation before the rules read it. judge edits their decision.
	see   func(*plan.Observation)
	judge func(plan.Observation, plan.Decision) plan.Decision
	// order replaces the steps of an attempt.
	order     func(p *process, steps map[string]apitoken.Step) []apitoken.Step
	sameNames bool
	// In this story, these deviations make the variant break this invariant.
	story      Scenario
	deviations []string
	breaks     string
}

// decide wraps the rules with the changes of the variant.
func (v variant) decide(rules func(plan.Observation) plan.Decision) func(plan.Observation) plan.Decision {
	return func(o plan.Observation) plan.Decision {
		if v.see != nil {
			o.Ledger = append([]plan.Entry(nil), o.Ledger...)
			v.see(&o)
		}
		d := rules(o)
		if v.judge != nil {
			d = v.judge(o, d)
		}
		return d
	}
}

// steps returns the steps of an attempt under this variant. A deadline check is a choice
// point of its own, and no other choice comes between it and the request that follows.
func (w *world) steps(p *process) []apitoken.Step {
	if w.variant.order == nil {
		steps := apitoken.Standard()
		for i, s := range steps {
			if stepName(s) == "InTime" {
				steps[i] = p.checked(s)
			}
		}
		return steps
	}
	named := map[string]apitoken.Step{}
	for _, s := range apitoken.Standard() {
		named[stepName(s)] = s
	}
	named["InTime"] = p.checked(named["InTime"])
	return w.variant.order(p, named)
}

func stepName(s apitoken.Step) string {
	name := runtime.FuncForPC(reflect.ValueOf(s).Pointer()).Name()
	return name[strings.LastIndex(name, ".")+1:]
}

func (p *process) checked(inTime apitoken.Step) apitoken.Step {
	return func(a *apitoken.Attempt, ctx context.Context) plan.Outcome {
		f := p.yield(point{what: "check deadline", write: true})
		if out := inTime(a, ctx); out != nil {
			return out
		}
		p.fresh, p.pending = true, f
		return nil
	}
}

func standard(steps map[string]apitoken.Step, names ...string) []apitoken.Step {
	out := make([]apitoken.Step, 0, len(names))
	for _, n := range names {
		out = append(out, steps[n])
	}
	return out
}

func settleAll(o *plan.Observation) {
	for i := range o.Ledger {
		o.Ledger[i].Settled, o.Ledger[i].SettlesIn = true, 0
	}
}

// broken returns the variants that the explorer must detect.
func broken() []variant {
	return append(regressions(), []variant{
		{name: "no reservation", story: rotateAndDelete,
			deviations: []string{"crash"}, breaks: "S3",
			order: func(_ *process, s map[string]apitoken.Step) []apitoken.Step {
				prepare := func(a *apitoken.Attempt, _ context.Context) plan.Outcome { return a.Prepare() }
				return append([]apitoken.Step{prepare}, standard(s, "InTime", "Mint", "Usable", "InTime", "Publish", "Record")...)
			}},
		{name: "neither fence nor settle", story: loseTheSecret,
			deviations: []string{string(late), otherRuns}, breaks: "S3",
			see: settleAll, judge: func(_ plan.Observation, d plan.Decision) plan.Decision {
				if a, ok := d.Action.(plan.Abandon); ok {
					a.Fence = false
					d.Action = a
				}
				return d
			}},
		{name: "record before publish", story: loseTheSecretSoon,
			deviations: []string{string(late), "pause of 1m10s"}, breaks: "S2",
			order: func(_ *process, s map[string]apitoken.Step) []apitoken.Step {
				return standard(s, "Reserve", "InTime", "Mint", "Usable", "Record", "InTime", "Publish")
			}},
		revokeOnConflict(),
		mintAgain(),
		{name: "drop without settling", story: rotateAndDelete,
			deviations: []string{string(late)}, breaks: "S3",
			see: settleAll},
		adoptRevoked(),
		{name: "list the owner before settling", story: rotateAndDelete,
			deviations: []string{string(late), "the ApiToken is deleted"}, breaks: "S4",
			see: func(o *plan.Observation) {
				if o.Token.Deleting {
					settleAll(o)
				}
			}},
		{name: "deadline checked before Mint only", story: loseTheSecret,
			deviations: []string{otherRuns, "the Secret is deleted"}, breaks: "S2",
			order: func(_ *process, s map[string]apitoken.Step) []apitoken.Step {
				return standard(s, "Reserve", "InTime", "Mint", "Usable", "Publish", "Record")
			}},
		{name: "update again although the ledger shows an update in doubt", story: changeInPlace,
			deviations: []string{string(late)}, breaks: "S5",
			see: func(o *plan.Observation) {
				for i := range o.Ledger {
					o.Ledger[i].Updating = ""
				}
			}},
		{name: "revoke the credential in use without RevokeFirst", story: crowded,
			deviations: []string{"crash"}, breaks: "S2",
			see: func(o *plan.Observation) { o.Token.Spec.Rotation.Strategy = v1alpha1.RevokeFirst }},
		{name: "trust the ID in a Secret", story: retainAndRecreate, breaks: "S6", judge: believeID},
		{name: "stop revoking without admission", story: loseTheSecret,
			deviations: []string{"admission is lost"}, breaks: "convergence",
			judge: func(o plan.Observation, d plan.Decision) plan.Decision {
				if _, revokes := d.Action.(plan.Revoke); revokes && !o.Provider.Admitted {
					d.Action = plan.Wait{}
				}
				return d
			}},
	}...)
}

// believeID adopts a credential with the ID in the Secret's annotations, which a user has
// forged in this story.
func believeID(_ plan.Observation, d plan.Decision) plan.Decision {
	if a, ok := d.Action.(plan.AdoptRestored); ok {
		a.Terms.ID = victimID
		d.Action = a
	}
	return d
}

// revokeOnConflict treats every failed publish as a conflict with another writer.
func revokeOnConflict() variant {
	return variant{name: "revoke on a publish conflict", story: rotateAndDelete,
		deviations: []string{string(repeated)}, breaks: "S2",
		order: func(p *process, s map[string]apitoken.Step) []apitoken.Step {
			publish := func(a *apitoken.Attempt, ctx context.Context) plan.Outcome {
				out := s["Publish"](a, ctx)
				if p.secretFailed {
					_ = a.Client().Revoke(ctx, provider.Ref{Name: a.Name()})
				}
				return out
			}
			return append(standard(s, "Reserve", "InTime", "Mint", "Usable", "InTime"), publish, s["Record"])
		}}
}

// mintAgain continues an attempt that it read from the ledger, not one that it just
// reserved.
func mintAgain() variant {
	return variant{name: "mint again under a name read from the ledger", story: rotateAndDelete,
		deviations: []string{"crash"}, breaks: "S1",
		sameNames: true, judge: func(o plan.Observation, d plan.Decision) plan.Decision {
			if _, ok := d.Action.(plan.Abandon); ok {
				d.Action = plan.Issue{Reason: plan.IssueInitial, Revision: o.Token.Revision}
			}
			return d
		}, order: func(_ *process, s map[string]apitoken.Step) []apitoken.Step {
			reserve := func(a *apitoken.Attempt, ctx context.Context) plan.Outcome {
				if a.Revision() > a.Recorded() {
					return s["Reserve"](a, ctx)
				}
				return a.Prepare() // the name is in the ledger already
			}
			return append([]apitoken.Step{reserve}, standard(s, "InTime", "Mint", "Usable", "InTime", "Publish", "Record")...)
		}}
}

// adoptRevoked adopts the Retiring entry that a Secret names.
func adoptRevoked() variant {
	return variant{name: "adopt an entry that is being revoked", story: loseTheSecretSoon,
		deviations: []string{"crash", "an old Secret is restored"}, breaks: "S2",
		judge: func(o plan.Observation, d plan.Decision) plan.Decision {
			for i := range o.Ledger {
				e := &o.Ledger[i]
				held := o.Secret.Live && o.Secret.Exists && e.Name == o.Secret.Credential
				if held && e.State == v1alpha1.StateRetiring && e.IssuedAt != nil && !o.Token.Deleting {
					terms := ledger.Terms{
						ID: e.ID, Account: e.Account, IssuedAt: e.IssuedAt.Time, ExpiresAt: e.ExpiresAt.Time, Lifetime: time.Duration(e.LifetimeSeconds) * time.Second,
						Fingerprint: e.Fingerprint, RotationGeneration: e.RotationGeneration,
					}
					return plan.Decision{Action: plan.Adopt{Name: e.Name, Terms: terms}, State: plan.Progressing, Reason: v1alpha1.ReasonResolving}
				}
			}
			return d
		}}
}
