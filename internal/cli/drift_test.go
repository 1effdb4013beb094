package cli_test

import (
	"testing"
	"time"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/cli/exit"
	"apitoken.dev/operator/internal/cli/hint"
)

// makeDrifted creates an ApiToken whose credential in use has drifted.
func (w *world) makeDrifted(name string, drift v1alpha1.CredentialDrift, reason string) {
	w.Helper()
	w.makeReady(w.createToken(name), func(t *v1alpha1.ApiToken) {
		t.Status.Credentials[0].Drift = drift
		c := condition(v1alpha1.ConditionDrifted, true, reason, "credential AKIAEXAMPLE2 is not as it was issued", t.Generation)
		c.LastTransitionTime = *ago(time.Hour)
		t.Status.Conditions = append(t.Status.Conditions, c)
	})
}

// status and tree show drift with the credential, and as a problem.
func TestDriftIsShown(t *testing.T) {
	w := newWorld(t, "")
	w.createProvider("object-store")
	w.makeDrifted("gone", v1alpha1.DriftMissing, v1alpha1.ReasonCredentialMissing)
	w.makeDrifted("wide", v1alpha1.DriftChanged, v1alpha1.ReasonCredentialChanged)
	w.expect(w.run("status", "gone"), exit.OK, "Active (Missing)", "credential AKIAEXAMPLE2 is not as it was issued")
	w.expect(w.run("tree", "wide"), exit.OK, "credential AKIAEXAMPLE2  Active (Changed)")
	view := w.decode(w.expect(w.run("status", "gone", "-o", "json"), exit.OK).out)
	if c := view["credentials"].([]any)[0].(map[string]any); c["state"] != "Active" || c["drift"] != "Missing" {
		t.Errorf("the credential is %v", c)
	}
}

// The ApiToken is Ready.
func TestDoctorFindsWiderAccess(t *testing.T) {
	w := newWorld(t, "")
	w.createProvider("object-store")
	w.installOperator(1, time.Second)
	w.makeDrifted("wide", v1alpha1.DriftChanged, v1alpha1.ReasonCredentialChanged)
	w.expect(w.run("doctor", "--operator-namespace", w.Ns), exit.OK, "warn  drift", "wide: credential AKIAEXAMPLE2 is not as it was issued",
		hint.ActionFor(v1alpha1.ReasonCredentialChanged))
}
