package cli_test

import (
	"testing"

	"apitoken.dev/operator/internal/cli/exit"
)

func TestSuspendAndResumeSetTheSpec(t *testing.T) {
	w := newWorld(t, "")
	w.provider("object-store")
	w.ready(w.token("one"))
	for _, step := range []struct {
		command, says string
		suspended     bool
	}{
		{"suspend", "one suspended\n", true}, {"suspend", "one suspended (unchanged)", true},
		{"resume", "one resumed\n", false}, {"resume", "one resumed (unchanged)", false},
	} {
		w.wants(w.run(step.command, "one"), exit.OK, step.says)
		if got := w.reads("one").Spec.Suspend; got != step.suspended {
			t.Errorf("after %s spec.suspend is %t", step.command, got)
		}
	}
}
