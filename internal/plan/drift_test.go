package plan_test

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/provider"
)

// equal compares one thing.
func equal[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// drifts is how the provider shows the Active credential.
func drifts(d v1alpha1.CredentialDrift) change {
	return entry(func(e *plan.Entry) { e.Drift = d })
}

// repairs: the provider declares spec.drift: Repair, and has confirmed what is missing.
func repairs(o *plan.Observation) {
	repairsLater(o)
	edit(o, "own-active", func(e *plan.Entry) { e.Confirmed = true })
}

// repairsLater: it was not asked yet.
func repairsLater(o *plan.Observation) { o.Provider.Repairs = true }

const (
	missingAt  = v1alpha1.DriftMissing
	disabledAt = v1alpha1.DriftDisabled
	changedAt  = v1alpha1.DriftChanged
)

// TestDriftIsReportedAndOnlyMissingIsRepaired: what the ledger says of the provider
// decides Ready, and only a missing credential is ever replaced because of it.
func TestDriftIsReportedAndOnlyMissingIsRepaired(t *testing.T) {
	again := func(reason plan.IssueReason) plan.Issue {
		return plan.Issue{Reason: reason, Revision: 8, Charged: true}
	}
	wait := plan.Wait{}
	cases := map[string]struct {
		given  []change
		action plan.Action
		state  plan.State
		reason string
		ready  bool
	}{
		"missing":            {given(drifts(missingAt)), wait, plan.Stalled, v1alpha1.ReasonCredentialMissing, false},
		"disabled":           {given(drifts(disabledAt)), wait, plan.Stalled, v1alpha1.ReasonCredentialDisabled, false},
		"changed":            {given(drifts(changedAt)), wait, plan.Steady, v1alpha1.ReasonReady, true},
		"unknown kind":       {given(drifts("Frozen")), wait, plan.Steady, v1alpha1.ReasonReady, true},
		"missing, Repair":    {given(drifts(missingAt), repairs, live), again(plan.IssueCredentialMissing), plan.Progressing, v1alpha1.ReasonReissuing, false},
		"disabled, Repair":   {given(drifts(disabledAt), repairs, live), wait, plan.Stalled, v1alpha1.ReasonCredentialDisabled, false},
		"changed, Repair":    {given(drifts(changedAt), repairs, live), wait, plan.Steady, v1alpha1.ReasonReady, true},
		"nothing, Repair":    {given(repairs, live), wait, plan.Steady, v1alpha1.ReasonReady, true},
		"missing, no budget": {given(drifts(missingAt), repairs, live, budget(0, time.Minute)), wait, plan.Progressing, v1alpha1.ReasonMintBudgetExhausted, false},
		"missing, suspended": {given(drifts(missingAt), repairs, live, suspend), wait, plan.Stalled, v1alpha1.ReasonCredentialMissing, false},
		"missing, not asked": {given(drifts(missingAt), repairsLater, live), plan.Confirm{Name: "own-active"}, plan.Stalled, v1alpha1.ReasonCredentialMissing, false},
		"asked, no Repair": {given(drifts(missingAt), live, entry(func(e *plan.Entry) { e.Confirmed = true })), wait, plan.Stalled,
			v1alpha1.ReasonCredentialMissing, false},
		"missing, not ready": {given(drifts(missingAt), repairs, live, notReady), wait, plan.Progressing, v1alpha1.ReasonProviderNotReady, false},
		"rotation, missing":  {given(drifts(missingAt), live, rotation(1)), again(plan.IssueRotationRequested), plan.Progressing, v1alpha1.ReasonReissuing, false},
		"rotation, disabled": {given(drifts(disabledAt), live, rotation(1)), again(plan.IssueRotationRequested), plan.Progressing, v1alpha1.ReasonReissuing, false},
		"rotation, changed":  {given(drifts(changedAt), live, rotation(1)), again(plan.IssueRotationRequested), plan.Progressing, v1alpha1.ReasonReissuing, false},
		"no update of nothing": {given(updating, drifts(missingAt), live, otherScope), again(plan.IssueSpecChanged), plan.Progressing,
			v1alpha1.ReasonReissuing, false},
		"revocations go on": {given(drifts(missingAt), live, nextTo(retiring("own-old", -time.Second))), plan.Revoke{Names: []string{"own-old"}},
			plan.Stalled, v1alpha1.ReasonCredentialMissing, false},
		"hard end": {given(drifts(disabledAt), live, endsIn(0)), plan.DeleteSecret{}, plan.Stalled, v1alpha1.ReasonExpired, false},
		"deletion": {given(drifts(missingAt), live, deleted), plan.Purge{Settled: true}, plan.Progressing, v1alpha1.ReasonDeleting, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			o := observe(tc.given...)
			d := decide(&o)
			equal(t, "action", d.Action, tc.action)
			equal(t, "state", d.State, tc.state)
			equal(t, "reason", d.Reason, tc.reason)
			equal(t, "ready", plan.ReadinessOf(&o).Ready, tc.ready)
		})
	}
}

