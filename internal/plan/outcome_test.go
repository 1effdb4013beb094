package plan_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/provider"
)

// callFailed is a call that failed with a code.
func callFailed(code provider.Code) plan.CallFailed {
	return plan.CallFailed{Verb: "mint", Cause: &provider.Error{Code: code, Message: "the provider rejected it"}}
}

// paused is a call that the provider rejected with the request to wait.
func paused(pause time.Duration) plan.CallFailed {
	return plan.CallFailed{Verb: "mint", Cause: &provider.Error{Code: provider.CodeRateLimited, RetryAfter: pause}}
}

var revocation = plan.Revoke{Names: []string{"own-old"}}

// TestOutcomesLeadToStateReasonAndMessage: each outcome has a state, a reason and a message.
func TestOutcomesLeadToStateReasonAndMessage(t *testing.T) {
	unverified := callFailed(provider.CodeUnavailable)
	unverified.Unverified = true
	fails := errors.New("no credential is in use")
	cases := map[string]struct {
		given  []change
		action plan.Action
		out    plan.Outcome
		state  plan.State
		reason string
		says   string
		after  time.Duration
	}{
		"a user must act": {given(), plan.ConfirmEdit{}, plan.NeedsUser{Task: "correct it"}, plan.Stalled, v1alpha1.ReasonActionRequired, "correct it", time.Minute},
		"a user must act, deleting": {given(deleted), plan.Purge{}, plan.NeedsUser{Task: "delete it"},
			plan.Stalled, v1alpha1.ReasonActionRequired, "delete it", time.Minute},
		"a user must act, and a call failed": {given(), plan.Revoke{}, plan.Join(callFailed(provider.CodeQuota), plan.NeedsUser{Task: "delete it"}),
			plan.Stalled, v1alpha1.ReasonRevocationFailed, "delete it", time.Minute},
		"the call is deferred":              {given(), plan.FindRestored{}, plan.Deferred{Wait: time.Second}, plan.Progressing, v1alpha1.ReasonResolving, "one a second", time.Second},
		"the call is deferred, deleting":    {given(deleted), plan.Purge{}, plan.Deferred{Wait: time.Second}, plan.Progressing, v1alpha1.ReasonDeleting, "one a second", time.Second},
		"another account":                   {given(), plan.Issue{}, plan.AccountChanged{}, plan.Stalled, v1alpha1.ReasonProviderAccountChanged, "restore the provider's old credentials", 0},
		"another account, deleting":         {given(deleted), plan.Purge{}, plan.AccountChanged{}, plan.Stalled, v1alpha1.ReasonDeleting, "another account", 0},
		"an endpoint that is not verified":  {given(), plan.Issue{}, unverified, plan.Progressing, v1alpha1.ReasonEndpointUnverified, "mint", 0},
		"a revoked credential still exists": {given(), revocation, plan.Unfinished{Why: plan.StillThere}, plan.Progressing, v1alpha1.ReasonResolving, plan.StillThere, 0},
		"the deadline has passed":           {given(), plan.Issue{}, plan.Unfinished{Why: plan.TooLate}, plan.Progressing, v1alpha1.ReasonResolving, plan.TooLate, 0},
		"the API server rejects the Secret": {given(), plan.Issue{}, plan.SecretRefused{Why: "refused"}, plan.Progressing, v1alpha1.ReasonPublishRefused, "refused", 0},
		"the API server does not answer":    {given(), plan.Issue{}, plan.NotSent{Why: "no answer"}, plan.Progressing, v1alpha1.ReasonPublishing, "no answer", 0},
		"the account is blocked":            {given(), plan.Issue{}, callFailed(provider.CodeAccountBlocked), plan.Stalled, v1alpha1.ReasonAccountBlocked, "mint: the provider rejected it", 0},
		"the provider rejects it":           {given(), plan.Issue{}, callFailed(provider.CodeInvalid), plan.Progressing, v1alpha1.ReasonProviderRefused, "", 0},
		"a limit of the account":            {given(), plan.Issue{}, callFailed(provider.CodeQuota), plan.Progressing, v1alpha1.ReasonProviderRefused, "", 0},
		"not permitted":                     {given(), plan.Issue{}, callFailed(provider.CodePermissionDenied), plan.Progressing, v1alpha1.ReasonProviderRefused, "", 0},
		"not authenticated":                 {given(), plan.Issue{}, callFailed(provider.CodeUnauthenticated), plan.Progressing, v1alpha1.ReasonProviderRefused, "", 0},
		"the provider does not answer":      {given(), plan.Issue{}, callFailed(provider.CodeUnavailable), plan.Progressing, v1alpha1.ReasonProviderError, "", 0},
		"something else":                    {given(), plan.Issue{}, plan.Failed{Err: fails}, plan.Progressing, v1alpha1.ReasonProviderError, fails.Error(), 0},
		"a revocation fails":                {given(), revocation, callFailed(provider.CodeQuota), plan.Progressing, v1alpha1.ReasonRevocationFailed, plan.NotRevoked + "mint: ", 0},
		"a revocation is not sent":          {given(), revocation, plan.NotSent{Why: "no answer"}, plan.Progressing, v1alpha1.ReasonRevocationFailed, plan.NotRevoked, 0},
		"a revocation, account blocked": {given(), revocation, callFailed(provider.CodeAccountBlocked),
			plan.Stalled, v1alpha1.ReasonAccountBlocked, plan.NotRevoked, 0},
		"a deletion fails": {given(deleted), plan.Purge{}, callFailed(provider.CodeUnavailable), plan.Progressing, v1alpha1.ReasonDeleting, plan.NotRevoked, 0},
		"the Secret cannot be deleted at the end of access": {given(), plan.DeleteSecret{}, plan.NotSent{Why: "Forbidden"},
			plan.Stalled, v1alpha1.ReasonExpired, "access has ended. Forbidden", 0},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			o := observe(tc.given...)
			d := plan.Decision{Action: tc.action, State: plan.Stalled, Reason: v1alpha1.ReasonExpired, Message: "access has ended"}
			got := plan.AfterOutcome(&o, d, tc.out)
			if got.State != tc.state || got.Reason != tc.reason || got.After != tc.after || !strings.Contains(got.Message, tc.says) {
				t.Errorf("got %+v, want state %d, reason %s, after %s and a message with %q", got, tc.state, tc.reason, tc.after, tc.says)
			}
		})
	}
}

