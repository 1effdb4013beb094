package gitops

import (
	"flag"
	"io"
	"os"
	"testing"

	"github.com/sirupsen/logrus"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"

	"apitoken.dev/operator/test/support/testenv"
)

// update writes the statuses that the operator gives into testdata.
var update = flag.Bool("update", false, "write what the operator's statuses are now into testdata")

// env is the API server of all tests.
var env *testenv.Env

func TestMain(m *testing.M) {
	flag.Parse()
	// What Argo CD and its libraries log says nothing about a test.
	logrus.SetOutput(io.Discard)
	klog.LogToStderr(false)
	klog.SetOutput(io.Discard)
	ctrl.SetLogger(klog.Background())
	os.Exit(testenv.Main(m, &env, testenv.WithControllerManager()))
}
