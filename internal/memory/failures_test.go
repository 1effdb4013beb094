package memory

import (
	"fmt"
	"testing"
	"time"
)

// TestChangingFailuresAreReportedInTime: a failure whose text changes each time is reported
// a few times at once, then every ten seconds, and at once again after a success.
func TestChangingFailuresAreReportedInTime(t *testing.T) {
	f := New().Failures
	now := time.Duration(0)
	reports := func(text string) bool {
		_, before := f.Note(someToken, Outcome{Rule: "revoke", Failure: text}, now)
		return !before
	}
	times := 0
	for n := range 50 {
		if reports(fmt.Sprintf("answer %d", n%2)) {
			times++
		}
	}
	if times != freeChanges {
		t.Errorf("50 answers that alternate are reported %d times at once, want %d", times, freeChanges)
	}
	now += changeInterval
	if !reports("another answer") {
		t.Error("it is not reported after a while")
	}
	if reports("yet another") {
		t.Error("the next one is reported at once")
	}
	if !reports("yet another") {
		t.Error("a text that stays is not reported")
	}
	if reports(""); !reports("after a success") {
		t.Error("the first failure after a success is not reported")
	}
}
