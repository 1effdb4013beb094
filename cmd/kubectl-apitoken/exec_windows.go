package main

import (
	"errors"
	"os"
	"os/exec"
)

// replace runs the program and exits with its exit code, since Windows cannot replace a
// process.
func replace(path string, argv, environ []string) error {
	cmd := exec.Command(path, argv[1:]...) //nolint:gosec // G204: the user names the command
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = environ, os.Stdin, os.Stdout, os.Stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return err
	}
	os.Exit(cmd.ProcessState.ExitCode())
	return nil
}
