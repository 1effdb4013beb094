package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"apitoken.dev/operator/internal/cli/exit"
)

// TestMain lets the test binary run as the plugin, or replace itself with a shell.
func TestMain(m *testing.M) {
	switch os.Getenv("PLUGIN_TEST") {
	case "main":
		main()
	case "replace":
		err := replace("/bin/sh", []string{"sh", "-c", `test "$A" = b && test -z "$PLUGIN_TEST" && exit 7`}, []string{"A=b"})
		panic(err) // it returns only on failure
	}
	os.Exit(m.Run())
}

// start runs the test binary under a name and returns its output and exit code.
func start(t *testing.T, as, mode string, args ...string) (string, int) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), as)
	if err := os.Symlink(self, path); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Env = append(os.Environ(), "PLUGIN_TEST="+mode, "KUBECONFIG="+filepath.Join(t.TempDir(), "none"))
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

func TestBinaryRunsCommandsAndCompletes(t *testing.T) {
	for _, c := range []struct {
		as   string
		args []string
		code exit.Code
		says string
	}{
		{"kubectl-apitoken", []string{"--version"}, exit.OK, "kubectl apitoken version dev"},
		{"kubectl-apitoken", []string{"--help"}, exit.OK, "--as-group"},
		{"kubectl-apitoken", []string{"rotten"}, exit.Usage, `there is no command "rotten"`},
		{"kubectl-apitoken", []string{"list", "--server", "http://127.0.0.1:1"}, exit.Failed, "error: "},
		{"kubectl_complete-apitoken", []string{"re"}, exit.OK, "resume\tLet the operator issue and rotate again for an ApiToken\nrevoke\t"},
	} {
		out, code := start(t, c.as, "main", c.args...)
		if code != int(c.code) || !strings.Contains(out, c.says) {
			t.Errorf("%s %v: exit code %d, want %d, and %q in:\n%s", c.as, c.args, code, c.code, c.says, out)
		}
	}
}

// TestReplaceRunsTheCommand: the exit code and the environment are those of the command.
func TestReplaceRunsTheCommand(t *testing.T) {
	if out, code := start(t, "self", "replace"); code != 7 {
		t.Errorf("exit code %d, want 7: %s", code, out)
	}
}

// TestOneErrorLineWithoutACluster: without a kubeconfig, or if the API server does not
// answer, one line says what to do, and the client library prints none.
func TestOneErrorLineWithoutACluster(t *testing.T) {
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"list"}, "error: there is no kubeconfig, or it names no cluster: set KUBECONFIG, or use --kubeconfig or --server"},
		{[]string{"list", "--server", "http://127.0.0.1:1"}, "error: "},
	} {
		out, code := start(t, "kubectl-apitoken", "main", c.args...)
		if lines := strings.Split(strings.TrimSpace(out), "\n"); code != int(exit.Failed) || len(lines) != 1 || !strings.HasPrefix(lines[0], c.says) {
			t.Errorf("%v: exit code %d and\n%s", c.args, code, out)
		}
	}
}
