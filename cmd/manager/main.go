// Command manager is the operator.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"

	"apitoken.dev/operator/internal/operator"
)

// version is set by the linker.
var version = "dev"

func main() {
	cmd := newCommand(start)
	cmd.AddCommand(newRenderCommand(time.Now), newDrainCommand(startDrain))
	if err := cmd.ExecuteContext(ctrl.SetupSignalHandler()); err != nil {
		fmt.Fprintln(os.Stderr, "manager:", err)
		os.Exit(1)
	}
}

// start runs the operator on the cluster of the kubeconfig, or the cluster that it runs in.
func start(ctx context.Context, o operator.Options) error {
	cfg, err := connect(&o)
	if err != nil {
		return err
	}
	go endAnyway(ctx, o)
	return operator.Run(ctx, cfg, o)
}

// connect sets the loggers and drivers, and returns the configuration of the cluster's
// client.
func connect(o *operator.Options) (*rest.Config, error) {
	ctrl.SetLogger(o.Logger)
	klog.SetLogger(o.Logger)
	var err error
	if o.Registry, err = drivers(o.Features); err != nil {
		return nil, fmt.Errorf("listing the drivers: %w", err)
	}
	cfg, err := ctrl.GetConfig()
	if err != nil {
		return nil, fmt.Errorf("finding the cluster: %w", err)
	}
	return cfg, nil
}

// endGrace is how long a stop can take after the time for work in progress.
const endGrace = 10 * time.Second

// endAnyway exits if a stop takes too long. The manager does not stop while its caches
// cannot be filled, for example because the CRDs are missing.
func endAnyway(ctx context.Context, o operator.Options) {
	<-ctx.Done()
	time.Sleep(o.Shutdown + endGrace)
	o.Logger.Info("the stop takes too long: exiting")
	os.Exit(1)
}
