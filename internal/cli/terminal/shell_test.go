package terminal

import (
	"os/exec"
	"strings"
	"testing"
)

// A shell parses the output of --print back to the same values.
func TestShellReadsPrintedValuesBack(t *testing.T) {
	shell, err := exec.LookPath("bash")
	if err != nil {
		t.Fatal("this test needs bash, as the Makefile does")
	}
	for _, value := range []string{"AK\x1b[2K\x1b[1A\rFORGED\u009b1A\u202e\x07", "plain", "it's $HOME `x` \\ \"", "two\nlines", "\xff\x9b", "a'\\\x1b'", "\x01" + "7", "Größe\u202e"} {
		out, err := exec.CommandContext(t.Context(), shell, "-c", "export V="+Quote(value)+"\nprintf %s \"$V\"").Output()
		if err != nil || string(out) != value {
			t.Errorf("%q is read back as %q: %v", value, out, err)
		}
		if strings.ContainsFunc(Quote(value), IsCommand) {
			t.Errorf("%q is shown as %q", value, Quote(value))
		}
	}
}
