package ledger_test

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/ledger"
)

func left(remaining int32, since time.Duration) *v1alpha1.MintBudget {
	return &v1alpha1.MintBudget{Remaining: remaining, RefilledAt: metav1.NewTime(now.Add(-since))}
}

func charged(b *v1alpha1.MintBudget, at time.Time) *v1alpha1.MintBudget {
	s := &v1alpha1.ApiTokenStatus{MintBudget: b}
	ledger.Charge(s, at)
	return s.MintBudget
}

func backedOff(r *v1alpha1.Retry, remaining time.Duration) *v1alpha1.Retry {
	s := &v1alpha1.ApiTokenStatus{Retry: r}
	ledger.Backoff(s, now, remaining)
	return s.Retry
}

func TestBudgetRefillsWithTime(t *testing.T) {
	cases := map[string]struct {
		reason    string
		budget    *v1alpha1.MintBudget
		remaining int32
		next      time.Duration
	}{
		"none recorded":         {"an ApiToken begins with a full bucket", nil, 5, 10 * time.Minute},
		"full":                  {"a full bucket does not grow, and does not save up time", left(5, time.Hour), 5, 10 * time.Minute},
		"one paid just now":     {"one more every 10 minutes", left(4, 0), 4, 10 * time.Minute},
		"one paid a while ago":  {"the time since then counts", left(4, 9*time.Minute), 4, time.Minute},
		"after 10 minutes":      {"one more", left(0, 10*time.Minute), 1, 10 * time.Minute},
		"after 25 minutes":      {"two more, and 5 minutes towards the next", left(0, 25*time.Minute), 2, 5 * time.Minute},
		"after a day":           {"never more than 5", left(0, 24*time.Hour), 5, 10 * time.Minute},
		"over full":             {"a status that says more is cut", left(9, 0), 5, 10 * time.Minute},
		"status restored":       {"a bucket from long ago is full", left(0, 10*365*24*time.Hour), 5, 10 * time.Minute},
		"without a time":        {"a bucket of no time is full", &v1alpha1.MintBudget{}, 5, 10 * time.Minute},
		"clock went back":       {"a time ahead of the clock adds nothing", left(2, -5*time.Minute), 2, 15 * time.Minute},
		"below zero":            {"a status that says less grows from there", left(-1, 10*time.Minute), 0, 10 * time.Minute},
		"almost the next":       {"not a moment early", left(0, 10*time.Minute-time.Nanosecond), 0, time.Nanosecond},
		"almost full for a day": {"a full bucket does not save up time", left(4, 24*time.Hour), 5, 10 * time.Minute},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			before := tc.budget.DeepCopy()
			got, next := ledger.BudgetAt(tc.budget, now)
			if got.Remaining != tc.remaining || next.Sub(now) != tc.next {
				t.Errorf("%s: %d left and the next in %s, want %d and %s", tc.reason, got.Remaining, next.Sub(now), tc.remaining, tc.next)
			}
			if diff := cmp.Diff(before, tc.budget); diff != "" {
				t.Errorf("reading the budget changed it, -want +got:\n%s", diff)
			}
		})
	}
}

// TestChargesFollowTheRefill spends as fast as the budget allows: 5 at once, then one
// every 10 minutes, for two hours.
func TestChargesFollowTheRefill(t *testing.T) {
	var b *v1alpha1.MintBudget
	var spent []time.Duration
	for passed := time.Duration(0); passed < 2*time.Hour; passed += time.Minute {
		for {
			if at, _ := ledger.BudgetAt(b, now.Add(passed)); at.Remaining == 0 {
				break
			}
			b = charged(b, now.Add(passed))
			spent = append(spent, passed)
		}
	}
	want := []time.Duration{0, 0, 0, 0, 0}
	for passed := 10 * time.Minute; passed < 2*time.Hour; passed += 10 * time.Minute {
		want = append(want, passed)
	}
	if diff := cmp.Diff(want, spent); diff != "" {
		t.Errorf("spent at, -want +got:\n%s", diff)
	}
}

func TestEmptyBudgetHasNoDebt(t *testing.T) {
	if got := charged(left(0, 0), now); got.Remaining != 0 {
		t.Errorf("%d left, want 0: a debt would block for longer than the design says", got.Remaining)
	}
	b := left(3, 0)
	charged(b, now)
	if b.Remaining != 3 {
		t.Error("paying changed the budget that was passed in, which is the status as it was read")
	}
}

func TestBackoffDoublesUpToTenMinutes(t *testing.T) {
	want := []time.Duration{
		5 * time.Second, 10 * time.Second, 20 * time.Second, 40 * time.Second, 80 * time.Second,
		160 * time.Second, 320 * time.Second, 10 * time.Minute, 10 * time.Minute, 10 * time.Minute,
	}
	var r *v1alpha1.Retry
	for i, wait := range want {
		r = backedOff(r, 90*day)
		if got := r.NotBefore.Sub(now); got != wait || r.Failures != int32(i+1) {
			t.Errorf("failure %d: failure %d and a wait of %s, want %s", i+1, r.Failures, got, wait)
		}
	}
}

func TestBackoffIsBounded(t *testing.T) {
	failed := func(n int32) *v1alpha1.Retry { return &v1alpha1.Retry{Failures: n} }
	cases := map[string]struct {
		reason    string
		retry     *v1alpha1.Retry
		remaining time.Duration
		failures  int32
		wait      time.Duration
	}{
		"a minute left":        {"never over a tenth of the remaining lifetime", failed(7), time.Minute, 8, 6 * time.Second},
		"an hour left":         {"never over a tenth of the remaining lifetime", failed(20), time.Hour, 21, 6 * time.Minute},
		"much left":            {"never over 10 minutes", failed(20), 1000 * day, 21, 10 * time.Minute},
		"first, seconds left":  {"at least a second, so that it is a pause at all", nil, 3 * time.Second, 1, time.Second},
		"nothing left":         {"without a lifetime only the failures count", failed(2), 0, 3, 20 * time.Second},
		"already over":         {"without a lifetime only the failures count", failed(2), -time.Hour, 3, 20 * time.Second},
		"a great many":         {"a shift of that many bits is nothing", failed(1000), 1000 * day, 1001, 10 * time.Minute},
		"the greatest number":  {"the count stays what it is", failed(math.MaxInt32), 1000 * day, math.MaxInt32, 10 * time.Minute},
		"count below zero":     {"a status that was edited does not stop the operator", failed(-5), 1000 * day, 1, 5 * time.Second},
		"the smallest number":  {"a status that was edited does not stop the operator", failed(math.MinInt32), 1000 * day, 1, 5 * time.Second},
		"status without count": {"an empty entry is no failure", failed(0), 1000 * day, 1, 5 * time.Second},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := backedOff(tc.retry, tc.remaining)
			if got.Failures != tc.failures || got.NotBefore.Sub(now) != tc.wait {
				t.Errorf("%s: failure %d and a wait of %s, want %d and %s", tc.reason, got.Failures, got.NotBefore.Sub(now), tc.failures, tc.wait)
			}
		})
	}
}
