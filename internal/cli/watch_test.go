package cli_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/cli-runtime/pkg/genericiooptions"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/cli"
	"apitoken.dev/operator/internal/cli/exit"
	"apitoken.dev/operator/internal/clock"
	"apitoken.dev/operator/test/support/kit"
)

// runWatch runs list --watch until every step has returned true for the output so far.
func (w *world) runWatch(args []string, steps ...func(said string) bool) (exit.Code, string) {
	w.Helper()
	ctx, cancel := context.WithCancel(w.Context())
	defer cancel()
	out := &kit.Output{}
	e := w.Env
	e.IOStreams = genericiooptions.IOStreams{In: strings.NewReader(""), Out: out, ErrOut: out}
	var group sync.WaitGroup
	group.Go(func() {
		defer cancel()
		for _, step := range steps {
			for !step(out.String()) {
				if clock.NewReal().Sleep(ctx, 5*time.Millisecond) != nil {
					return
				}
			}
		}
	})
	code := cli.Run(ctx, e, "kubectl-apitoken", append([]string{"--kubeconfig", w.kubeconfig, "--cache-dir", w.TempDir(), "-n", w.Ns, "list", "--watch"}, args...))
	group.Wait()
	return code, out.String()
}

// A watch prints all objects, then the changed ones. An interrupt ends it with exit code 0.
func TestListWatchShowsChanges(t *testing.T) {
	w := newWorld(t, "").withRealClock()
	w.createProvider("object-store")
	w.makeReady(w.createToken("one"))
	code, said := w.runWatch(nil,
		func(said string) bool { return strings.Contains(said, "one ") && strings.Contains(said, "Ready") },
		func(string) bool {
			w.makeStalled(w.createToken("two"), v1alpha1.ReasonScopeNotGrantable, "no")
			return true
		},
		func(said string) bool { return strings.Contains(said, v1alpha1.ReasonScopeNotGrantable) },
		func(string) bool { return w.Delete(w.Context(), w.read("two")) == nil },
		func(said string) bool { return strings.Contains(said, "ApiToken "+w.Ns+"/two is gone.") },
	)
	if code != exit.OK || strings.Count(said, "NAME") != 1 || strings.Count(said, "one ") != 1 {
		t.Errorf("exit code %d and\n%s", code, said)
	}
	code, said = w.runWatch([]string{"--not-ready", "-o", "name"},
		func(string) bool { w.createToken("three"); return true },
		func(said string) bool { return strings.Contains(said, "apitoken.apitoken.dev/three") },
	)
	if code != exit.OK || strings.Contains(said, "/one") {
		t.Errorf("exit code %d and\n%s", code, said)
	}
}
