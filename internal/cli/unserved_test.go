package cli_test

import (
	"strings"
	"testing"

	"apitoken.dev/operator/test/support/clitest"

	"apitoken.dev/operator/internal/cli/exit"
)

// Without the CRDs, plan and list say so, and do not report a rejection.
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

// A developer cannot list in all namespaces, so the hint is for the current one.
func TestTheHintOfAMissingApiTokenListsItsNamespace(t *testing.T) {
	w := developerWorld(t)
	r := w.expect(w.asDeveloper("status", "none"), exit.NotFound, "kubectl apitoken list -n "+w.Ns)
	if strings.Contains(r.err, "list -A") {
		t.Errorf("it says %q", r.err)
	}
	w.expect(w.asDeveloper("list"), exit.OK)
}

// If the Lease cannot be read, the wait for an ApiToken that is not observed can be endless.
func TestStatusSaysWhomToAskAboutAnApiTokenThatIsNotObserved(t *testing.T) {
	w := developerWorld(t)
	w.createToken("unseen", w.useShared)
	w.expect(w.asDeveloper("status", "unseen"), exit.Failed, "(NotObserved)",
		"If it stays so, ask an administrator whether the operator runs and serves this namespace.", "kubectl apitoken doctor -n "+w.Ns)
}
