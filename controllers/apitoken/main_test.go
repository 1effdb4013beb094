package apitoken_test

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"testing"

	ctrl "sigs.k8s.io/controller-runtime"

	"apitoken.dev/operator/test/support/testenv"
	"apitoken.dev/operator/test/support/testutil"
)

// env is the API server of this package's tests. No controller manager runs, so there is no garbage
// collection.
var env *testenv.Env

// clientLog receives the log of libraries that use the global logger.
var clientLog testutil.Log

func TestMain(m *testing.M) {
	flag.Parse()
	// Tests wait for the API server most of the time, so more tests than CPUs run in parallel.
	if err := flag.Set("test.parallel", "6"); err != nil {
		panic(err)
	}
	ctrl.SetLogger(clientLog.Logger(0))
	code := testenv.Main(m, &env)
	if missing := neverEmitted(); code == 0 && wholeRun() && len(missing) > 0 {
		fmt.Fprintf(os.Stderr, "FAIL: no test emits these events, so nothing checks them: %v\n", missing)
		code = 1
	}
	os.Exit(code)
}

// wholeRun reports whether every test of the package ran.
func wholeRun() bool {
	for _, name := range []string{"test.run", "test.skip", "test.list"} {
		if f := flag.Lookup(name); f != nil && f.Value.String() != "" {
			return false
		}
	}
	return true
}

// neverEmitted returns the reasons in claims that no test has seen in an event.
func neverEmitted() []string {
	var out []string
	for reason := range claims {
		if _, seen := emitted.Load(reason); !seen {
			out = append(out, reason)
		}
	}
	slices.Sort(out)
	return out
}
