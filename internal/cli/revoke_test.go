package cli_test

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/cli/exit"
)

func TestRevokeNamesTheConsumersAndWaits(t *testing.T) {
	w := newWorld(t, "").withRealClock()
	w.createProvider("object-store")
	one := w.makeReady(w.createToken("one", func(t *v1alpha1.ApiToken) { t.Finalizers = []string{v1alpha1.Finalizer} }))
	w.createPod("worker", -time.Hour, func(s *corev1.PodSpec) {
		s.InitContainers = []corev1.Container{{Name: "init", Image: "example.com/init",
			EnvFrom: []corev1.EnvFromSource{{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "one"}}}}}}
	})
	for _, answer := range []string{"", "n\n", "\n"} {
		w.expect(w.runWithInput(answer, "revoke", "one"), exit.Refused, "AKIAEXAMPLE2 (Active) is revoked at TokenProvider object-store", "pod worker uses the Secret (envFrom)", "nothing was done")
	}
	if got := w.read("one"); got == nil || got.DeletionTimestamp != nil {
		t.Fatal("it was deleted all the same")
	}
	w.makeStalled(w.read("one"), v1alpha1.ReasonScopeNotGrantable, "spec.scopes: from before the deletion")
	if r := w.expect(w.runWithInput("", "revoke", "one", "--yes", "--timeout=50ms"), exit.TimedOut, "to be revoked: AKIAEXAMPLE2 (Active)"); strings.Contains(r.err, "from before the deletion") {
		t.Errorf("a message from before the deletion is shown:\n%s", r.err)
	}
	w.actAsOperator(func() bool {
		t := w.read("one")
		if !strings.Contains(w.said.String(), "is being deleted already") {
			return false
		}
		t.Finalizers = nil
		return w.Update(w.Context(), t) == nil
	})
	w.expect(w.run("revoke", "one"), exit.OK, "is being deleted already", "revoked and deleted")
	if got := w.read("one"); got != nil && got.UID == one.UID {
		t.Error("it is still there")
	}

	w.makeReady(w.createToken("two"))
	w.expect(w.runWithInput("yes\n", "revoke", "two", "--wait=false"), exit.OK, "deletion requested")

	w.makeReady(w.createToken("three", func(t *v1alpha1.ApiToken) { t.Spec.DeletionPolicy = v1alpha1.DeletionRetain }))
	w.expect(w.run("revoke", "three", "--yes"), exit.Refused, "spec.deletionPolicy", "kubectl patch apitoken")
	if w.read("three") == nil {
		t.Error("an ApiToken with Retain was deleted")
	}
}
