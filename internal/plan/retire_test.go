package plan_test

import (
	"strings"
	"testing"
	"time"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/plan"
)

var settled = attempt("own-new", v1alpha1.StateAbandoned, 0)

var beginRevokeCases = map[string]nextCase{
	"settled": {
		reason: "Before the first revoke call a status update moves the entry to Retiring.",
		given:  given(live, nextTo(settled)),
		rule:   "begin-revoke", action: plan.BeginRevoke{Names: []string{"own-new"}}, state: plan.Steady, code: v1alpha1.ReasonReady,
	},
	"settled, Secret absent": {
		reason: "Absent is fine: a settled attempt cannot be published any more.",
		given:  given(live, absent, nextTo(settled), suspend),
		rule:   "begin-revoke", action: plan.BeginRevoke{Names: []string{"own-new"}}, state: plan.Steady, code: v1alpha1.ReasonSuspended,
	},
	"one settled of two": {
		reason: "Only what can no longer take effect is begun.",
		given:  given(live, nextTo(attempt("own-2", v1alpha1.StateAbandoned, time.Minute), settled)),
		rule:   "begin-revoke", action: plan.BeginRevoke{Names: []string{"own-new"}}, state: plan.Steady, code: v1alpha1.ReasonReady,
	},
	"two settled": {
		reason: "One write moves all.",
		given:  given(live, nextTo(settled, attempt("own-2", v1alpha1.StateAbandoned, 0))),
		rule:   "begin-revoke", action: plan.BeginRevoke{Names: []string{"own-new", "own-2"}}, state: plan.Steady, code: v1alpha1.ReasonReady,
	},
	"before due revocations": {
		reason: "Both are done; the write comes before the calls.",
		given:  given(live, nextTo(retiring("own-old", 0), settled)),
		rule:   "begin-revoke", action: plan.BeginRevoke{Names: []string{"own-new"}}, state: plan.Steady, code: v1alpha1.ReasonReady,
	},
	"not settled": {
		reason: "An Abandoned name is revoked only once settled.",
		given:  given(live, nextTo(givenUp)),
		rule:   "steady", action: plan.Wait{}, state: plan.Steady, code: v1alpha1.ReasonReady, after: time.Minute,
	},
	"Secret of another owner": {
		reason: "A Secret of another owner holds no credential of this ApiToken.",
		given:  given(live, foreign, entries(settled)),
		rule:   "begin-revoke", action: plan.BeginRevoke{Names: []string{"own-new"}}, state: plan.Stalled, code: v1alpha1.ReasonSecretNotOwned,
		says: []string{"spec.secret.name", "name another Secret"},
	},
	"without a provider": {
		reason: "The move is a status write; the call waits for the provider.",
		given:  given(live, missing, nextTo(settled)),
		rule:   "begin-revoke", action: plan.BeginRevoke{Names: []string{"own-new"}}, state: plan.Stalled, code: v1alpha1.ReasonProviderNotFound,
		says: []string{"does not exist", "create it"},
	},
}

