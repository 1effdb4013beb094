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

	"apitoken.dev/operator/test/support/testenv"
)

var env *testenv.Env

// TestMain starts an API server with the CRDs of the operator, of the Prometheus operator and of
// cert-manager.
func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.Discard())
	var options []testenv.Option
	for _, p := range []struct{ tool, module, crds string }{
		{"prometheus-operator", "github.com/prometheus-operator/prometheus-operator", filepath.Join("example", "prometheus-operator-crd")},
		{"cert-manager", "github.com/cert-manager/cert-manager", filepath.Join("deploy", "crds")},
	} {
		dir, err := moduleDir(p.tool, p.module)
		if err != nil {
			fmt.Fprintf(os.Stderr, "finding the CRDs of %s: %v\n", p.tool, err)
			os.Exit(1)
		}
		options = append(options, testenv.WithCRDDirectory(filepath.Join(dir, p.crds)))
	}
	os.Exit(testenv.Main(m, &env, options...))
}

// moduleDir returns the directory of a module pinned in tools/.
func moduleDir(tool, module string) (string, error) {
	dir := filepath.Join("tools", tool)
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
	return dir, nil
}