// Another credential of the same name does not count.
func TestDriftFollowsTheIssuedCredential(t *testing.T) {
	shown := func(id string, state provider.State) provider.Credential {
		return provider.Credential{Name: "own-active", ID: id, State: state}
	}
	for name, tc := range map[string]struct {
		found []provider.Credential
		want  v1alpha1.CredentialDrift
	}{
		"nothing":            {nil, missingAt},
		"live":               {[]provider.Credential{shown("AKIAown-active", provider.Live)}, ""},
		"ended":              {[]provider.Credential{shown("AKIAown-active", provider.Ended)}, missingAt},
		"disabled":           {[]provider.Credential{shown("AKIAown-active", provider.Disabled)}, disabledAt},
		"without an id":      {[]provider.Credential{shown("", provider.Live)}, ""},
		"remains without id": {[]provider.Credential{shown("", provider.Disabled)}, disabledAt},
		"another id":         {[]provider.Credential{shown("AKIAother", provider.Live)}, missingAt},
		"live among several": {[]provider.Credential{shown("AKIAown-active", provider.Disabled), shown("AKIAown-active", provider.Live)}, ""},
		"another name":       {[]provider.Credential{{Name: "own-x", ID: "AKIAown-active", State: provider.Live}}, missingAt},
	} {
		e := active("own-active")
		equal(t, name, plan.DriftOf(&e.LedgerEntry, &declaration, tc.found), tc.want)
	}
}

// TestWidenedMeansMoreAccessThanDeclared: what is shown counts as wider only where it gives more than is declared,
// and only for the declaration that the credential was issued for.
func TestWidenedMeansMoreAccessThanDeclared(t *testing.T) {
	type shown = provider.Grant
	spec := declaration
	spec.Restrictions = v1alpha1.Restrictions{AllowedIPs: []v1alpha1.IPRange{"203.0.113.7", "2001:db8::/32"}, Subaccounts: []string{"a", "b"}}
	same := shown{Scopes: []string{"objectstorage:object-read-only"}, Buckets: []string{"datasets"},
		AllowedIPs: []string{"203.0.113.7/32", "2001:db8::/32"}, Subaccounts: []string{"b", "a"}}
	with := func(edit func(*shown)) *shown {
		out := same
		edit(&out)
		return &out
	}
	for name, tc := range map[string]struct {
		shown *shown
		edit  func(*v1alpha1.LedgerEntry)
		want  bool
	}{
		"not told":             {nil, nil, false},
		"the same":             {&same, nil, false},
		"less":                 {with(func(g *shown) { g.Scopes, g.Buckets, g.AllowedIPs = nil, nil, same.AllowedIPs[:1] }), nil, false},
		"reading of two":       {with(func(g *shown) { g.Scopes = []string{"objectstorage:admin-read-only"} }), nil, true},
		"another scope":        {with(func(g *shown) { g.Scopes = append([]string{"billing:read-only"}, g.Scopes...) }), nil, true},
		"every bucket":         {with(func(g *shown) { g.Buckets = []string{"*"} }), nil, true},
		"any address":          {with(func(g *shown) { g.AllowedIPs = nil }), nil, true},
		"another address":      {with(func(g *shown) { g.AllowedIPs = append([]string{"198.51.100.1"}, g.AllowedIPs...) }), nil, true},
		"any subaccount":       {with(func(g *shown) { g.Subaccounts = nil }), nil, true},
		"another subaccount":   {with(func(g *shown) { g.Subaccounts = []string{"c"} }), nil, true},
		"an older declaration": {with(func(g *shown) { g.Buckets = []string{"*"} }), func(e *v1alpha1.LedgerEntry) { e.Fingerprint = "older" }, false},
		"a change in progress": {with(func(g *shown) { g.Buckets = []string{"*"} }), func(e *v1alpha1.LedgerEntry) { e.Updating = "f" }, false},
	} {
		e := active("own-active").LedgerEntry
		e.Fingerprint = plan.Fingerprint(&spec)
		if tc.edit != nil {
			tc.edit(&e)
		}
		equal(t, name, plan.Widened(&e, &spec, tc.shown), tc.want)
	}
	e := active("own-active").LedgerEntry
	wide := []provider.Credential{{Name: e.Name, ID: e.ID, State: provider.Live, Grant: with(func(g *shown) { g.Buckets = []string{"*"} })}}
	equal(t, "found", plan.DriftOf(&e, &declaration, wide), changedAt)
}

