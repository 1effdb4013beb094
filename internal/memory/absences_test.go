package memory

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// TestAbsenceHoldsLongerEachTime: from a minute to an hour, and for that claim only.
func TestAbsenceHoldsLongerEachTime(t *testing.T) {
	a := New().Absences
	token := types.NamespacedName{Namespace: "team", Name: "token"}
	asked := Claim{UID: "1", Credential: "at1-x", Account: "one"}
	now := time.Duration(0)
	for _, want := range []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 16 * time.Minute, 32 * time.Minute, time.Hour, time.Hour} {
		if got := a.Note(token, asked, "one", now); got != want {
			t.Fatalf("after %s: the answer holds %s, not %s", now, got, want)
		}
		now += want - time.Second
		if held := a.Of(token, asked, now); held == nil || held.Live || !held.Remembered || held.AsksIn != time.Second || held.Account != "one" {
			t.Fatalf("after %s: remembered %+v", now, held)
		}
		if now += time.Second; a.Of(token, asked, now) != nil {
			t.Fatalf("after %s: the answer still holds", now)
		}
	}
	for name, other := range map[string]Claim{
		"ApiToken": {UID: "2", Credential: "at1-x", Account: "one"}, "credential": {UID: "1", Credential: "at1-y", Account: "one"},
		"account": {UID: "1", Credential: "at1-x", Account: "two"}, "values": {UID: "1", Credential: "at1-x", Account: "one", Secret: "7"},
	} {
		a.Note(token, asked, "one", now)
		if held := a.Of(token, other, now); held != nil {
			t.Errorf("another %s: remembered %+v", name, held)
		}
		if wait := a.Note(token, other, "one", now); wait != time.Minute {
			t.Errorf("another %s: the answer holds %s", name, wait)
		}
	}
}
