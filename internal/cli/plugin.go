// Package cli is the kubectl plugin: kubectl apitoken shows, plans, rotates
// and revokes API tokens. It talks to the API server only, with the rights of its
// user; it never calls a provider and never shows a secret value unless told to.
package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"

	"apitoken.dev/operator/internal/clock"
	"apitoken.dev/operator/internal/provider/registry"
)

// completer is the name under which kubectl looks for the completion of this plugin.
const completer = "kubectl_complete-apitoken"

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

// Run runs the command line, without the name of the program, and returns the
// exit code. Called as kubectl_complete-apitoken it completes.
func Run(ctx context.Context, env Env, program string, args []string) Code {
	if strings.TrimSuffix(filepath.Base(program), ".exe") == completer {
		args = append([]string{cobra.ShellCompRequestCmd}, args...)
	}
	env.Out, env.ErrOut = Terminal(env.Out), Terminal(env.ErrOut)
	defer endText(env.Out, env.ErrOut)
	root, a := newRoot(env) //nolint:contextcheck // each command takes the context that it is executed with
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	code := codeOf(err)
	if ctx.Err() != nil && errors.Is(ctx.Err(), context.Canceled) && code != OK {
		code = Interrupted
	}
	if err != nil && err.Error() != "" {
		fmt.Fprintln(env.ErrOut, "error:", a.explain(err))
	}
	if code == Usage {
		fmt.Fprintln(env.ErrOut, "See kubectl apitoken --help")
	}
	return code
}

// app is what every command shares.
type app struct {
	Env
	hints
}

// newApp reads nothing yet. All output goes through Terminal.
func newApp(env Env) *app {
	env.Out, env.ErrOut = Terminal(env.Out), Terminal(env.ErrOut)
	if env.Poll <= 0 {
		env.Poll = pollInterval
	}
	a := &app{Env: env, hints: hints{config: genericclioptions.NewConfigFlags(true)}}
	a.config.WrapConfigFn = a.wrap
	return a
}

// New returns the command kubectl apitoken.
func New(env Env) *cobra.Command {
	root, _ := newRoot(env)
	return root
}

func newRoot(env Env) (*cobra.Command, *app) {
	a := newApp(env)
	root := &cobra.Command{
		Use:   "kubectl-apitoken",
		Short: "See, plan, rotate and revoke API tokens",
		Long: "Shows what the apitoken-operator does, and asks it to do more: it changes declarations, never credentials.\n\n" +
			"Exit codes: 0 done; 1 failed or not ready; 2 wrong command line; 3 timed out; 4 refused or forbidden; 5 not found.",
		Annotations:   map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl apitoken"},
		Version:       env.Version,
		Args:          cobra.ArbitraryArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			hint := ""
			if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
				hint = ": did you mean " + strings.Join(near, " or ") + "?"
			}
			return usage("there is no command %q%s", args[0], hint)
		},
	}
	root.SuggestionsMinimumDistance = 2
	root.SetIn(a.In)
	root.SetOut(a.Out)
	root.SetErr(a.ErrOut)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usage("%w", err) })
	a.config.AddFlags(root.PersistentFlags())
	addVerbosity(root)
	root.AddCommand(
		a.listCommand(), a.statusCommand(), a.treeCommand(), a.planCommand(), a.rotateCommand(), a.endCommand(), a.revokeCommand(),
		a.suspendCommand(true), a.suspendCommand(false), a.handoverCommand(), a.envCommand(), a.importCommand(), a.doctorCommand(), a.versionCommand(),
	)
	completeNamespaces(a, root)
	return root, a
}

// addVerbosity adds kubectl's -v, for the requests of the client library.
func addVerbosity(root *cobra.Command) {
	all := flag.NewFlagSet("klog", flag.ContinueOnError)
	klog.InitFlags(all)
	root.PersistentFlags().AddGoFlag(all.Lookup("v"))
}

func (a *app) wrap(cfg *rest.Config) *rest.Config {
	cfg.UserAgent = "kubectl-apitoken/" + a.Version
	cfg.QPS, cfg.Burst = 50, 300 // those of kubectl
	cfg.WarningHandler = rest.NewWarningWriter(a.ErrOut, rest.WarningWriterOptions{Deduplicate: true})
	return cfg
}

// say prints a line of progress, which is not part of the output.
func (a *app) say(format string, args ...any) { fmt.Fprintf(a.ErrOut, format+"\n", args...) }

// positional checks the number of arguments.
func positional(n int, what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != n {
			return usage("%s: got %d arguments", what, len(args))
		}
		return nil
	}
}
