// Command manager is the operator. It reads flags and the environment, lists the
// drivers, and starts package operator.
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
	cmd.AddCommand(newRenderCommand(time.Now))
	if err := cmd.ExecuteContext(ctrl.SetupSignalHandler()); err != nil {
		fmt.Fprintln(os.Stderr, "manager:", err)
		os.Exit(1)
	}
}

// start runs the operator on the cluster of the kubeconfig, or the one it is in.
func start(ctx context.Context, o operator.Options) error {
	ctrl.SetLogger(o.Logger)
	klog.SetLogger(o.Logger)
	var err error
	if o.Registry, err = drivers(); err != nil {
		return fmt.Errorf("listing the drivers: %w", err)
	}
	var cfg *rest.Config
	if cfg, err = ctrl.GetConfig(); err != nil {
		return fmt.Errorf("finding the cluster: %w", err)
	}
	return operator.Run(ctx, cfg, o)
}
