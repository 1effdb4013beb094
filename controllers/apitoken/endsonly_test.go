package apitoken_test

import (
	"testing"

	"apitoken.dev/operator/controllers/apitoken"
	"apitoken.dev/operator/internal/operator"
	"apitoken.dev/operator/test/support/fake"
)

// With EndsOnly, the operator revokes the credentials of deleted ApiTokens, and writes nothing for others.
func TestEndsOnlyIssuesNothingAndRevokes(t *testing.T) {
	w := newWorld(t)
	had := w.issue("had")
	w.operator.stop(w)
	w.declare("never")
	before := w.token("never")
	w.start(func(o *operator.Options) { o.EndsOnly = true })
	w.OK(w.Delete(w.Context(), had))
	w.Until(func() string {
		if w.token("had") != nil {
			return "the deleted ApiToken is still there"
		}
		return ""
	})
	if live := w.backend.LiveNames(); len(live) != 0 {
		t.Errorf("live: %v", live)
	}
	if after := w.token("never"); after.ResourceVersion != before.ResourceVersion {
		t.Errorf("an ApiToken that is not being deleted was written: %+v", after)
	}
	if n := w.backend.Count(fake.Mint); n != 1 {
		t.Errorf("%d credentials were minted, want the 1 from before", n)
	}
}

// For no decision does a Reconciler with EndsOnly have a step that can reserve or mint.
func TestEndsOnlyHasNoStepThatMints(t *testing.T) {
	r := apitoken.New(apitoken.Options{EndsOnly: true, Steps: apitoken.Standard()})
	if len(r.Steps) != 1 {
		t.Fatalf("%d steps", len(r.Steps))
	}
	if err := r.Steps[0](&apitoken.Attempt{}, t.Context()); err == nil {
		t.Error("an attempt continues")
	}
}
