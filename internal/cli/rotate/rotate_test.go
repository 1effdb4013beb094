package rotate

import (
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/test/support/clitest"
)

// The operator writes the status, or another user rotates, between the read and the patch.
func TestRaiseRetriesAConflictAndRotatesOnce(t *testing.T) {
	c := clitest.Client(t, clitest.Token("one"))
	read := func() *v1alpha1.ApiToken {
		got := &v1alpha1.ApiToken{}
		if err := c.Get(t.Context(), client.ObjectKey{Namespace: clitest.Namespace, Name: "one"}, got); err != nil {
			t.Fatal(err)
		}
		return got
	}
	stale := read()
	written := stale.DeepCopy()
	written.Status.LastGap = "1s"
	if err := c.Status().Update(t.Context(), written); err != nil {
		t.Fatal(err)
	}
	s := clitest.Session(t, c)
	raised, err := raise(t.Context(), s, stale.DeepCopy())
	if err != nil || raised.Spec.Rotation.Generation != 1 || read().Spec.Rotation.Generation != 1 {
		t.Fatalf("after a write of the operator: %v, %v", raised, err)
	}
	if raised, err = raise(t.Context(), s, stale); err != nil || raised.Spec.Rotation.Generation != 1 || read().Spec.Rotation.Generation != 1 {
		t.Errorf("after a rotation by another user, it rotates again: %v, %v", raised, err)
	}
}
