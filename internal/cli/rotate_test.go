package cli_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/cli/exit"
	"apitoken.dev/operator/internal/cli/hint"
	"apitoken.dev/operator/internal/cli/tokenstate"
	"apitoken.dev/operator/internal/plan"
)

func TestRotateRaisesTheGeneration(t *testing.T) {
	w := newWorld(t, "")
	w.createProvider("object-store")
	w.makeReady(w.createToken("one", func(t *v1alpha1.ApiToken) { t.Spec.Rotation.Generation = 3 }))
	w.expect(w.run("rotate", "one"), exit.OK, "rotation requested (generation 4)")
	if got := w.read("one").Spec.Rotation.Generation; got != 4 {
		t.Errorf("spec.rotation.generation is %d", got)
	}
	w.expect(w.run("suspend", "one"), exit.OK, "one suspended", "Its credential ends")
	w.expect(w.run("rotate", "one"), exit.Refused, "kubectl apitoken resume one")
	w.expect(w.run("rotate", "none"), exit.NotFound)
}

// issueNext returns a step that issues the next credential, as the operator does.
func (w *world) issueNext(name string) func() bool {
	return func() bool {
		t := w.read(name)
		if t == nil || t.Spec.Rotation.Generation == 0 || !strings.Contains(w.said.String(), tokenstate.NotObserved) {
			return false
		}
		old := &t.Status.Credentials[0]
		old.State, old.RetireAt = v1alpha1.StateRetiring, w.fromNow(-time.Second)
		t.Status.Credentials = append(t.Status.Credentials, v1alpha1.LedgerEntry{
			Name: w.credential(name, 3), State: v1alpha1.StateActive, ID: "AKIAEXAMPLE3", RotationGeneration: t.Spec.Rotation.Generation,
			IssuedAt: w.fromNow(0), Fingerprint: plan.Fingerprint(&t.Spec),
		})
		t.Status.Revision = 3
		t.Status.Conditions = []metav1.Condition{condition(v1alpha1.ConditionReady, true, v1alpha1.ReasonReady, "the Secret holds credential AKIAEXAMPLE3", t.Generation)}
		return w.Status().Update(w.Context(), t) == nil
	}
}

// dropPrevious returns a step that removes the previous credential once the command waits for that.
func (w *world) dropPrevious(name string) func() bool {
	return func() bool {
		t := w.read(name)
		if !strings.Contains(w.said.String(), "is not revoked yet") {
			return false
		}
		t.Status.Credentials = t.Status.Credentials[1:]
		return w.Status().Update(w.Context(), t) == nil
	}
}

func TestRotateWaitsForTheNewCredential(t *testing.T) {
	w := newWorld(t, "").withRealClock()
	w.createProvider("object-store")
	w.makeReady(w.createToken("one"))
	w.actAsOperator(w.issueNext("one"), w.dropPrevious("one"))
	r := w.expect(w.run("rotate", "one", "--until-revoked", "--timeout=1m"), exit.OK, "NotObserved", "AKIAEXAMPLE2 (Retiring) is not revoked yet")
	want := "apitoken.apitoken.dev/one rotation requested (generation 1)\napitoken.apitoken.dev/one rotated\napitoken.apitoken.dev/one previous credentials revoked\n"
	if diff := cmp.Diff(want, r.out); diff != "" {
		t.Error(diff)
	}

	w.makeReady(w.createToken("two"))
	w.expect(w.run("rotate", "two", "--wait", "--timeout=50ms"), exit.TimedOut, "timed out after 50ms", "kubectl apitoken status two")

	w.makeReady(w.createToken("three"))
	w.actAsOperator(func() bool {
		t := w.read("three")
		if t.Spec.Rotation.Generation == 0 {
			return false
		}
		w.makeStalled(t, v1alpha1.ReasonTooManyBuckets, "spec.buckets: too many")
		return true
	})
	w.expect(w.run("rotate", "three", "--wait"), exit.Refused, "TooManyBuckets: spec.buckets: too many", hint.ActionFor(v1alpha1.ReasonTooManyBuckets))

	w.makeReady(w.createToken("five"))
	w.actAsOperator(func() bool {
		t := w.read("five")
		if t.Spec.Rotation.Generation == 0 {
			return false
		}
		t.Status.Conditions = []metav1.Condition{condition(v1alpha1.ConditionReady, false, v1alpha1.ReasonActionRequired, "make a credential", t.Generation)}
		return w.Status().Update(w.Context(), t) == nil
	})
	w.expect(w.run("rotate", "five", "--wait"), exit.Failed, "ActionRequired: make a credential", "kubectl apitoken handover five")

	w.makeReady(w.createToken("four"))
	w.actAsOperator(func() bool {
		return w.read("four").Spec.Rotation.Generation > 0 && w.Delete(t.Context(), w.read("four")) == nil
	})
	w.expect(w.run("rotate", "four", "--wait"), exit.Failed, "deleted in the meantime")
}