var confirmCases = map[string]nextCase{
	"doubted": {
		reason: "The sweep saw it otherwise than the ledger has it, and a list alone decides nothing.",
		given:  given(entry(func(e *plan.Entry) { e.Doubted = true })),
		rule:   "confirm", action: plan.Confirm{Name: "own-active"}, state: plan.Steady, code: v1alpha1.ReasonReady,
	},
	"doubted while it drifts": {
		reason: "It may be over. Until the provider says so, the ApiToken is as the ledger says.",
		given:  given(entry(func(e *plan.Entry) { e.Doubted, e.Drift = true, missingAt })),
		rule:   "confirm", action: plan.Confirm{Name: "own-active"}, state: plan.Stalled, code: v1alpha1.ReasonCredentialMissing,
		says: []string{"AKIAown-active", "raise spec.rotation.generation"},
	},
}

// TestOnlyDoubtedCredentialsAreLookedUp: the provider is asked about the credential in
// use only when something doubts it, and after all else.
func TestOnlyDoubtedCredentialsAreLookedUp(t *testing.T) {
	doubted := entry(func(e *plan.Entry) { e.Doubted = true })
	later := entry(func(e *plan.Entry) { e.Doubted, e.ConfirmsIn = true, 40*time.Minute })
	for name, tc := range map[string]struct {
		given  []change
		action plan.Action
		after  time.Duration
	}{
		"nothing doubts it":      {given(), plan.Wait{}, rotationIn()},
		"doubted":                {given(doubted), plan.Confirm{Name: "own-active"}, 0},
		"doubted, drifts":        {given(doubted, drifts(missingAt)), plan.Confirm{Name: "own-active"}, 0},
		"later":                  {given(later), plan.Wait{}, 40 * time.Minute},
		"provider not ready":     {given(doubted, notReady), plan.Wait{}, rotationIn()},
		"provider missing":       {given(doubted, missing), plan.Wait{}, rotationIn()},
		"another account":        {given(doubted, belongs(other)), plan.Wait{}, plan.Recheck},
		"expired":                {given(doubted, suspend, expires(-time.Hour)), plan.Wait{}, 0},
		"expires soon":           {given(doubted, suspend, expires(plan.NearEnd)), plan.Wait{}, plan.NearEnd},
		"expires later":          {given(doubted, suspend, expires(plan.NearEnd+time.Second)), plan.Confirm{Name: "own-active"}, 0},
		"of no known account":    {given(doubted, entry(func(e *plan.Entry) { e.Account = "" })), plan.Wait{}, rotationIn()},
		"of an unverified one":   {given(doubted, func(o *plan.Observation) { o.Provider.Unverified = true }), plan.Wait{}, rotationIn()},
		"revocations first":      {given(doubted, live, nextTo(retiring("own-old", -time.Second))), plan.Revoke{Names: []string{"own-old"}}, 0},
		"a rotation comes first": {given(doubted, live, rotation(1)), plan.Issue{Reason: plan.IssueRotationRequested, Revision: 8, Charged: true}, 0},
		"made for another":       {given(doubted, entry(func(e *plan.Entry) { e.Name = "their-active" })), plan.Wait{}, rotationIn(entry(func(e *plan.Entry) { e.Name = "their-active" }))},
	} {
		t.Run(name, func(t *testing.T) {
			o := observe(tc.given...)
			d := decide(&o)
			equal(t, "action", d.Action, tc.action)
			equal(t, "next reconcile", d.After, tc.after)
		})
	}
}

