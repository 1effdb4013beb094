package apitoken

import (
	"fmt"
	"maps"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/plan"
)

var someToken = types.NamespacedName{Namespace: "ml", Name: "training"}

// knows is what is known of a credential at a moment.
func (d *doubts) knows(credential string, now time.Duration) plan.Entry {
	e := plan.Entry{}
	e.Name = credential
	d.about(someToken, &e, now)
	return e
}

// TestOneAbsenceIsNoProof: without lists that miss it, a credential is missing only when
// the provider does not show it at two moments an hour apart.
func TestOneAbsenceIsNoProof(t *testing.T) {
	var d doubts
	d.add(someToken, "a", false)
	if e := d.knows("a", 0); !e.Doubted || e.ConfirmsIn != 0 || e.Confirmed {
		t.Errorf("doubted: %+v", e)
	}
	for _, at := range []time.Duration{0, time.Minute, askedAgain - time.Second} {
		if d.absent(someToken, "a", at) {
			t.Errorf("it is missing after %s", at)
		}
		if e := d.knows("a", at); !e.Doubted || e.ConfirmsIn != askedAgain-at || e.Confirmed {
			t.Errorf("after %s: %+v", at, e)
		}
		d.add(someToken, "a", false) // the sweep does not bring the question forward
	}
	if !d.absent(someToken, "a", askedAgain) {
		t.Error("it is not missing after an hour")
	}
	if e := d.knows("a", 2*askedAgain-time.Second); e.Doubted || !e.Confirmed {
		t.Errorf("after the answer: %+v", e)
	}
	if e := d.knows("a", 2*askedAgain); e.Confirmed {
		t.Error("the answer counts for ever")
	}
	if e := d.knows("b", askedAgain); e.Doubted || e.Confirmed {
		t.Errorf("another credential: %+v", e)
	}
}

// TestListsCountAsTheFirstAbsence: and once only.
func TestListsCountAsTheFirstAbsence(t *testing.T) {
	var d doubts
	d.add(someToken, "a", true)
	if !d.absent(someToken, "a", 0) {
		t.Error("it is not missing")
	}
	if d.absent(someToken, "a", time.Minute) {
		t.Error("the lists count twice")
	}
	d.add(someToken, "a", true)
	d.add(someToken, "a", false) // the next list showed it
	if d.absent(someToken, "a", time.Minute) {
		t.Error("a list counts that another one contradicted")
	}
}

// TestAnswersThatAreNotActedOn: no answer, or one too many, counts as no confirmation,
// and the question waits.
func TestAnswersThatAreNotActedOn(t *testing.T) {
	var d doubts
	d.add(someToken, "a", true)
	d.absent(someToken, "a", 0)
	d.putOff(someToken, "a", 0)
	if e := d.knows("a", time.Minute); e.Confirmed || !e.Doubted || e.ConfirmsIn != askedAgain-time.Minute {
		t.Errorf("put off: %+v", e)
	}
	d.forget(someToken)
	if e := d.knows("a", askedAgain); e.Doubted || e.Confirmed {
		t.Errorf("forgotten: %+v", e)
	}
	if d.absent(someToken, "a", askedAgain) {
		t.Error("an absence before it was shown again counts")
	}
}

// TestMarksLimitWhatDrifts: the sixth of few is not marked, whether the cache shows the
// others or only this process knows of them, until a day has passed or one recovers.
func TestMarksLimitWhatDrifts(t *testing.T) {
	here, other := account.Key{Kind: "TokenProvider", Namespace: "ml", Name: "store"}, account.Key{Kind: "ClusterTokenProvider", Name: "store"}
	token := func(n int) types.NamespacedName { return types.NamespacedName{Namespace: "ml", Name: fmt.Sprint(n)} }
	var d doubts
	mark := func(p account.Key, n, all int, now time.Duration, cached ...int) bool {
		drifting := map[types.NamespacedName]bool{}
		for _, c := range cached {
			drifting[token(c)] = true
		}
		return d.mark(p, token(n), drifting, all, now)
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
		{"the sixth", mark(here, 5, 20, atOnce-1), false},
		{"one that is marked", mark(here, 4, 20, atOnce-1), true},
		{"the cache shows the same ones", mark(here, 3, 20, 0, 0, 1, 2, 3, 4), true},
		{"one of another provider", mark(other, 6, 20, 0), true},
		{"the sixth of 60", mark(here, 5, 60, 0), true},
		{"the seventh of 60", mark(here, 7, 60, 0), false},
		{"the sixth that only the cache shows", mark(other, 10, 20, 3*atOnce, 11, 12, 13, 14, 15), false},
		{"the sixth, days later", mark(here, 5, 20, 3*atOnce), true},
	}
	for _, s := range steps {
		if s.got != s.want {
			t.Errorf("%s: %t, want %t", s.what, s.got, s.want)
		}
	}
	for n := range 4 {
		mark(here, n, 20, 3*atOnce)
	}
	if mark(here, 8, 20, 3*atOnce) {
		t.Error("the sixth is marked")
	}
	d.unmark(token(0))
	if !mark(here, 8, 20, 3*atOnce) {
		t.Error("one recovered, and the next is too many")
	}
}

// TestRepairedCountAsDrifting: Repair must not go through all credentials, a few at a
// time, because the provider has lost its list.
func TestRepairedCountAsDrifting(t *testing.T) {
	now := time.Date(2030, 1, 2, 0, 0, 0, 0, time.UTC)
	token := func(name string, edit func(*v1alpha1.LedgerEntry)) v1alpha1.ApiToken {
		issued := metav1.NewTime(now.Add(-time.Hour))
		e := v1alpha1.LedgerEntry{State: v1alpha1.StateActive, Reason: "CredentialMissing", IssuedAt: &issued}
		edit(&e)
		out := v1alpha1.ApiToken{Status: v1alpha1.ApiTokenStatus{Credentials: []v1alpha1.LedgerEntry{e}}}
		out.Name = name
		return out
	}
	old := metav1.NewTime(now.Add(-atOnce))
	deleted := token("deleted", func(*v1alpha1.LedgerEntry) {})
	deleted.DeletionTimestamp = &old
	got, all := driftingOf([]v1alpha1.ApiToken{
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
