package plan_test

import (
	"math"
	"testing"
	"time"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/credname"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/provider"
)

// adopted: the credential in use was adopted, and its id is not known yet.
func adopted(o *plan.Observation) { o.Ledger = []plan.Entry{nameless(active("own-active"))} }

var identifyCases = map[string]nextCase{
	"adopted": {
		reason: "Adopting needs no provider, so the id is asked for afterwards.",
		given:  given(adopted),
		rule:   "identify", action: plan.Identify{Name: "own-active"}, state: plan.Steady, code: v1alpha1.ReasonReady, says: []string{"own-active"},
	},
	"asked a moment ago": {
		reason: "An answer without it is no proof of anything. It is asked for again after a while.",
		given:  given(adopted, entry(func(e *plan.Entry) { e.FindsIn = 40 * time.Second })),
		rule:   "steady", action: plan.Wait{}, state: plan.Steady, code: v1alpha1.ReasonReady, after: 40 * time.Second,
	},
	"not admitted": {
		reason: "The ledger is not empty, so the provider may be asked; that nothing is issued is said.",
		given:  given(adopted, notAdmitted),
		rule:   "identify", action: plan.Identify{Name: "own-active"}, state: plan.Stalled, code: v1alpha1.ReasonNamespaceNotAllowed,
		says: []string{`namespace "ml"`, "label the namespace", "nothing replaces credential own-active"},
	},
	"provider missing": {
		reason: "No provider can be asked.",
		given:  given(adopted, missing),
		rule:   "steady", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonProviderNotFound,
		says: []string{"does not exist", "create it"},
	},
	"provider not ready": {
		reason: "The provider's readiness wakes it.",
		given:  given(adopted, notReady),
		rule:   "steady", action: plan.Wait{}, state: plan.Steady, code: v1alpha1.ReasonReady,
	},
	"another account": {
		reason: "Another account does not know it.",
		given:  given(adopted, belongs(other)),
		rule:   "account-changed", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonProviderAccountChanged,
		says: []string{"own-active", other},
	},
	"a rotation is due": {
		reason: "Everything else comes first: a provider that never shows the id holds nothing up.",
		given:  given(live, entries(nameless(ending("own-active", 2*time.Hour)))),
		rule:   "issue", action: scheduled, state: plan.Steady, code: v1alpha1.ReasonReissuing,
	},
	"a previous one is due": {
		reason: "Revoking comes first.",
		given:  given(live, adopted, nextTo(nameless(retiring("own-old", -time.Second)))),
		rule:   "revoke", action: plan.Revoke{Names: []string{"own-old"}}, state: plan.Steady, code: v1alpha1.ReasonReady,
	},
	"deleted": {
		reason: "It is revoked by its name.",
		given:  given(adopted, deleted),
		rule:   "purge", action: plan.Purge{Settled: true}, state: plan.Progressing, code: v1alpha1.ReasonDeleting,
	},
	"after the hard end": {
		reason: "It is about to be revoked by its name.",
		given:  given(adopted, live, absent, hardEnd(-time.Minute)),
		rule:   "end-active", action: plan.Retire{Name: "own-active", Expired: true}, state: plan.Stalled, code: v1alpha1.ReasonExpired,
		says: []string{"spec.expiresAt", "raise"},
	},
}

func TestShownNeedsExactlyOneCredential(t *testing.T) {
	mine := provider.Credential{Name: "own-1", ID: "AKIA1", State: provider.Live}
	cases := map[string]struct {
		found []provider.Credential
		id    string
	}{
		"nothing":                 {},
		"the one":                 {[]provider.Credential{mine}, "AKIA1"},
		"expired":                 {[]provider.Credential{{Name: "own-1", ID: "AKIA1"}}, "AKIA1"},
		"remains without an id":   {[]provider.Credential{{Name: "own-1"}}, ""},
		"two of the name":         {[]provider.Credential{mine, {Name: "own-1", ID: "AKIA2", State: provider.Live}}, ""},
		"the one and its remains": {[]provider.Credential{mine, {Name: "own-1"}}, ""},
		"another name":            {[]provider.Credential{{Name: "own-2", ID: "AKIA2", State: provider.Live}}, ""},
		"the one among others":    {[]provider.Credential{{Name: "own-2", ID: "AKIA2", State: provider.Live}, mine}, "AKIA1"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, ok := plan.Shown("own-1", tc.found)
			if ok != (tc.id != "") || ok && got.ID != tc.id {
				t.Errorf("got %+v, %t", got, ok)
			}
		})
	}
}

// TestRotationsAreFreeOncePerHalfLifetime: the schedule is free once per half of the lifetime that was
// asked for, not the lifetime that the provider answers with.
func TestRotationsAreFreeOncePerHalfLifetime(t *testing.T) {
	const asked = 90 * 24 * time.Hour
	cases := map[string]struct {
		lived, got time.Duration
		ledger     []plan.Entry
		charged    bool
	}{
		"most of it passed":        {lived: 80 * 24 * time.Hour, got: asked},
		"it ended too early":       {lived: time.Hour, got: time.Minute, charged: true},
		"it is due too early":      {lived: 20 * 24 * time.Hour, got: 25 * 24 * time.Hour, charged: true},
		"an attempt was made":      {lived: 80 * 24 * time.Hour, got: asked, ledger: []plan.Entry{givenUp}, charged: true},
		"ended early, half passed": {lived: 45 * 24 * time.Hour, got: 30 * 24 * time.Hour},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			o := observe(live, nextTo(tc.ledger...), entry(func(e *plan.Entry) {
				e.ReservedAt, e.LifetimeSeconds = at(now.Add(-tc.lived)), int64(asked/time.Second)
				e.IssuedAt, e.ExpiresAt = e.ReservedAt, at(now.Add(tc.got-tc.lived))
			}))
			issue, ok := plan.Next(o).Action.(plan.Issue)
			if !ok || issue.Reason != plan.IssueScheduled || issue.Charged != tc.charged {
				t.Errorf("decided %+v", plan.Next(o))
			}
		})
	}
}

// TestRevisionNeverOverflows with any revision in a status or a Secret.
func TestRevisionNeverOverflows(t *testing.T) {
	cases := map[string]struct{ status, secret, want int64 }{
		"a forged Secret":     {3, math.MaxInt64, credname.MaxRevision},
		"a forged status":     {math.MaxInt64, 3, credname.MaxRevision},
		"both":                {math.MaxInt64, math.MaxInt64, credname.MaxRevision},
		"a possible revision": {3, 1 << 20, 1<<20 + 1},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			o := observe(live, edited, revision(tc.status), func(o *plan.Observation) { o.Secret.Facts.Revision = tc.secret })
			if issue, ok := plan.Next(o).Action.(plan.Issue); !ok || issue.Revision != tc.want {
				t.Errorf("decided %+v", plan.Next(o))
			}
		})
	}
}

func TestTokensCountWhenAdmittedOrWithCredentials(t *testing.T) {
	empty, holding := &v1alpha1.ApiToken{}, &v1alpha1.ApiToken{}
	holding.Status.Credentials = []v1alpha1.LedgerEntry{{Name: "own-1"}}
	if !plan.Counts(empty, true) || plan.Counts(empty, false) || !plan.Counts(holding, false) {
		t.Error("an ApiToken counts when its namespace is admitted, or when it has credentials")
	}
}
