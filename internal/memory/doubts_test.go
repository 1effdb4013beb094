package memory

import (
	"fmt"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/plan"
)

var someToken = types.NamespacedName{Namespace: "ml", Name: "training"}

// knows returns what is known of a credential at a time.
func knows(d *Doubts, credential string, now time.Duration) plan.Entry {
	e := plan.Entry{}
	e.Name = credential
	d.About(someToken, &e, now)
	return e
}

// TestOneAbsenceIsNoProof: without lists that miss it, a credential is missing only when
// the provider does not show it at two moments an hour apart.
func TestOneAbsenceIsNoProof(t *testing.T) {
	d := New().Doubts
	d.Add(someToken, "a", false)
	if e := knows(d, "a", 0); !e.Doubted || e.ConfirmsIn != 0 || e.Confirmed {
		t.Errorf("doubted: %+v", e)
	}
	for _, at := range []time.Duration{0, time.Minute, AskInterval - time.Second} {
		if d.Absent(someToken, "a", at) {
			t.Errorf("it is missing after %s", at)
		}
		if e := knows(d, "a", at); !e.Doubted || e.ConfirmsIn != AskInterval-at || e.Confirmed {
			t.Errorf("after %s: %+v", at, e)
		}
		d.Add(someToken, "a", false) // the sweep does not bring the question forward
	}
	if !d.Absent(someToken, "a", AskInterval) {
		t.Error("it is not missing after an hour")
	}
	if e := knows(d, "a", 2*AskInterval-time.Second); e.Doubted || !e.Confirmed {
		t.Errorf("after the answer: %+v", e)
	}
	if e := knows(d, "a", 2*AskInterval); e.Confirmed {
		t.Error("the answer counts for ever")
	}
	if e := knows(d, "b", AskInterval); e.Doubted || e.Confirmed {
		t.Errorf("another credential: %+v", e)
	}
}

// TestListsCountAsTheFirstAbsence: they count only once.
func TestListsCountAsTheFirstAbsence(t *testing.T) {
	d := New().Doubts
	d.Add(someToken, "a", true)
	if !d.Absent(someToken, "a", 0) {
		t.Error("it is not missing")
	}
	if d.Absent(someToken, "a", time.Minute) {
		t.Error("the lists count twice")
	}
	d.Add(someToken, "a", true)
	d.Add(someToken, "a", false) // the next list showed it
	if d.Absent(someToken, "a", time.Minute) {
		t.Error("a list counts that another one contradicted")
	}
}

// The provider is asked again later.
func TestPostponedAnswersConfirmNothing(t *testing.T) {
	d := New().Doubts
	d.Add(someToken, "a", true)
	d.Absent(someToken, "a", 0)
	d.PutOff(someToken, "a", 0)
	if e := knows(d, "a", time.Minute); e.Confirmed || !e.Doubted || e.ConfirmsIn != AskInterval-time.Minute {
		t.Errorf("put off: %+v", e)
	}
	d.Resolve(someToken)
	if e := knows(d, "a", AskInterval); e.Doubted || e.Confirmed {
		t.Errorf("forgotten: %+v", e)
	}
	if d.Absent(someToken, "a", AskInterval) {
		t.Error("an absence before it was shown again counts")
	}
}

// TestMarksLimitDrift: the sixth of few is not marked, whether the cache shows the others
// or only this process knows them, until a day has passed or one recovers.
func TestMarksLimitDrift(t *testing.T) {
	here, other := account.Key{Kind: "TokenProvider", Namespace: "ml", Name: "store"}, account.Key{Kind: "ClusterTokenProvider", Name: "store"}
	token := func(n int) types.NamespacedName { return types.NamespacedName{Namespace: "ml", Name: fmt.Sprint(n)} }
	d := New().Doubts
	mark := func(p account.Key, n, all int, now time.Duration, cached ...int) bool {
		drifting := map[types.NamespacedName]bool{}
		for _, c := range cached {
			drifting[token(c)] = true
		}
		return d.Mark(p, token(n), drifting, all, now)
	}
	for n := range 5 {
		if !mark(here, n, 20, 0) {
			t.Errorf("number %d is one too many", n)
		}
	}
	steps := []struct {
		what string
		got  bool
		want bool
	}{
		{"the sixth", mark(here, 5, 20, plan.DriftPeriod-1), false},
		{"one that is marked", mark(here, 4, 20, plan.DriftPeriod-1), true},
		{"the cache shows the same ones", mark(here, 3, 20, 0, 0, 1, 2, 3, 4), true},
		{"one of another provider", mark(other, 6, 20, 0), true},
		{"the sixth of 60", mark(here, 5, 60, 0), true},
		{"the seventh of 60", mark(here, 7, 60, 0), false},
		{"the sixth that only the cache shows", mark(other, 10, 20, 3*plan.DriftPeriod, 11, 12, 13, 14, 15), false},
		{"the sixth, days later", mark(here, 5, 20, 3*plan.DriftPeriod), true},
	}
	for _, s := range steps {
		if s.got != s.want {
			t.Errorf("%s: %t, want %t", s.what, s.got, s.want)
		}
	}
	for n := range 4 {
		mark(here, n, 20, 3*plan.DriftPeriod)
	}
	if mark(here, 8, 20, 3*plan.DriftPeriod) {
		t.Error("the sixth is marked")
	}
	d.Unmark(token(0))
	if !mark(here, 8, 20, 3*plan.DriftPeriod) {
		t.Error("one recovered, and the next is too many")
	}
}
