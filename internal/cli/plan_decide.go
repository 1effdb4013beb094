package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/cli/reading"
	"apitoken.dev/operator/internal/ledger"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/provider"
)

// situation is what the rules are asked about.
type situation struct {
	token   *v1alpha1.ApiToken
	cluster string
	facts   account.Facts
	request provider.MintRequest
	obs     plan.Observation
	// unread is why the provider could not be read; nil: it was, or there is none. The
	// rules are then asked about a provider that grants everything.
	unread error
	// dressed: what the Secret carries beside the credential is as declared.
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
	// A status that a file carries is none.
	token.Status = before.Status
	sit, err := p.situation(ctx, token, out)
	if err != nil {
		return err
	}
	classify(sit, plan.Next(sit.obs), out)
	if out.Help != "" {
		out.Do = p.whatToDo(token, out.Reason)
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

func (p *planner) situation(ctx context.Context, token *v1alpha1.ApiToken, out *planned) (*situation, error) {
	secret, err := p.secretMeta(ctx, token, token.SecretName(), out)
	if err != nil {
		return nil, err
	}
	sit := &situation{token: token, cluster: p.clusterOf(ctx, token, metaOf(secret))}
	if sit.facts, err = p.facts(ctx, overlay{p.client, p.fromFile}, token, sit.cluster); reading.Forbidden(err) {
		sit.facts, sit.unread = grantsAll(token), err
	} else if err != nil {
		return nil, err
	}
	if _, ok := p.fromFile[account.KeyFor(token)]; ok && !sit.facts.Ready {
		sit.facts.Ready = true
		out.Notes = append(out.Notes, "assumed: the credentials of the provider in the files work")
	}
	sit.request = p.request(token, &sit.facts, sit.cluster)
	sit.obs = plan.Observation{
		Now: p.Clock.Now(),
		Token: plan.Token{
			Namespace: token.Namespace, Name: token.Name, UID: string(token.UID), Generation: token.Generation, Spec: token.Spec,
			HasFinalizer: true, Revision: token.Status.Revision, Budget: token.Status.MintBudget, Retry: token.Status.Retry,
		},
		Ledger: lasting(token.Status.Credentials), Provider: providerFacts(sit), Handover: plan.Handover{Secret: token.Name + v1alpha1.HandoverSuffix},
	}
	if since := token.Status.GapSince; since != nil {
		sit.obs.Token.GapSince, sit.obs.Token.GapReason = since.Time, token.Status.GapReason
	}
	if sit.obs.Secret, err = p.secretFacts(ctx, sit, secret); err != nil {
		return nil, err
	}
	sit.obs.Provider.Shared, err = p.shared(ctx, sit, out)
	return sit, err
}

// lasting leaves out what is on its way out whatever is applied.
func lasting(ledger []v1alpha1.LedgerEntry) []plan.Entry {
	var out []plan.Entry
	for i := range ledger {
		switch ledger[i].State {
		case v1alpha1.StateMinting, v1alpha1.StateAbandoned, v1alpha1.StateRetiring:
		case v1alpha1.StateActive:
			out = append(out, plan.Entry{LedgerEntry: ledger[i], Settled: true})
		default:
			out = append(out, plan.Entry{LedgerEntry: ledger[i]})
		}
	}
	return out
}

func providerFacts(sit *situation) plan.Provider {
	f := &sit.facts
	v := plan.Provider{
		Found: f.Found, Deleting: f.Deleting, Ready: f.Ready, Admitted: f.Admitted, Reason: f.ReadyReason, Message: f.ReadyMessage,
		Account: f.Account.ID, Former: f.Account.Former, Unverified: f.Found && !f.Verified,
		Capabilities: f.Capabilities, GrantableScopes: f.GrantableScopes, Form: formOf(f, sit.request),
	}
	if checker, ok := provider.As[provider.Validator](f.Driver); ok {
		var r *provider.Refusal
		if err := checker.Validate(f.Config, sit.request); errors.As(err, &r) {
			v.Refusal = r
		}
	}
	return v
}

// shared are the ApiTokens that come before this one, where a provider has room
// for few credentials.
func (p *planner) shared(ctx context.Context, sit *situation, out *planned) (plan.Shared, error) {
	var claims plan.Shared
	if sit.facts.Capabilities.MaxLive == 0 {
		return claims, nil
	}
	key := account.KeyFor(sit.token)
	tokens, err := p.tokens(ctx, key.Namespace)
	if reading.Forbidden(err) {
		a := access{verb: "list", group: v1alpha1.GroupVersion.Group, resource: "apitokens", namespace: key.Namespace}
		out.Notes = append(out.Notes, fmt.Sprintf("assumed: no ApiToken of another namespace comes before this one at %s, which has room for few credentials: could not look, because %s",
			key, unreadable(a, err)))
		tokens, err = p.tokens(ctx, sit.token.Namespace)
	}
	if err != nil {
		return claims, err
	}
	for i := range tokens {
		t := &tokens[i]
		if account.KeyFor(t) != key || t.UID == sit.token.UID || !ahead(t, sit.token) {
			continue
		}
		claims.Ahead = append(claims.Ahead, plan.Claim{Peer: plan.Peer{Namespace: t.Namespace, Name: t.Name}, Strategy: t.Spec.Rotation.Strategy})
	}
	slices.SortFunc(claims.Ahead, func(a, b plan.Claim) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return claims, nil
}

// ahead: those with a ledger come first, then the older ones.
func ahead(t, than *v1alpha1.ApiToken) bool {
	has, its := len(t.Status.Credentials) > 0, len(than.Status.Credentials) > 0
	if has != its {
		return has
	}
	return than.CreationTimestamp.IsZero() || t.CreationTimestamp.Before(&than.CreationTimestamp)
}

// classify puts a decision of the rules into one word.
func classify(sit *situation, d plan.Decision, out *planned) {
	out.Reason, out.Message = d.Reason, d.Message
	live := activeOf(sit.token) != nil
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
	case refusals[d.Reason]:
		out.Outcome = outcomeRefused
	default:
		out.Outcome = outcomeBlocked
	}
}
