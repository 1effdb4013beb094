package cli_test

import (
	"testing"

	"apitoken.dev/operator/internal/cli/exit"
)

func TestSuspendAndResumeSetTheSpec(t *testing.T) {
	w := newWorld(t, "")
	w.createProvider("object-store")
	w.makeReady(w.createToken("one"))
	for _, step := range []struct {
		command, says string
		suspended     bool
	}{
		{"suspend", "one suspended\n", true}, {"suspend", "one suspended (unchanged)", true},
		{"resume", "one resumed\n", false}, {"resume", "one resumed (unchanged)", false},
	} {
		w.expect(w.run(step.command, "one"), exit.OK, step.says)
		if got := w.read("one").Spec.Suspend; got != step.suspended {
			t.Errorf("after %s spec.suspend is %t", step.command, got)
		}
	}
}
