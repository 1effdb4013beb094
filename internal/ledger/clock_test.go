package ledger_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/ledger"
)

const year = 365 * day

// TestTimesFarAheadAreCorrected: what a clock that was a year ahead has left behind makes nothing wait,
// and what a clock may leave behind stays.
func TestTimesFarAheadAreCorrected(t *testing.T) {
	overlap := func(*v1alpha1.LedgerEntry) time.Duration { return day }
	times := func(after time.Duration) v1alpha1.ApiTokenStatus {
		return v1alpha1.ApiTokenStatus{
			Retry:      &v1alpha1.Retry{Failures: 2, NotBefore: *at(after)},
			MintBudget: &v1alpha1.MintBudget{Remaining: 0, RefilledAt: *at(after)},
			GapSince:   at(after),
			Credentials: []v1alpha1.LedgerEntry{
				{Name: "retiring", State: v1alpha1.StateRetiring, RetireAt: at(after), ExpiresAt: at(2 * year)},
				{Name: "active", State: v1alpha1.StateActive, ExpiresAt: at(2 * year)},
			},
		}
	}
	cases := map[string]struct {
		after               time.Duration
		retry, refill, gaps time.Duration
		retire              time.Duration
	}{
		"a year ago":        {-year, -year, -year, -year, -year},
		"now":               {0, 0, 0, 0, 0},
		"clocks differ":     {30 * time.Second, 30 * time.Second, 30 * time.Second, 30 * time.Second, 30 * time.Second},
		"the longest pause": {time.Hour, time.Hour, 0, 0, time.Hour},
		"a year ahead":      {year, 0, 0, 0, day},
		"an overlap":        {day, 0, 0, 0, day},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, want := times(tc.after), times(0)
			want.Retry.NotBefore, want.MintBudget.RefilledAt, want.GapSince = *at(tc.retry), *at(tc.refill), at(tc.gaps)
			want.Credentials[0].RetireAt = at(tc.retire)
			ledger.Correct(&got, now, overlap)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
	empty := v1alpha1.ApiTokenStatus{}
	ledger.Correct(&empty, now, overlap)
	if diff := cmp.Diff(v1alpha1.ApiTokenStatus{}, empty); diff != "" {
		t.Errorf("an empty status, -want +got:\n%s", diff)
	}
}

func TestRefundNeverExceedsTheBucket(t *testing.T) {
	cases := map[string]struct {
		before    *v1alpha1.MintBudget
		remaining int32
	}{
		"one charge":   {left(4, time.Minute), 5},
		"empty":        {left(0, time.Minute), 1},
		"a full one":   {left(5, time.Minute), 5},
		"none":         {nil, 5},
		"edited":       {left(1000, time.Minute), 5},
		"grown enough": {left(3, 10*time.Minute), 5},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := v1alpha1.ApiTokenStatus{MintBudget: tc.before}
			ledger.Refund(&s, now)
			if s.MintBudget.Remaining != tc.remaining {
				t.Errorf("%d left, want %d", s.MintBudget.Remaining, tc.remaining)
			}
		})
	}
	b := v1alpha1.MintBudget{Remaining: 0, RefilledAt: metav1.NewTime(now.Add(-9 * time.Minute))}
	s := v1alpha1.ApiTokenStatus{MintBudget: &b}
	ledger.Refund(&s, now)
	if _, next := ledger.BudgetAt(s.MintBudget, now); !next.Equal(now.Add(time.Minute)) {
		t.Errorf("the next one is added at %s: a refund must not move that", next)
	}
}