var revokeCases = map[string]nextCase{
	"overlap over": {
		reason: "The time it may go has come.",
		given:  given(live, nextTo(retiring("own-old", 0))),
		rule:   "revoke", action: plan.Revoke{Names: []string{"own-old"}}, state: plan.Steady, code: v1alpha1.ReasonReady,
	},
	"without a time": {
		reason: "A Retiring entry without a time is due.",
		given:  given(live, nextTo(attempt("own-old", v1alpha1.StateRetiring, 0))),
		rule:   "revoke", action: plan.Revoke{Names: []string{"own-old"}}, state: plan.Steady, code: v1alpha1.ReasonReady,
	},
	"one due of two": {
		reason: "The overlap of the other continues.",
		given:  given(live, nextTo(retiring("own-1", time.Second), retiring("own-2", 0))),
		rule:   "revoke", action: plan.Revoke{Names: []string{"own-2"}}, state: plan.Steady, code: v1alpha1.ReasonReady,
	},
	"overlap running": {
		reason: "Pods may still hold it.",
		given:  given(live, nextTo(retiring("own-old", time.Second))),
		rule:   "steady", action: plan.Wait{}, state: plan.Steady, code: v1alpha1.ReasonReady, after: time.Second,
	},
	"overlap ended by a user": {
		reason: "A leaked key is ended by name; it is recorded, and revoked next.",
		given:  given(live, endRequested("own-1"), nextTo(retiring("own-1", time.Hour), retiring("own-2", time.Hour))),
		rule:   "end-requested", action: plan.EndOverlap{Name: "own-1"}, state: plan.Steady, code: v1alpha1.ReasonReady,
	},
	"end of the credential in use": {
		reason: "Only another credential ends the one in use.",
		given:  given(live, endRequested("own-active"), nextTo(retiring("own-2", time.Hour))),
		rule:   "steady", action: plan.Wait{}, state: plan.Steady, code: v1alpha1.ReasonReady, after: time.Hour,
	},
	"end of a foreign credential": {
		reason: "A name that was not made for this ApiToken is never touched.",
		given:  given(live, endRequested("their-1"), nextTo(retiring("their-1", time.Hour))),
		rule:   "foreign-credential", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonForeignCredential, after: time.Hour,
		says: []string{"status.credentials: their-1", "--cluster-identity"},
	},
	"due, not settled": {
		reason: "An attempt that can still take effect is not revoked yet.",
		given:  given(live, nextTo(attempt("own-old", v1alpha1.StateRetiring, 30*time.Second))),
		rule:   "steady", action: plan.Wait{}, state: plan.Steady, code: v1alpha1.ReasonReady, after: 30 * time.Second,
	},
	"due, in the Secret": {
		reason: "Not revoked while the Secret, read live, names it; that nothing can replace it now does not matter.",
		given:  given(live, suspend, holding("own-old"), nextTo(retiring("own-old", -time.Hour))),
		rule:   "blocked", action: plan.Wait{}, state: plan.Steady, code: v1alpha1.ReasonSuspended, after: plan.Recheck,
	},
	"one of two in the Secret": {
		reason: "The other one goes.",
		given:  given(live, suspend, holding("own-1"), nextTo(retiring("own-1", 0), retiring("own-2", 0))),
		rule:   "revoke", action: plan.Revoke{Names: []string{"own-2"}}, state: plan.Steady, code: v1alpha1.ReasonSuspended,
	},
	"suspended": {
		reason: "suspend stops reservations only; retiring continues.",
		given:  given(live, suspend, nextTo(retiring("own-old", 0))),
		rule:   "revoke", action: plan.Revoke{Names: []string{"own-old"}}, state: plan.Steady, code: v1alpha1.ReasonReady,
	},
	"while nothing can be issued": {
		reason: "What keeps a credential from being issued is still said while an old one goes.",
		given:  given(live, otherScope, leaving, nextTo(retiring("own-old", 0))),
		rule:   "revoke", action: plan.Revoke{Names: []string{"own-old"}}, state: plan.Stalled, code: v1alpha1.ReasonProviderDeleting,
		says: []string{"spec.providerRef", "create another provider"},
	},
	"provider not ready": {
		reason: "Its readiness is about minting; revoking is tried.",
		given:  given(live, notReady, nextTo(retiring("own-old", 0))),
		rule:   "revoke", action: plan.Revoke{Names: []string{"own-old"}}, state: plan.Steady, code: v1alpha1.ReasonReady,
	},
	"provider missing": {
		reason: "Without the provider it cannot be revoked, and that is said.",
		given:  given(live, missing, nextTo(retiring("own-old", 0))),
		rule:   "provider-missing", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonRevocationFailed, after: plan.Recheck,
		says: []string{"own-old", `TokenProvider "store"`, "create it again"},
	},
	"one of another account": {
		reason: "Only what this account issued is revoked under it.",
		given:  given(live, nextTo(by(other, retiring("own-1", 0)), retiring("own-2", 0))),
		rule:   "revoke", action: plan.Revoke{Names: []string{"own-2"}}, state: plan.Stalled, code: v1alpha1.ReasonProviderAccountChanged,
		says: []string{"own-1", "restore the old ones"},
	},
	"account not known": {
		reason: "The account is learnt by connecting, before anything is revoked.",
		given:  given(live, belongs(""), nextTo(retiring("own-old", 0))),
		rule:   "revoke", action: plan.Revoke{Names: []string{"own-old"}}, state: plan.Steady, code: v1alpha1.ReasonReady,
	},
	"state of a newer version": {
		reason: "An entry in a state this version does not know is kept.",
		given:  given(live, nextTo(attempt("own-old", "Frozen", 0))),
		rule:   "steady", action: plan.Wait{}, state: plan.Stalled, code: v1alpha1.ReasonUnknownState,
		says: []string{"own-old", "or a newer one"},
	},
}

// endRequested has a user end a credential.
func endRequested(name string) change {
	return func(o *plan.Observation) { o.Token.End = name }
}

// endedName is the name of a credential that the ledger had. reservedLater has a revision that
// was never reserved, and othersName is not owned.
const (
	endedName     = "at1-aaaaaaaa-aaaaaaaaaaaaaaaa-7-aaaaaaaaaa"
	reservedLater = "at1-aaaaaaaa-aaaaaaaaaaaaaaaa-8-aaaaaaaaaa"
	othersName    = "at1-aaaaaaaa-bbbbbbbbbbbbbbbb-7-aaaaaaaaaa"
)

// TestEndIgnoredSaysWhy: what the annotation names must be Retiring, and anything else is
// reported with what is allowed. A name that the ledger had is silent, for the annotation stays.
func TestEndIgnoredSaysWhy(t *testing.T) {
	for name, c := range map[string]struct {
		given change
		want  string
	}{
		"nothing":             {none, ""},
		"Retiring":            {all(nextTo(retiring("own-old", time.Hour)), endRequested("own-old")), ""},
		"ended before":        {endRequested(endedName), ""},
		"never reserved":      {endRequested(reservedLater), "not the name of a credential"},
		"of another ApiToken": {endRequested(othersName), "not the name of a credential"},
		"Active":              {endRequested("own-active"), "raise spec.rotation.generation"},
		"unknown":             {endRequested("own-x"), "not the name of a credential"},
		"Abandoned":           {all(nextTo(attempt("own-a", v1alpha1.StateAbandoned, 0)), endRequested("own-a")), "is Abandoned"},
		"not ours, Retiring":  {all(nextTo(retiring("their-1", time.Hour)), endRequested("their-1")), "is Retiring"},
	} {
		o := observe(c.given)
		o.Token.Owns = func(name string) bool {
			return strings.HasPrefix(name, "own-") || strings.Contains(name, "-aaaaaaaaaaaaaaaa-")
		}
		got := o.EndIgnored()
		if (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
		if got != "" && !strings.Contains(got, "metadata.annotations[apitoken.dev/end]") {
			t.Errorf("%s: %q does not name the field", name, got)
		}
	}
}
