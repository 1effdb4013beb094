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

// update rewrites testdata.
var update = flag.Bool("update", false, "write the objects, with the operator's present statuses, to testdata")

// env is the API server of all tests.
var env *testenv.Env

func TestMain(m *testing.M) {
	flag.Parse()
	// The logs of Argo CD and its libraries are not needed.
	logrus.SetOutput(io.Discard)
	klog.LogToStderr(false)
	klog.SetOutput(io.Discard)
	ctrl.SetLogger(klog.Background())
	os.Exit(testenv.Main(m, &env, testenv.WithControllerManager()))
}