// TestRepairOfADueCredentialIsFree: a rotation that the schedule wants anyway costs nothing.
func TestRepairOfADueCredentialIsFree(t *testing.T) {
	o := observe(drifts(missingAt), repairs, live, budget(0, time.Minute), entry(func(e *plan.Entry) {
		e.IssuedAt, e.ExpiresAt = at(now.Add(-80*24*time.Hour)), at(now.Add(10*24*time.Hour))
	}))
	equal(t, "action", decide(&o).Action, plan.Action(plan.Issue{Reason: plan.IssueCredentialMissing, Revision: 8}))
}

// TestDriftSaysWhatToDo: the message names the credential by its id, and what helps.
func TestDriftSaysWhatToDo(t *testing.T) {
	for drift, wants := range map[v1alpha1.CredentialDrift][]string{
		missingAt:  {"AKIAown-active", "raise spec.rotation.generation", "spec.drift: Repair"},
		disabledAt: {"AKIAown-active", "raise spec.rotation.generation", "enable it there"},
		changedAt:  {"AKIAown-active", "raise spec.rotation.generation", "undo it there"},
	} {
		o := observe(drifts(drift))
		got, drifted := o.Drift()
		if !drifted || v1alpha1.ReasonHelp[got.Reason] == "" {
			t.Errorf("%s: drifted %t with reason %q", drift, drifted, got.Reason)
		}
		for _, want := range wants {
			if !strings.Contains(got.Message, want) {
				t.Errorf("%s: the message %q lacks %q", drift, got.Message, want)
			}
		}
	}
}

func TestTooManyIsMoreThanFiveAndATenth(t *testing.T) {
	for _, test := range []struct {
		orphans, all int
		want         bool
	}{{5, 5, false}, {6, 6, true}, {6, 59, true}, {6, 60, false}, {10, 100, false}, {11, 100, true}} {
		if got := plan.TooMany(test.orphans, test.all); got != test.want {
			t.Errorf("%d of %d: %t", test.orphans, test.all, got)
		}
	}
}

// TestRepairedCredentialsCountAsDrifting: Repair must not go through all credentials, a few at a
// time, because the provider has lost its list.
func TestRepairedCredentialsCountAsDrifting(t *testing.T) {
	token := func(name string, edit func(*v1alpha1.LedgerEntry)) v1alpha1.ApiToken {
		issued := metav1.NewTime(now.Add(-time.Hour))
		e := v1alpha1.LedgerEntry{State: v1alpha1.StateActive, Reason: "CredentialMissing", IssuedAt: &issued}
		edit(&e)
		out := v1alpha1.ApiToken{Status: v1alpha1.ApiTokenStatus{Credentials: []v1alpha1.LedgerEntry{e}}}
		out.Name = name
		return out
	}
	old := metav1.NewTime(now.Add(-plan.DriftPeriod))
	deleted := token("deleted", func(*v1alpha1.LedgerEntry) {})
	deleted.DeletionTimestamp = &old
	got, all := plan.Drifting([]v1alpha1.ApiToken{
		token("repaired", func(*v1alpha1.LedgerEntry) {}),
		token("drifts", func(e *v1alpha1.LedgerEntry) { e.Reason, e.Drift = "Initial", v1alpha1.DriftChanged }),
		token("repaired-long-ago", func(e *v1alpha1.LedgerEntry) { e.IssuedAt = &old }),
		token("neither", func(e *v1alpha1.LedgerEntry) { e.Reason = "Scheduled" }),
		token("not-in-use", func(e *v1alpha1.LedgerEntry) { e.State = v1alpha1.StateRetiring }),
		deleted,
	}, now)
	want := map[types.NamespacedName]bool{{Name: "repaired"}: true, {Name: "drifts"}: true}
	if !maps.Equal(got, want) || all != 4 {
		t.Errorf("of %d, %v drift", all, got)
	}
}
