package main

import (
	"context"
	"errors"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"apitoken.dev/operator/internal/drain"
	"apitoken.dev/operator/internal/operator"
)

// drainFlags are the operator's flags that a drain also has, with the same meaning: which
// namespaces it serves, how credentials are named, and where requests go.
var drainFlags = []string{
	"namespace", "namespaces", "cluster-identity", "tenant-endpoints", "tenant-proxy", "provider-rate", "provider-burst",
	"kube-api-qps", "kube-api-burst", "feature-gates", "log-level", "log-format", "kubeconfig",
}

// newDrainCommand returns the command that revokes the credentials of an operator that no
// longer runs.
func newDrainCommand(run func(context.Context, drain.Options) error) *cobra.Command {
	d := drain.Options{Operator: operator.Options{Version: version}}
	var log logging
	var sweepMode string
	all := pflag.NewFlagSet("operator", pflag.ContinueOnError)
	addFlags(all, &d.Operator, &log, &sweepMode)
	cmd := &cobra.Command{
		Use:   "drain",
		Short: "Revoke the credentials of an operator that no longer runs, and exit",
		Long: "Revokes the credentials of all ApiTokens that are being deleted, removes their finalizers and those of their providers, and exits when nothing is left.\n" +
			"Use it in a cluster whose operator no longer runs, also while the operator's namespace or CRDs are being deleted: it issues nothing,\n" +
			"takes no Lease, and creates no object. It refuses to start while an operator in any namespace renews its Lease.\n\n" +
			"It uses the permissions of your kubeconfig. Run it where the providers can be reached. Give it the --namespace, --namespaces,\n" +
			"--cluster-identity and tenant flags that the operator had.",
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		PreRunE:       func(cmd *cobra.Command, _ []string) error { return fromEnvironment(cmd.Flags(), os.LookupEnv) },
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if d.Operator.Logger, d.Operator.Audit, err = log.loggers(cmd.ErrOrStderr()); err != nil {
				return err
			}
			if d.Patience <= 0 {
				return errors.New("--timeout must be longer than 0")
			}
			if err := check(&d.Operator); err != nil {
				return err
			}
			d.Progress = cmd.ErrOrStderr()
			return run(cmd.Context(), d)
		},
	}
	f := cmd.Flags()
	for _, name := range drainFlags {
		if flag := all.Lookup(name); flag != nil {
			f.AddFlag(flag)
		}
	}
	// The progress lines tell the user enough.
	setDefault(f, "log-level", "error")
	setDefault(f, "log-format", "text")
	f.BoolVar(&d.DeleteAll, "delete-all", false,
		"delete every ApiToken and provider that is not being deleted yet; without it, a drain refuses to start while such an object exists")
	f.StringSliceVar(&d.IgnoreLeasesIn, "ignore-lease-in", nil,
		"namespaces of other operators, separated by commas; these operators may run, because they serve none of the namespaces of this drain")
	f.DurationVar(&d.Patience, "timeout", drain.DefaultPatience, "give up after this time without progress, and list what is left")
	return cmd
}

// setDefault changes the default of a flag.
func setDefault(f *pflag.FlagSet, name, value string) {
	flag := f.Lookup(name)
	if err := flag.Value.Set(value); err != nil {
		panic(err) // both are constants
	}
	flag.DefValue = value
}

// startDrain drains the cluster of the kubeconfig, or the cluster that it runs in.
func startDrain(ctx context.Context, d drain.Options) error {
	cfg, err := connect(&d.Operator)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	return drain.Run(ctx, cfg, d)
}
