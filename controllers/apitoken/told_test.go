package apitoken

import (
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/plan"
)

// TestFailuresAreToldInTime: a text that changes with each failure changes the status a
// few times at once, then every ten seconds, and at once again after a success.
func TestFailuresAreToldInTime(t *testing.T) {
	var f failedRules
	now := time.Duration(0)
	token := &v1alpha1.ApiToken{ObjectMeta: metav1.ObjectMeta{Namespace: "ml", Name: "training"}}
	tells := func(text string) bool {
		p := &pass{token: token}
		var err error
		if text != "" {
			err = &stopError{reason: text}
		}
		f.note(p, plan.Decision{Rule: "revoke", Action: plan.Revoke{}}, err, now)
		return !p.retold
	}
	told := 0
	for n := range 50 {
		if tells(fmt.Sprintf("answer %d", n%2)) {
			told++
		}
	}
	if told != toldFreely {
		t.Errorf("50 answers that alternate are told %d times at once, want %d", told, toldFreely)
	}
	now += toldEvery
	if !tells("another answer") {
		t.Error("it is not told after a while")
	}
	if tells("yet another") {
		t.Error("the next one is told at once")
	}
	if !tells("yet another") {
		t.Error("a text that stays is not told")
	}
	if tells(""); !tells("after a success") {
		t.Error("the first failure after a success is not told")
	}
}
