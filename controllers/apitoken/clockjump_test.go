package apitoken_test

import (
	"testing"
	"time"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/ledger"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/test/support/fake"
)

const year = 365 * 24 * time.Hour

// Times that a wrong clock wrote into the status have no effect once the clock is right. Credentials
// that were issued under the wrong clock are replaced.
func TestClockJumpOfAYearDelaysNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := activeOf(w.issue("training")).Name
	right := w.clock.Now()
	w.clock.SetWall(right.Add(year))
	w.touch("training")
	future := activeOf(w.waitReplaced("training", first)).Name // by the wrong clock, the first has expired
	for generation := int64(1); w.token("training").Status.MintBudget.Remaining > 0; generation++ {
		w.edit("training", rotateTo(generation))
		future = activeOf(w.waitReplaced("training", future)).Name
	}
	w.clock.SetWall(right)
	w.touch("training")
	w.expectCondition("training", v1alpha1.ConditionReady, v1alpha1.ReasonReady) // still in use until the budget allows another one
	w.Until(func() string {
		if b := w.token("training").Status.MintBudget; b.RefilledAt.After(right) {
			return "the budget grows in a year"
		}
		return ""
	})
	w.clock.Advance(ledger.BudgetRefill)
	w.touch("training")
	if e := activeOf(w.waitReplaced("training", future)); e.ExpiresAt.After(w.clock.Now().Add(91 * 24 * time.Hour)) {
		t.Errorf("the next credential ends at %s", e.ExpiresAt)
	}
}

// A rejected attempt does not delay the next one.
func TestRejectedAttemptsDoNotChargeTheBudget(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, rejection := range []fake.Fault{
		{Kind: fake.Reject, Code: provider.CodePermissionDenied}, {Kind: fake.RateLimit, RetryAfter: 20 * time.Second},
	} {
		for range 4 {
			w.backend.Script(fake.Mint, rejection)
		}
	}
	w.declare("training")
	w.Until(func() string {
		w.passTime(time.Minute, 1) // which waits for the attempt in progress
		token := w.token("training")
		for _, c := range token.Status.Conditions {
			if c.Reason == v1alpha1.ReasonMintBudgetExhausted {
				t.Fatalf("%s: %s", c.Type, c.Message)
			}
		}
		if activeOf(token) == nil {
			return "nothing issued yet"
		}
		return ""
	})
	if b := w.waitReady("training").Status.MintBudget; b.Remaining != 4 {
		t.Errorf("%d left of the budget after one credential, want 4", b.Remaining)
	}
}
