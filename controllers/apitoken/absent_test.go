package apitoken

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// TestAbsenceHoldsLongerEachTime: from a minute to an hour, and for that claim only.
func TestAbsenceHoldsLongerEachTime(t *testing.T) {
	var a absences
	token := types.NamespacedName{Namespace: "team", Name: "token"}
	asked := claim{uid: "1", credential: "at1-x", account: "one"}
	now := time.Duration(0)
	for _, want := range []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 16 * time.Minute, 32 * time.Minute, time.Hour, time.Hour} {
		if got := a.note(token, asked, "one", now); got != want {
			t.Fatalf("after %s: the answer holds %s, not %s", now, got, want)
		}
		now += want - time.Second
		if held := a.of(token, asked, now); held == nil || held.Live || !held.Remembered || held.AsksIn != time.Second || held.Account != "one" {
			t.Fatalf("after %s: remembered %+v", now, held)
		}
		if now += time.Second; a.of(token, asked, now) != nil {
			t.Fatalf("after %s: the answer still holds", now)
		}
	}
	for name, other := range map[string]claim{
		"ApiToken": {uid: "2", credential: "at1-x", account: "one"}, "credential": {uid: "1", credential: "at1-y", account: "one"},
		"account": {uid: "1", credential: "at1-x", account: "two"}, "values": {uid: "1", credential: "at1-x", account: "one", secret: "7"},
	} {
		a.note(token, asked, "one", now)
		if held := a.of(token, other, now); held != nil {
			t.Errorf("another %s: remembered %+v", name, held)
		}
		if wait := a.note(token, other, "one", now); wait != time.Minute {
			t.Errorf("another %s: the answer holds %s", name, wait)
		}
	}
	a.forget(token)
	if len(a.known) > 0 {
		t.Errorf("%d answers are remembered of no ApiToken", len(a.known))
	}
}
