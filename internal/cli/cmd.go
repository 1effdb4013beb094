// Package cli is the command line of kubectl apitoken. It wires the commands, one package
// each, and turns their errors into exit codes. The commands talk to the API server only,
// with the rights of the user. They never call a provider, and never show a secret value
// unless they are asked to.
package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/klog/v2"

	"apitoken.dev/operator/internal/cli/complete"
	"apitoken.dev/operator/internal/cli/doctor"
	"apitoken.dev/operator/internal/cli/end"
	"apitoken.dev/operator/internal/cli/env"
	"apitoken.dev/operator/internal/cli/exit"
	"apitoken.dev/operator/internal/cli/handover"
	"apitoken.dev/operator/internal/cli/importer"
	"apitoken.dev/operator/internal/cli/list"
	"apitoken.dev/operator/internal/cli/plan"
	"apitoken.dev/operator/internal/cli/revoke"
	"apitoken.dev/operator/internal/cli/rotate"
	"apitoken.dev/operator/internal/cli/session"
	"apitoken.dev/operator/internal/cli/status"
	"apitoken.dev/operator/internal/cli/suspend"
	"apitoken.dev/operator/internal/cli/terminal"
	"apitoken.dev/operator/internal/cli/tree"
	"apitoken.dev/operator/internal/cli/version"
)

// completer is the name under which kubectl looks for the completion of this plugin.
const completer = "kubectl_complete-apitoken"

// Run runs the command line, without the name of the program, and returns the
// exit code. Called as kubectl_complete-apitoken it completes.
func Run(ctx context.Context, e session.Env, program string, args []string) exit.Code {
	if strings.TrimSuffix(filepath.Base(program), ".exe") == completer {
		args = append([]string{cobra.ShellCompRequestCmd}, args...)
	}
	e.Out, e.ErrOut = terminal.Writer(e.Out), terminal.Writer(e.ErrOut)
	defer terminal.End(e.Out, e.ErrOut)
	root, a := newRoot(e) //nolint:contextcheck // each command takes the context that it is executed with
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	code := exit.CodeOf(err)
	if ctx.Err() != nil && errors.Is(ctx.Err(), context.Canceled) && code != exit.OK {
		code = exit.Interrupted
	}
	if err != nil && err.Error() != "" {
		fmt.Fprintln(e.ErrOut, "error:", a.Explain(err))
	}
	if code == exit.Usage {
		fmt.Fprintf(e.ErrOut, "See %s --help\n", cmd.CommandPath())
	}
	return code
}

// New returns the command kubectl apitoken.
func New(e session.Env) *cobra.Command {
	root, _ := newRoot(e)
	return root
}

func newRoot(e session.Env) (*cobra.Command, *session.App) {
	a := session.New(e)
	root := &cobra.Command{
		Use:   "kubectl-apitoken",
		Short: "See, plan, rotate and revoke API tokens",
		Long: "Shows and changes ApiTokens. It never changes a credential itself: the operator does, after a change of the ApiToken.\n\n" +
			"Exit codes: 0 done; 1 failed or not ready; 2 wrong command line; 3 timed out; 4 refused or forbidden; 5 not found.",
		Annotations:   map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl apitoken"},
		Version:       e.Version,
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
			return exit.Usagef("there is no command %q%s", args[0], hint)
		},
	}
	root.SuggestionsMinimumDistance = 2
	root.SetIn(a.In)
	root.SetOut(a.Out)
	root.SetErr(a.ErrOut)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return flagError(err) })
	a.Config.AddFlags(root.PersistentFlags())
	addVerbosity(root)
	root.AddCommand(
		list.NewCommand(a), status.NewCommand(a), tree.NewCommand(a), plan.NewCommand(a), rotate.NewCommand(a), end.NewCommand(a), revoke.NewCommand(a),
		suspend.NewSuspendCommand(a), suspend.NewResumeCommand(a), handover.NewCommand(a), env.NewCommand(a), importer.NewCommand(a),
		doctor.NewCommand(a), version.NewCommand(a),
	)
	complete.Namespaces(a, root)
	return root, a
}

// allowed says for the types of flags what can be written, which the errors of the
// library do not.
var allowed = map[string]string{
	"int":      "write a whole number, for example 10",
	"bool":     "write true or false",
	"duration": "write hours, minutes and seconds, for example 720h or 90m; days are not supported",
}

// flagError is the error for a flag that cannot be read.
func flagError(err error) error {
	var invalid *pflag.InvalidValueError
	if errors.As(err, &invalid) {
		if write := allowed[invalid.GetFlag().Value.Type()]; write != "" {
			return exit.Usagef("--%s: %q is not allowed: %s", invalid.GetFlag().Name, invalid.GetValue(), write)
		}
	}
	return exit.Usagef("%w", err)
}

// addVerbosity adds kubectl's -v, for the requests of the client library.
func addVerbosity(root *cobra.Command) {
	all := flag.NewFlagSet("klog", flag.ContinueOnError)
	klog.InitFlags(all)
	root.PersistentFlags().AddGoFlag(all.Lookup("v"))
}
