package cli_test

import (
	"strings"
	"testing"
	"time"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/cli/exit"
	"apitoken.dev/operator/internal/cli/tokenstate"
)

// overlapping makes an ApiToken whose previous credential is still valid.
func (w *world) overlapping(name string) (previous v1alpha1.LedgerEntry) {
	t := w.ready(w.token(name))
	e := v1alpha1.LedgerEntry{Name: w.credential(name, 1), State: v1alpha1.StateRetiring, ID: "AKIAPREVIOUS", RetireAt: w.soon(time.Hour), IssuedAt: w.soon(-time.Hour)}
	t.Status.Credentials = append(t.Status.Credentials, e)
	w.OK(w.Status().Update(w.Context(), t))
	return e
}

// TestEndWaitsUntilTheCredentialLeftTheLedger: the key id is resolved in the ledger, the annotation gets the credential's name,
// and the command waits until the credential has left the ledger.
func TestEndWaitsUntilTheCredentialLeftTheLedger(t *testing.T) {
	w := newWorld(t, "").waits()
	w.provider("object-store")
	previous := w.overlapping("one")
	w.wants(w.run("end", "one", "AKIAPREVIOUS", "--yes", "--wait=false"), exit.OK, "end of AKIAPREVIOUS requested")
	if got := w.reads("one").Annotations[v1alpha1.AnnotationEnd]; got != previous.Name {
		t.Errorf("the annotation is %q, want %q", got, previous.Name)
	}
	w.wants(w.run("end", "one", previous.Name, "--yes", "--wait=false"), exit.OK, "requested")

	w.operator(func() bool {
		got := w.reads("one")
		if !strings.Contains(w.said.String(), "stays valid until") {
			return false
		}
		got.Status.Credentials = got.Status.Credentials[:1]
		return w.Status().Update(w.Context(), got) == nil
	})
	w.wants(w.run("end", "one", "AKIAPREVIOUS", "--yes", "--timeout=1m"), exit.OK, "AKIAPREVIOUS revoked")
}

// TestEndRefusesTheCredentialInUseAndUnknownKeys: the credential in use is replaced and not ended, and a key that the
// ledger does not have is not of this ApiToken.
func TestEndRefusesTheCredentialInUseAndUnknownKeys(t *testing.T) {
	w := newWorld(t, "")
	w.provider("object-store")
	w.overlapping("one")
	active := tokenstate.Key(tokenstate.Active(w.reads("one")))
	w.wants(w.run("end", "one", active, "--yes"), exit.Refused, "is in use", "kubectl apitoken rotate one --wait -n "+w.Ns)
	w.wants(w.run("end", "one", "AKIAOTHER"), exit.NotFound, "AKIAPREVIOUS (Retiring)")
	w.wants(w.run("end", "none", "AKIAOTHER"), exit.NotFound, "there is no ApiToken")
	w.wants(w.run("end", "one"), exit.Usage, "KEY-ID")
	w.wants(w.run("end", "one", "AKIAPREVIOUS"), exit.Refused, "lose access until they are restarted", "End it now?")
	if got := w.reads("one").Annotations[v1alpha1.AnnotationEnd]; got != "" {
		t.Errorf("a refusal wrote the annotation %q", got)
	}
}
