package session

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/cli/exit"
	"apitoken.dev/operator/internal/cli/hint"
	"apitoken.dev/operator/internal/cli/terminal"
	"apitoken.dev/operator/internal/clock"
	"apitoken.dev/operator/internal/provider/registry"
)

// pollInterval is how often a command that waits looks.
const pollInterval = time.Second

// Env is what the plugin takes from the machine that it runs on.
type Env struct {
	genericiooptions.IOStreams
	Clock clock.Clock
	// Registry has the drivers that plan and handover ask what a provider can do.
	Registry *registry.Registry
	// Environ is the environment that env hands on, as KEY=VALUE.
	Environ []string
	// Exec replaces this process, or runs the program and ends with its exit code. It
	// returns only when the program could not be started.
	Exec func(path string, argv, environ []string) error
	// ReadHidden reads a line from the terminal without showing it; nil: there is no terminal.
	ReadHidden func() ([]byte, error)
	// Version of the plugin.
	Version string
	// Poll is how often a command that waits looks; one second when 0.
	Poll time.Duration
}

// App is shared by all commands.
type App struct {
	Env
	hint.Hints
}

// New reads nothing yet. All output goes through Terminal.
func New(env Env) *App {
	env.Out, env.ErrOut = terminal.Writer(env.Out), terminal.Writer(env.ErrOut)
	if env.Poll <= 0 {
		env.Poll = pollInterval
	}
	a := &App{Env: env, Hints: hint.Hints{Config: genericclioptions.NewConfigFlags(true)}}
	a.Config.WrapConfigFn = a.wrap
	return a
}

func (a *App) wrap(cfg *rest.Config) *rest.Config {
	cfg.UserAgent = "kubectl-apitoken/" + a.Version
	cfg.QPS, cfg.Burst = 50, 300 // those of kubectl
	cfg.WarningHandler = rest.NewWarningWriter(a.ErrOut, rest.WarningWriterOptions{Deduplicate: true})
	return cfg
}

// Say prints a line of progress, which is not part of the output.
func (a *App) Say(format string, args ...any) { fmt.Fprintf(a.ErrOut, format+"\n", args...) }

// ExactArgs checks the number of arguments.
func ExactArgs(n int, what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != n {
			return exit.Usagef("%s: %s", what, Got(args))
		}
		return nil
	}
}

// Got says in a message which arguments there were.
func Got(args []string) string {
	if len(args) == 0 {
		return "got no argument"
	}
	return "got " + strings.Join(args, " ")
}

// Scheme has the kinds of Kubernetes and those of apitoken.dev.
func Scheme() *runtime.Scheme {
	s := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(s))
	utilruntime.Must(v1alpha1.AddToScheme(s))
	return s
}

// errNoKubeconfig says that nothing names a cluster. The client library would try
// localhost:8080 instead.
var errNoKubeconfig = errors.New("there is no kubeconfig, or it names no cluster: set KUBECONFIG, or use --kubeconfig or --server")

// noCluster reports whether neither the flags, a kubeconfig nor a pod's service account
// name a cluster.
func (a *App) noCluster() bool {
	if a.Config.APIServer != nil && *a.Config.APIServer != "" {
		return false
	}
	raw, err := a.Config.ToRawKubeConfigLoader().RawConfig()
	if err != nil || len(raw.Clusters) > 0 {
		return false // the error is reported when the file is used
	}
	_, err = rest.InClusterConfig()
	return err != nil
}

// RunE makes the function that cobra calls for a command: the checks of the flags pass, then
// the kubeconfig is read, then the command runs.
func (a *App) RunE(do func(ctx context.Context, s *Session, args []string) error, checks ...func() error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		for _, check := range checks {
			if err := check(); err != nil {
				return err
			}
		}
		s, err := a.Open()
		if err != nil {
			return err
		}
		return do(cmd.Context(), s, args)
	}
}
