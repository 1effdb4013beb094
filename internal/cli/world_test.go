package cli_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/yaml"

	"apitoken.dev/operator/internal/cli"
	"apitoken.dev/operator/internal/cli/exit"
	"apitoken.dev/operator/internal/cli/session"
	"apitoken.dev/operator/internal/clock"
	"apitoken.dev/operator/internal/provider/drivers"
	"apitoken.dev/operator/test/support/fake"
	"apitoken.dev/operator/test/support/kit"
	"apitoken.dev/operator/test/support/testenv"
	"apitoken.dev/operator/test/support/testutil"
)

var (
	env    *testenv.Env
	update = flag.Bool("update", false, "write the golden files")
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m, &env)) }

// canary is the secret value in every Secret of these tests.
const canary = fake.Canary + "6b1f"

// now is the time of the fake clock.
var now = time.Date(2026, 12, 1, 8, 0, 0, 0, time.UTC)

// world is a namespace and a command line.
type world struct {
	*kit.Kit
	Ns         string
	kubeconfig string
	Env        session.Env
	// said is the error output of the running command so far.
	said *kit.Output
	// reveals allows secret values in the output.
	reveals bool
}

// newWorld creates a namespace. Without a name, the name is generated.
func newWorld(t *testing.T, name string) *world {
	t.Helper()
	registry, err := drivers.New()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{Kit: kit.New(t, env), Ns: name, said: &kit.Output{}, Env: session.Env{Clock: testutil.NewClock(now), Registry: registry, Version: "test", Poll: time.Millisecond}}
	if name == "" {
		w.Ns = w.Namespace("plugin", nil)
	} else {
		w.ExpectApplied(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
	}
	w.kubeconfig = w.writeFile("kubeconfig", string(env.Kubeconfig))
	return w
}

func (w *world) writeFile(name, content string) string {
	w.Helper()
	path := filepath.Join(w.TempDir(), name)
	w.OK(os.WriteFile(path, []byte(content), 0o600))
	return path
}

// in returns the world for a subtest.
func (w *world) in(t *testing.T) *world {
	out := *w
	out.Kit = w.In(t)
	return &out
}

// withRealClock makes waits of a command take real time.
func (w *world) withRealClock() *world {
	w.Env.Clock = clock.NewReal()
	return w
}

// result is how a command ended.
type result struct {
	code     exit.Code
	out, err string
}

// run runs a command in the namespace. The test fails if the output has a secret value.
func (w *world) run(args ...string) result { return w.runWithInput("", args...) }

// runWithInput is run with a standard input.
func (w *world) runWithInput(stdin string, args ...string) result {
	w.Helper()
	return w.runWithKubeconfig(w.kubeconfig, stdin, args...)
}

func (w *world) runWithKubeconfig(kubeconfig, stdin string, args ...string) result {
	w.Helper()
	var out bytes.Buffer
	w.said.Reset()
	e := w.Env
	e.IOStreams = genericiooptions.IOStreams{In: strings.NewReader(stdin), Out: &out, ErrOut: w.said}
	global := []string{"--kubeconfig", kubeconfig, "--cache-dir", w.TempDir(), "-n", w.Ns}
	r := result{code: cli.Run(w.Context(), e, "kubectl-apitoken", append(global, args...)), out: out.String(), err: w.said.String()}
	if !w.reveals && kit.Leaks(r.out+r.err) {
		w.Errorf("%v shows a secret value", args)
	}
	return r
}

// expect fails unless a command ended with this code and its output contains these texts.
func (w *world) expect(r result, code exit.Code, says ...string) result {
	w.Helper()
	if r.code != code {
		w.Errorf("exit code %d, want %d\nstdout: %s\nstderr: %s", r.code, code, r.out, r.err)
	}
	for _, part := range says {
		if !strings.Contains(r.out+r.err, part) {
			w.Errorf("it does not say %q\nstdout: %s\nstderr: %s", part, r.out, r.err)
		}
	}
	return r
}

// golden compares an output with a file, which -update writes.
func (w *world) golden(name, got string) {
	w.Helper()
	got = strings.ReplaceAll(got, " --kubeconfig "+w.kubeconfig, "")
	path := filepath.Join("testdata", name)
	if *update {
		w.OK(os.WriteFile(path, []byte(got), 0o600))
	}
	want, err := os.ReadFile(path)
	w.OK(err)
	if diff := cmp.Diff(string(want), got); diff != "" {
		w.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

// decode reads JSON or YAML that a command printed.
func (w *world) decode(out string) map[string]any {
	w.Helper()
	raw, err := yaml.YAMLToJSON([]byte(out))
	w.OK(err)
	var fields map[string]any
	if err := json.Unmarshal(raw, &fields); err != nil {
		w.Fatalf("%v in %s", err, out)
	}
	return fields
}
