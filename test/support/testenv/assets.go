package testenv

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

var moduleLine = regexp.MustCompile(`(?m)^module apitoken\.dev/operator$`)

// ModuleRoot returns the directory of the operator's go.mod: the working
// directory or the nearest one above it. Tests find config/ from there.
func ModuleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("testenv: find the working directory: %w", err)
	}
	for {
		content, err := os.ReadFile(filepath.Join(dir, "go.mod")) //nolint:gosec // G304: a file of this repository
		if err == nil && moduleLine.Match(content) {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("testenv: no go.mod of apitoken.dev/operator in the working directory or above it")
		}
		dir = parent
	}
}

// findAssets returns the directory that holds the programs. It neither downloads nor builds them.
func findAssets(root string, programs []string) (string, error) {
	if dir := os.Getenv("KUBEBUILDER_ASSETS"); dir != "" && holds(dir, programs) {
		return dir, nil
	}
	script := filepath.Join(root, "hack", "controlplane", "build.sh")
	out, err := exec.Command(script, append([]string{"--print"}, programs...)...).Output() //nolint:gosec // G204: a script of this repository
	if err != nil {
		return "", fmt.Errorf("testenv: cannot find %s: run `make test`, which downloads or builds them", strings.Join(programs, ", "))
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return lines[len(lines)-1], nil
}

func holds(dir string, programs []string) bool {
	for _, program := range programs {
		if _, err := exec.LookPath(filepath.Join(dir, program)); err != nil {
			return false
		}
	}
	return true
}
