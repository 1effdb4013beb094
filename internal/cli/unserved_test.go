package cli_test

import (
	"strings"
	"testing"

	"apitoken.dev/operator/test/support/clitest"

	"apitoken.dev/operator/internal/cli/exit"
)

// Without the CRDs, plan says so, as list does: the objects were not refused.
func TestPlanSaysThatTheKindsAreNotInstalled(t *testing.T) {
	const says = "the kinds of apitoken.dev are not installed in this cluster"
	w := newWorld(t, "")
	file := w.writeFile("token.yaml", declared)
	for _, args := range [][]string{{"plan", "-f", file}, {"list"}} {
		w.expect(w.run(append(args, "--server", clitest.Discovery(t, ""))...), exit.Failed, says)
	}
	both := w.writeFile("both.yaml", declared+"---\napiVersion: example.com/v1\nkind: Other\nmetadata: {name: other}\n")
	w.expect(w.run("plan", "-f", both), exit.Failed, "/one: accepted")
	other := w.writeFile("other.yaml", "apiVersion: example.com/v1\nkind: Other\nmetadata: {name: other}\n")
	w.expect(w.run("plan", "-f", other), exit.Usage, "the files hold no ApiToken")
}

// A developer may not list in all namespaces, so the hint is for the current one.
func TestTheHintOfAMissingApiTokenListsItsNamespace(t *testing.T) {
	w := developerWorld(t)
	r := w.expect(w.asDeveloper("status", "none"), exit.NotFound, "kubectl apitoken list -n "+w.Ns)
	if strings.Contains(r.err, "list -A") {
		t.Errorf("it says %q", r.err)
	}
	w.expect(w.asDeveloper("list"), exit.OK)
}

// Where the Lease cannot be read, an ApiToken that is not observed may wait for ever.
func TestStatusSaysWhomToAskAboutAnApiTokenThatIsNotObserved(t *testing.T) {
	w := developerWorld(t)
	w.createToken("unseen", w.useShared)
	w.expect(w.asDeveloper("status", "unseen"), exit.Failed, "(NotObserved)",
		"If it stays so, ask an administrator whether the operator runs and serves this namespace.", "kubectl apitoken doctor -n "+w.Ns)
}