// TestSupersededOrNoPlaceDecidesForTheWholeAction: otherwise all parts are in the outcome.
func TestSupersededOrNoPlaceDecidesForTheWholeAction(t *testing.T) {
	call, look := callFailed(provider.CodeQuota), plan.Unfinished{Why: plan.StillThere}
	superseded := plan.Superseded{What: "Conflict"}
	cases := map[string]struct {
		all  []plan.Outcome
		want plan.Outcome
	}{
		"nothing":                     {nil, nil},
		"all were carried out":        {[]plan.Outcome{nil, nil}, nil},
		"one was not":                 {[]plan.Outcome{nil, look}, look},
		"two were not":                {[]plan.Outcome{look, nil, call}, plan.Several{All: []plan.Outcome{look, call}}},
		"a join of a join":            {[]plan.Outcome{plan.Join(look, call), look}, plan.Several{All: []plan.Outcome{look, call, look}}},
		"one was superseded":          {[]plan.Outcome{call, superseded, plan.NoPlace{}}, superseded},
		"one has no place":            {[]plan.Outcome{call, plan.NoPlace{}}, plan.NoPlace{}},
		"superseded in a join before": {[]plan.Outcome{plan.Join(call, superseded), look}, superseded},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			equal(t, "outcome", plan.Join(tc.all...), tc.want)
		})
	}
	if got, want := plan.Join(look, call).String(), look.String()+"\n"+call.String(); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if err := plan.Err(plan.Join(look, call)); provider.AsError(err).Code != provider.CodeQuota {
		t.Errorf("the cause is %v", err)
	}
}

