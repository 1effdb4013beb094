//go:build linux && !race

package memory

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"github.com/go-logr/logr"
	"k8s.io/client-go/tools/clientcmd"
	ctrl "sigs.k8s.io/controller-runtime"

	"apitoken.dev/operator/controllers/orphansweep"
	"apitoken.dev/operator/internal/operator"
	"apitoken.dev/operator/internal/provider/drivers"
	"apitoken.dev/operator/test/support/testenv"
)

// The variables that make this program the operator: the kubeconfig that it uses,
// and its namespace.
const (
	kubeconfigEnv = "APITOKEN_MEMORY_KUBECONFIG"
	namespaceEnv  = "APITOKEN_MEMORY_NAMESPACE"
)

var env *testenv.Env

func TestMain(m *testing.M) {
	if path := os.Getenv(kubeconfigEnv); path != "" {
		if err := operate(path, os.Getenv(namespaceEnv)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(testenv.Main(m, &env))
}

// operate is the operator with the drivers and the options of the binary.
func operate(kubeconfig, namespace string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM) //nolint:forbidigo // a process of its own, not a test
	defer stop()
	ctrl.SetLogger(logr.Discard())
	cfg, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	registry, err := drivers.New()
	if err != nil {
		return err
	}
	return operator.Run(ctx, cfg, operator.Options{
		Registry: registry, Logger: logr.Discard(), Namespace: namespace, Namespaces: []string{namespace}, ClusterIdentity: namespace,
		MetricsAddress: "0", ProbeAddress: "0", ProviderRate: -1, ProviderBurst: 1,
		Concurrency: operator.DefaultConcurrency, ClusterPlaces: operator.DefaultClusterPlaces,
		ProviderPlaces: operator.DefaultProviderPlaces, NamespacePlaces: calls,
		SweepInterval: orphansweep.DefaultInterval, SweepMode: orphansweep.Report, Shutdown: operator.DefaultShutdown, Version: "test",
	})
}
