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

// variant is the protocol, or one that is broken on purpose: the explorer has to
// notice each of them.
type variant struct {
	name string
	// see changes what the rules get to see, judge what they decide.
	see   func(*plan.Observation)
	judge func(plan.Observation, plan.Decision) plan.Decision
	// order changes the steps of an attempt.
	order     func(p *process, steps map[string]apitoken.Step) []apitoken.Step
	sameNames bool
	// In this story, these deviations show what is wrong, and this is broken.
	story      Scenario
	deviations []string
	breaks     string
}

// decide is the rules as this variant has them.
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

// steps are the steps of an attempt as this variant has them. A check of the
// deadline is a point of its own, and one with the request that follows it.
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

// broken are the variants that the explorer must catch.
func broken() []variant {
	return append(mendings(), []variant{
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
		{name: "update again after one that was read", story: changeInPlace,
			deviations: []string{string(late)}, breaks: "S5",
			see: func(o *plan.Observation) {
				for i := range o.Ledger {
					o.Ledger[i].Updating = ""
				}
			}},
		{name: "give up the credential in use without RevokeFirst", story: crowded,
			deviations: []string{"crash"}, breaks: "S2",
			see: func(o *plan.Observation) { o.Token.Spec.Rotation.Strategy = v1alpha1.RevokeFirst }},
		{name: "believe the id in a Secret", story: retainAndRecreate, breaks: "S6", judge: believeID},
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

// believeID adopts a credential with the id that the Secret's annotations say,
// which in its story a user has forged.
func believeID(_ plan.Observation, d plan.Decision) plan.Decision {
	if a, ok := d.Action.(plan.AdoptRestored); ok {
		a.Terms.ID = victimID
		d.Action = a
	}
	return d
}

// revokeOnConflict takes any error of a publish for somebody else's write.
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

// mintAgain goes on with an attempt that was read, not just written.
func mintAgain() variant {
	return variant{name: "mint again under a read name", story: rotateAndDelete,
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

// adoptRevoked believes a Secret that names a Retiring entry.
func adoptRevoked() variant {
	return variant{name: "adopt an entry whose revocation began", story: loseTheSecretSoon,
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