// TestStoredOutcomeHoldsNoResponse: only what is shown of a failed call is stored.
func TestStoredOutcomeHoldsNoResponse(t *testing.T) {
	answer := errors.New("an answer")
	call := callFailed(provider.CodeQuota)
	call.Unverified, call.Cause.Err = true, answer
	bare := plan.WithoutCause(call)
	if errors.Is(plan.Err(bare), answer) || bare.String() != call.String() {
		t.Errorf("stored: %#v", bare)
	}
	if call, ok := bare.(plan.CallFailed); !ok || !call.Unverified || call.Cause.Code != provider.CodeQuota {
		t.Errorf("stored: %#v", bare)
	}
	if call.Cause.Err == nil {
		t.Error("the outcome itself lost its cause")
	}
	two := plan.Join(call, plan.NotSent{Why: "no answer", Err: answer})
	if got := plan.WithoutCause(two); errors.Is(plan.Err(got), answer) || got.String() != two.String() {
		t.Errorf("stored of two parts: %#v", got)
	}
	equal(t, "an outcome without a cause", plan.WithoutCause(plan.AccountChanged{}), plan.Outcome(plan.AccountChanged{}))
}

// TestFailedActionIsRetriedBeforeTheNextEnd: no delay goes beyond the next end of a credential.
func TestFailedActionIsRetriedBeforeTheNextEnd(t *testing.T) {
	broken := callFailed(provider.CodeUnavailable)
	token := func(o *plan.Observation) *v1alpha1.ApiToken {
		out := &v1alpha1.ApiToken{Spec: o.Token.Spec}
		for _, e := range o.Ledger {
			out.Status.Credentials = append(out.Status.Credentials, e.LedgerEntry)
		}
		return out
	}
	cases := map[string]struct {
		reason string
		given  []change
		out    plan.Outcome
		want   plan.Retry
	}{
		"a user must act":      {"the decision has the delay", given(), plan.NeedsUser{}, plan.Retry{After: time.Hour}},
		"the call is deferred": {"the decision has the delay", given(), plan.Deferred{}, plan.Retry{After: time.Hour}},
		"a failure":            {"the delay grows until the credential ends", given(expires(time.Hour)), broken, plan.Retry{BackOff: true, Max: time.Hour}},
		"an overlap ends":      {"it must not end late", given(nextTo(retiring("own-old", time.Minute))), broken, plan.Retry{BackOff: true, Max: time.Minute}},
		"the hard end is near": {"access must not end late", given(endsIn(time.Second)), broken, plan.Retry{BackOff: true, Max: time.Second}},
		"the hard end is over": {"a credential grants access until it is revoked", given(endsIn(-time.Second)), broken, plan.Retry{BackOff: true, Max: plan.MaxRetryDelay}},
		"nothing is in use":    {"nothing is due", given(entries()), broken, plan.Retry{BackOff: true}},
		"the provider asks for a pause": {"the operator waits that long",
			given(), paused(time.Hour), plan.Retry{After: time.Hour}},
		"a pause beyond the expiry": {"the expiry comes first",
			given(expires(time.Minute)), paused(time.Hour), plan.Retry{After: time.Minute}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			o := observe(tc.given...)
			equal(t, tc.reason, plan.RetryFailed(token(&o), &o, plan.Decision{After: time.Hour}, tc.out), tc.want)
		})
	}
}

func TestNextReconcileFollowsAtOnceUnlessAnEventTriggersIt(t *testing.T) {
	cases := map[string]struct {
		next  plan.Decision
		saved bool
		want  plan.Retry
	}{
		"it waits":                              {plan.Decision{Action: plan.Wait{}, After: time.Hour}, false, plan.Retry{After: time.Hour}},
		"it waits for an event":                 {plan.Decision{Action: plan.Wait{}}, true, plan.Retry{}},
		"more to do, and the write triggers it": {plan.Decision{Action: revocation}, true, plan.Retry{}},
		"more to do, and nothing was written":   {plan.Decision{Action: revocation}, false, plan.Retry{After: plan.RequeueSoon}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			equal(t, "retry", plan.RetryDone(tc.next, tc.saved), tc.want)
		})
	}
}
