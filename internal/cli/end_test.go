package cli_test

import (
	"strings"
	"testing"
	"time"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/cli/exit"
	"apitoken.dev/operator/internal/cli/tokenstate"
)

// makeOverlapping creates an ApiToken whose previous credential is still valid.
func (w *world) makeOverlapping(name string) (previous v1alpha1.LedgerEntry) {
	t := w.makeReady(w.createToken(name))
	e := v1alpha1.LedgerEntry{Name: w.credential(name, 1), State: v1alpha1.StateRetiring, ID: "AKIAPREVIOUS", RetireAt: w.fromNow(time.Hour), IssuedAt: w.fromNow(-time.Hour)}
	t.Status.Credentials = append(t.Status.Credentials, e)
	w.OK(w.Status().Update(w.Context(), t))
	return e
}

// The command finds the key id in the ledger, and writes the credential's name into the annotation.
func TestEndWaitsUntilTheCredentialLeftTheLedger(t *testing.T) {
	w := newWorld(t, "").withRealClock()
	w.createProvider("object-store")
	previous := w.makeOverlapping("one")
	w.expect(w.run("end", "one", "AKIAPREVIOUS", "--yes", "--wait=false"), exit.OK, "end of AKIAPREVIOUS requested")
	if got := w.read("one").Annotations[v1alpha1.AnnotationEnd]; got != previous.Name {
		t.Errorf("the annotation is %q, want %q", got, previous.Name)
	}
	w.expect(w.run("end", "one", previous.Name, "--yes", "--wait=false"), exit.OK, "requested")

	w.actAsOperator(func() bool {
		got := w.read("one")
		if !strings.Contains(w.said.String(), "stays valid until") {
			return false
		}
		got.Status.Credentials = got.Status.Credentials[:1]
		return w.Status().Update(w.Context(), got) == nil
	})
	w.expect(w.run("end", "one", "AKIAPREVIOUS", "--yes", "--timeout=1m"), exit.OK, "AKIAPREVIOUS revoked")
}

func TestEndRefusesTheCredentialInUseAndUnknownKeys(t *testing.T) {
	w := newWorld(t, "")
	w.createProvider("object-store")
	w.makeOverlapping("one")
	active := tokenstate.Key(tokenstate.Active(w.read("one")))
	w.expect(w.run("end", "one", active, "--yes"), exit.Refused, "is in use", "kubectl apitoken rotate one --wait -n "+w.Ns)
	w.expect(w.run("end", "one", "AKIAOTHER"), exit.NotFound, "AKIAPREVIOUS (Retiring)")
	w.expect(w.run("end", "none", "AKIAOTHER"), exit.NotFound, "there is no ApiToken")
	w.expect(w.run("end", "one"), exit.Usage, "KEY-ID")
	w.expect(w.run("end", "one", "AKIAPREVIOUS"), exit.Refused, "lose access until they are restarted", "End it now?")
	if got := w.read("one").Annotations[v1alpha1.AnnotationEnd]; got != "" {
		t.Errorf("a refusal wrote the annotation %q", got)
	}
}
