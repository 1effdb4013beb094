package apitoken_test

import (
	"flag"
	"os"
	"testing"

	ctrl "sigs.k8s.io/controller-runtime"

	"apitoken.dev/operator/internal/testenv"
	"apitoken.dev/operator/internal/testutil"
)

// env is the one API server of this package's tests. It has no controller
// manager, so nothing collects garbage.
var env *testenv.Env

// clientLog is what libraries log that know no other logger.
var clientLog testutil.Log

func TestMain(m *testing.M) {
	flag.Parse()
	// Tests wait for the API server most of the time, so more of them than there are CPUs run at once.
	if err := flag.Set("test.parallel", "6"); err != nil {
		panic(err)
	}
	ctrl.SetLogger(clientLog.Logger(0))
	os.Exit(testenv.Main(m, &env))
}
