package plan

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/cli/tokenstate"
	"apitoken.dev/operator/internal/ledger"
	"apitoken.dev/operator/internal/memory"
	"apitoken.dev/operator/internal/observe"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/provider"
)

// situation has the facts for which the rules decide.
type situation struct {
	token   *v1alpha1.ApiToken
	cluster string
	facts   account.Facts
	request provider.MintRequest
	// gathered is what observe.Gather returned, obs that once it has settled.
	gathered, obs plan.Observation
	// unread is why the provider could not be read; nil: it was read, or does not exist. The
	// rules are then asked about a provider that grants everything.
	unread error
	// dressed: the metadata and the connection keys of the Secret are as declared.
	dressed bool
}

// asks are the outcomes that lead to a request, now or later.
var asks = map[string]bool{outcomeIssue: true, outcomeReissue: true, outcomeInPlace: true, outcomeByHand: true, outcomeBlocked: true}

// decide asks the operator's own rules what follows from the declaration.
func (p *planner) decide(ctx context.Context, before, token *v1alpha1.ApiToken, out *planned) error {
	if !token.DeletionTimestamp.IsZero() {
		out.Outcome, out.Message = outcomeEnds, "the ApiToken is being deleted: nothing is issued for it any more"
		return nil
	}
	// Any status in the file is ignored.
	ledger.Replace(&token.Status, &before.Status)
	sit, err := p.situation(ctx, token, out)
	if err != nil {
		return err
	}
	classify(sit, plan.Next(sit.obs), out)
	if out.Help != "" {
		out.Do = p.WhatToDo(token, out.Reason)
	}
	if sit.unread != nil {
		p.withoutProvider(sit, out)
	}
	if err := errors.Join(p.removedKeys(ctx, before, sit, out), p.leftSecret(ctx, before, token, out)); err != nil {
		return err
	}
	if out.Outcome == outcomeNothing && !sit.dressed {
		out.Message = "the Secret is brought up to date; its credential stays"
	}
	if token.Spec.Rotation.Generation < before.Spec.Rotation.Generation {
		out.Notes = append(out.Notes, "a lower rotation.generation does nothing")
	}
	if asks[out.Outcome] && sit.facts.Driver != nil {
		out.Request = p.requestView(sit, out)
	}
	return nil
}

// situation gathers what the rules are asked about.
func (p *planner) situation(ctx context.Context, token *v1alpha1.ApiToken, out *planned) (*situation, error) {
	secret, err := p.secretMeta(ctx, token, token.SecretName(), out)
	if err != nil {
		return nil, err
	}
	sit := &situation{token: token, cluster: p.ClusterOf(ctx, token, metaOf(secret))}
	from := p.sources(sit, secret, out)
	gathered, err := observe.Gather(ctx, &observe.Sources{
		Objects: from, Providers: from, Secrets: from, Memory: memory.New(), Clock: p.Clock, Cluster: sit.cluster,
	}, token)
	if err != nil {
		return nil, err
	}
	from.note(gathered)
	sit.facts, sit.unread = gathered.Facts, from.unread
	sit.request = p.Request(token, &sit.facts, sit.cluster)
	v := gathered.Seen.View
	// What the Secret says of the provider cannot be judged without the provider.
	sit.dressed = !v.Exists || v.MetadataCurrent && (sit.unread != nil || v.SettingsCurrent && v.DeclarationCurrent)
	sit.gathered, sit.obs = gathered.Observation, settled(gathered.Observation)
	return sit, nil
}

// settled returns an Observation as it will be when the operator has finished what does
// not follow from the declaration. No attempt is in progress then, and the Secret is as
// the operator writes it. While these steps are due they come before all others, so they
// would hide what the declaration changes.
func settled(o plan.Observation) plan.Observation {
	o.Token.HasFinalizer, o.Token.PublishRefused = true, false
	if len(o.Ledger) > 0 && !slices.ContainsFunc(o.Ledger, func(e plan.Entry) bool { return o.Token.Owns(e.Name) }) {
		o.Token.Owns = nil // the operator has another identity than the cluster; see clusterOf
	}
	o.Ledger = lasting(o.Ledger)
	o.Provider.Shared.NewerThanDoubt, o.Provider.Shared.Doubt = 0, ""
	s := &o.Secret
	s.Live, s.Trusted, s.Intact = true, true, true
	s.MetadataCurrent, s.SettingsCurrent, s.DeclarationCurrent = true, true, true
	return o
}

// lasting leaves out attempts without an outcome and credentials that will be revoked.
func lasting(entries []plan.Entry) []plan.Entry {
	return slices.DeleteFunc(slices.Clone(entries), func(e plan.Entry) bool {
		switch e.State {
		case v1alpha1.StateMinting, v1alpha1.StateAbandoned, v1alpha1.StateRetiring:
			return true
		case v1alpha1.StateActive:
		}
		return false
	})
}

// classify puts a decision of the rules into one word.
func classify(sit *situation, d plan.Decision, out *planned) {
	out.Reason, out.Message = d.Reason, d.Message
	live := tokenstate.Active(sit.token) != nil
	switch a := d.Action.(type) { //nolint:gochecksumtype // the rest changes nothing at the provider
	case plan.Issue:
		out.Outcome = newOrNot(live)
		if !live {
			out.Message = ""
		}
		if a.Charged && live {
			budget, _ := ledger.BudgetAt(sit.token.Status.MintBudget, sit.obs.Now)
			out.Notes = append(out.Notes, fmt.Sprintf("it costs one of the %d credentials that may be issued outside the schedule now", budget.Remaining))
		}
	case plan.CountSlots:
		out.Outcome = newOrNot(live)
		out.Notes = append(out.Notes, fmt.Sprintf("the account may have %d credentials in all: the operator counts them first", sit.facts.Capabilities.MaxLive))
		if sit.token.Spec.Rotation.Strategy == v1alpha1.RevokeFirst && live {
			out.Notes = append(out.Notes, "where there is no room for both, the one in use is revoked first, and the workload has no access in between")
		}
	case plan.Update:
		out.Outcome = outcomeInPlace
	case plan.ConfirmEdit:
		out.Outcome = outcomeInPlace
	case plan.FindRestored:
		out.Outcome, out.Reason = outcomeIssue, ""
		out.Message = "the Secret holds a credential that no ledger knows: it is taken over if the provider still has it, else a new one is issued"
	case plan.DeleteSecret, plan.Retire:
		out.Outcome, out.Help = outcomeEnds, v1alpha1.ReasonHelp[d.Reason]
	default:
		waits(d, live, out)
	}
}

func newOrNot(live bool) string {
	if live {
		return outcomeReissue
	}
	return outcomeIssue
}

// waits classifies a decision to do nothing.
func waits(d plan.Decision, live bool, out *planned) {
	out.Help = v1alpha1.ReasonHelp[d.Reason]
	switch {
	case d.Reason == v1alpha1.ReasonReady:
		out.Outcome, out.Reason, out.Help = outcomeNothing, "", ""
		out.Message = "the credential in use stays"
		if !live {
			out.Message = ""
		}
	case d.Reason == v1alpha1.ReasonExpired:
		out.Outcome = outcomeEnds
	case d.Reason == v1alpha1.ReasonActionRequired:
		out.Outcome = outcomeByHand
	case tokenstate.Rejects[d.Reason]:
		out.Outcome = outcomeRefused
	default:
		out.Outcome = outcomeBlocked
	}
}
