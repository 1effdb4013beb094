package plan_test

import (
	"testing"
	"time"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/plan"
)

// A rejection by the API server or a provider does not delay the actions that end access.

// undeleted: the Secret could not be deleted at the end of access.
var undeleted = failed("end-secret")

// unfenced: an attempt could not be fenced, because the Secret could not be written.
var unfenced = all(live, failed("abandon"), nextTo(mint))

var failedCases = map[string]nextCase{
	"Secret not deleted": {
		reason: "One attempt to delete the Secret, then the credential ends.",
		given:  given(past, undeleted),
		rule:   "end-active", action: plan.Retire{Name: "own-active", Expired: true}, state: plan.Stalled, code: v1alpha1.ReasonExpired, says: endSays,
	},
	"Secret not deleted, credential retired": {
		reason: "It is revoked although the Secret still holds it.",
		given:  given(past, undeleted, entries(retiring("own-active", 0))),
		rule:   "revoke", action: plan.Revoke{Names: []string{"own-active"}}, state: plan.Stalled, code: v1alpha1.ReasonExpired, says: endSays,
	},
	"Secret not deleted, all revoked": {
		reason: "Deleting it is tried again when nothing else is left to do.",
		given:  given(past, undeleted, entries()),
		rule:   "end-secret", action: plan.DeleteSecret{}, state: plan.Stalled, code: v1alpha1.ReasonExpired, says: endSays,
	},
	"Secret not deleted, overlap running": {
		reason: "A hard end respects no overlap.",
		given:  given(past, undeleted, holding("own-old"), entries(retiring("own-old", time.Hour))),
		rule:   "revoke", action: plan.Revoke{Names: []string{"own-old"}}, state: plan.Stalled, code: v1alpha1.ReasonExpired, says: endSays,
	},
	"Secret not deleted, neither can it be fenced": {
		reason: "An attempt that cannot be fenced delays no hard end.",
		given:  given(past, undeleted, failed("abandon"), nextTo(mint)),
		rule:   "end-active", action: plan.Retire{Name: "own-active", Expired: true}, state: plan.Stalled, code: v1alpha1.ReasonExpired, says: endSays,
	},
	"Secret not deleted, not revoked either": {
		reason: "Both are tried in turns.",
		given:  given(past, undeleted, failed("revoke"), entries(retiring("own-active", 0))),
		rule:   "end-secret", action: plan.DeleteSecret{}, state: plan.Stalled, code: v1alpha1.ReasonExpired, says: endSays,
	},
	"lapsed, Secret not deleted": {
		reason: "An expiry that the operator enforces is a hard end as well.",
		given:  given(runOut, suspend, undeleted),
		rule:   "end-active", action: plan.Retire{Name: "own-active", Expired: true}, state: plan.Steady, code: v1alpha1.ReasonSuspended,
	},
	"lapsed, Secret not deleted, credential retired": {
		reason: "It is revoked although the Secret still holds it.",
		given:  given(live, operatorEnds, suspend, undeleted, entries(runOutRetiring)),
		rule:   "revoke", action: plan.Revoke{Names: []string{"own-active"}}, state: plan.Steady, code: v1alpha1.ReasonSuspended,
	},
	"lapsed, credential retired, Secret not tried": {
		reason: "After a restart the Secret's deletion is tried once.",
		given:  given(live, operatorEnds, suspend, entries(runOutRetiring)),
		rule:   "end-secret", action: plan.DeleteSecret{}, state: plan.Steady, code: v1alpha1.ReasonSuspended,
	},
	"lapsed, Secret not deleted, credential revoked": {
		reason: "The Secret must still be deleted: its credential is revoked.",
		given:  given(live, operatorEnds, suspend, undeleted, entries(), said(func(f *plan.CredentialFacts) { f.ExpiresAt = now.Add(-time.Minute) })),
		rule:   "end-secret", action: plan.DeleteSecret{}, state: plan.Steady, code: v1alpha1.ReasonSuspended, says: []string{"has expired"},
	},
	"lapsed, another can be issued now": {
		reason: "Then the Secret gets that one before the old one is revoked.",
		given:  given(live, operatorEnds, undeleted, entries(runOutRetiring)),
		rule:   "issue", action: plan.Issue{Reason: plan.IssueInitial, Revision: 8, Charged: true}, state: plan.Progressing, code: v1alpha1.ReasonIssuing,
	},
	"attempt not fenced": {
		reason: "Nothing else is left to do: the fence is tried again.",
		given:  given(unfenced),
		rule:   "abandon", action: plan.Abandon{Name: "own-new", Fence: true}, state: plan.Progressing, code: v1alpha1.ReasonResolving,
	},
	"attempt not fenced, overlap over": {
		reason: "A fence that is refused keeps no previous credential alive.",
		given:  given(unfenced, nextTo(retiring("own-old", 0))),
		rule:   "revoke", action: plan.Revoke{Names: []string{"own-old"}}, state: plan.Steady, code: v1alpha1.ReasonReady,
	},
	"attempt not fenced, another one settled": {
		reason: "What was given up is cleared up.",
		given:  given(unfenced, nextTo(attempt("own-2", v1alpha1.StateAbandoned, 0))),
		rule:   "begin-revoke", action: plan.BeginRevoke{Names: []string{"own-2"}}, state: plan.Steady, code: v1alpha1.ReasonReady,
	},
	"attempt not fenced, hard end": {
		reason: "A fence that is refused delays no hard end.",
		given:  given(unfenced, endsIn(-time.Hour)),
		rule:   "end-secret", action: plan.DeleteSecret{}, state: plan.Stalled, code: v1alpha1.ReasonExpired, says: endSays,
	},
	"attempt not fenced, rotation due": {
		reason: "Nothing is reserved next to an attempt that was read and not given up.",
		given:  given(unfenced, rotation(1)),
		rule:   "abandon", action: plan.Abandon{Name: "own-new", Fence: true}, state: plan.Progressing, code: v1alpha1.ReasonResolving,
	},
	"attempt not fenced, settled by now": {
		reason: "A settled attempt needs no fence.",
		given:  given(live, failed("abandon"), nextTo(attempt("own-new", v1alpha1.StateMinting, 0))),
		rule:   "abandon", action: plan.Abandon{Name: "own-new"}, state: plan.Progressing, code: v1alpha1.ReasonResolving,
	},
	"labels not written, overlap over": {
		reason: "A Secret that cannot be written keeps no previous credential alive.",
		given:  given(live, outdated, failed("sync-secret"), nextTo(retiring("own-old", 0))),
		rule:   "revoke", action: plan.Revoke{Names: []string{"own-old"}}, state: plan.Steady, code: v1alpha1.ReasonReady,
	},
	"slots not counted, overlap over": {
		reason: "A provider that cannot be asked for its credentials still revokes.",
		given:  given(live, twoSlots, rotation(1), failed("count-slots"), nextTo(retiring("own-old", 0))),
		rule:   "revoke", action: plan.Revoke{Names: []string{"own-old"}}, state: plan.Steady, code: v1alpha1.ReasonReady,
	},
	"nothing issued, overlap over": {
		reason: "An attempt that ends before its reservation keeps no previous credential alive.",
		given:  given(live, rotation(1), failed("issue"), nextTo(retiring("own-old", 0))),
		rule:   "revoke", action: plan.Revoke{Names: []string{"own-old"}}, state: plan.Steady, code: v1alpha1.ReasonReady,
	},
	"not changed in place": {
		reason: "A change that failed is no reason to issue another credential.",
		given:  given(live, updating, otherScope, failed("update")),
		rule:   "update", action: plan.Update{Name: "own-active"}, state: plan.Progressing, code: v1alpha1.ReasonUpdating,
	},
	"not read": {
		reason: "Nothing is decided without the read that it relies on.",
		given:  given(failed("read-secret"), nextTo(retiring("own-old", 0))),
		rule:   "read-secret", action: plan.ReadSecret{}, state: plan.Progressing, code: v1alpha1.ReasonPublishing,
	},
}

// runOutRetiring: the credential has expired and was retired, and the Secret still holds it.
var runOutRetiring = func() plan.Entry {
	e := retiring("own-active", -time.Minute)
	e.ExpiresAt = at(now.Add(-time.Minute))
	return e
}()

// Whichever rules failed, all other steps that end access still run.
func TestFailedStepDelaysNoRevocation(t *testing.T) {
	o := observe(past, failed("abandon"), nextTo(mint, attempt("own-2", v1alpha1.StateAbandoned, 0), retiring("own-3", time.Hour)))
	var tried []string
	for range plan.Rules() {
		d := plan.Next(o)
		if o.Failed[d.Rule] {
			break // all that is left was tried
		}
		tried = append(tried, d.Rule)
		failed(d.Rule)(&o)
	}
	want := []string{"end-secret", "end-active", "begin-revoke", "revoke"}
	if len(tried) != len(want) {
		t.Fatalf("tried %v, want %v", tried, want)
	}
	for i := range want {
		if tried[i] != want[i] {
			t.Errorf("tried %v, want %v", tried, want)
		}
	}
}
