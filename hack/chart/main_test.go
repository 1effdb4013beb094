package chart

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"

	"apitoken.dev/operator/internal/testenv"
)

var env *testenv.Env

// TestMain starts an API server that knows the kinds of the operator and those
// of the Prometheus operator.
func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.Discard())
	dir, err := prometheusCRDs()
	if err != nil {
		fmt.Fprintln(os.Stderr, "finding the CRDs of the Prometheus operator:", err)
		os.Exit(1)
	}
	os.Exit(testenv.Main(m, &env, testenv.WithCRDDirectory(dir)))
}

// prometheusCRDs returns where the pinned module has them.
func prometheusCRDs() (string, error) {
	const module = "github.com/prometheus-operator/prometheus-operator"
	dir := filepath.Join("tools", "prometheus-operator")
	for _, args := range [][]string{{"mod", "download", module}, {"list", "-m", "-f", "{{.Dir}}", module}} {
		cmd := exec.Command("go", args...)
		cmd.Dir, cmd.Stderr = dir, os.Stderr
		cmd.Env = append(os.Environ(), "GOWORK=off")
		out, err := cmd.Output()
		if err != nil {
			return "", fmt.Errorf("go %s: %w", strings.Join(args, " "), err)
		}
		dir = cmp.Or(strings.TrimSpace(string(out)), dir)
	}
	return filepath.Join(dir, "example", "prometheus-operator-crd"), nil
}
