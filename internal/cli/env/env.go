// Package env is kubectl apitoken env.
package env

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os/exec"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/cli/complete"
	"apitoken.dev/operator/internal/cli/exit"
	"apitoken.dev/operator/internal/cli/hint"
	"apitoken.dev/operator/internal/cli/output"
	"apitoken.dev/operator/internal/cli/reading"
	"apitoken.dev/operator/internal/cli/session"
	"apitoken.dev/operator/internal/cli/terminal"
	"apitoken.dev/operator/internal/cli/tokenstate"
	"apitoken.dev/operator/internal/envname"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/registry"
)

// NewCommand returns kubectl apitoken env.
func NewCommand(a *session.App) *cobra.Command {
	var o envOptions
	cmd := &cobra.Command{
		Use:   "env NAME -- COMMAND [ARGS...]",
		Short: "Run a command with the credential of an ApiToken in its environment",
		Long: "Reads the Secret of an ApiToken and runs a command with its keys as environment variables; the command replaces\n" +
			"this process, so its exit code is returned. Nothing is written to disk or shown. Variables that would override the\n" +
			"credential, such as AWS_SESSION_TOKEN and AWS_PROFILE, are removed from the environment.\n\n" +
			"Only the keys that the provider's driver documents are used; --all adds the others. Keys whose names change how\n" +
			"programs run, such as PATH, LD_PRELOAD, BASH_ENV, KUBECONFIG and HTTPS_PROXY, are never used.",
		Example: "  kubectl apitoken env training-data -- aws s3 ls s3://datasets\n\n" +
			"  # into this shell: the values are in its memory, and on the screen if you leave out eval\n" +
			"  eval \"$(kubectl apitoken env training-data --print)\"",
		Args: func(cmd *cobra.Command, args []string) error {
			dash := cmd.ArgsLenAtDash()
			switch {
			case o.show && len(args) == 1 && dash < 0, !o.show && len(args) > 1 && dash == 1:
				return nil
			case o.show:
				return exit.Usagef("env NAME --print: name one ApiToken and no command")
			default:
				return exit.Usagef("env NAME -- COMMAND: name one ApiToken, then -- and the command to run; --print shows the values instead")
			}
		},
		ValidArgsFunction: complete.Tokens(a),
		RunE: a.RunE(func(ctx context.Context, s *session.Session, args []string) error {
			if o.show {
				return printEnv(ctx, s, args[0], o.all)
			}
			return execEnv(ctx, s, args[0], args[1:], o.all)
		}),
	}
	cmd.Flags().BoolVar(&o.show, "print", false, "Show the values, as commands for a shell, instead of running a command.")
	cmd.Flags().BoolVar(&o.all, "all", false, "Also use the keys that the provider's driver does not document.")
	return cmd
}

type envOptions struct{ show, all bool }

// overruling are the variables that SDKs prefer to a key in the environment, or
// mix with it.
var overruling = []string{
	"AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN", "AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN",
	"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_REGION", "AWS_DEFAULT_REGION", "BUCKET_NAME",
}

const awsKeyID = "AWS_ACCESS_KEY_ID"

// published reads the Secret of an ApiToken, if it is its own.
func published(ctx context.Context, s *session.Session, t *v1alpha1.ApiToken) (*corev1.Secret, error) {
	secret, err := s.Secret(ctx, t.SecretName())
	if exit.CodeOf(err) == exit.NotFound {
		return nil, exit.Errorf(exit.NotFound, "there is no Secret %q yet (%s). To see why: %s",
			t.SecretName(), tokenstate.Reason(t), s.PluginCommand(t.Namespace, "status", t.Name))
	}
	if err != nil {
		return nil, err
	}
	if secret.Annotations[v1alpha1.AnnotationToken] != t.Name {
		return nil, exit.Refusedf("Secret %q does not belong to ApiToken %q: name another one in spec.secret.name", secret.Name, t.Name)
	}
	if end := t.Status.ExpiresAt; end != nil && !s.Clock.Now().Before(end.Time) {
		s.Say("warning: this credential ended %s", output.Away(end.Time, s.Clock.Now()))
	}
	return secret, nil
}

// documented returns the keys that the driver of an ApiToken's provider puts into
// its Secret. Anyone who can write the Secret can add others.
func documented(ctx context.Context, s *session.Session, t *v1alpha1.ApiToken) ([]string, error) {
	ref := t.Spec.ProviderRef
	const cannot = "cannot tell the keys of the credential from others: "
	var o account.Object
	var err error
	s.Provider(ctx, t).Switch(func(found account.Object) { o = found }, func() {
		err = exit.Refusedf(cannot+"%s %q does not exist; --all uses every key of the Secret", ref.Kind, ref.Name)
	}, func(why error) {
		if err = why; reading.Forbidden(why) {
			r := session.ProviderAccess(t)
			err = exit.Refusedf(cannot+"%s %q could not be read, because %s; --all uses every key of the Secret. %s",
				ref.Kind, ref.Name, hint.Unreadable(r, why), s.ToRead(r, why))
		}
	})
	if err != nil {
		return nil, err
	}
	driver, settings, err := s.Registry.Resolve(registry.Spec{ProviderSpec: o.Spec})
	if err != nil {
		return nil, exit.Refusedf(cannot+"this version of the plugin does not know the driver of %s %q; "+
			"use the plugin of the operator's version, or --all, which uses every key of the Secret", ref.Kind, ref.Name)
	}
	return provider.DocumentedKeys(driver, provider.Config{Settings: settings}, plan.GrantOf(&t.Spec)), nil
}

// variables returns the keys of a Secret that become variables, in order. The
// others are named in warnings.
func variables(ctx context.Context, s *session.Session, t *v1alpha1.ApiToken, secret *corev1.Secret, all bool) ([]string, error) {
	var known []string
	if !all {
		var err error
		if known, err = documented(ctx, s, t); err != nil {
			return nil, err
		}
	}
	var names []string
	left := map[string][]string{}
	for _, key := range slices.Sorted(maps.Keys(secret.Data)) {
		if why := unusable(key, secret.Data[key], all || slices.Contains(known, key)); why != "" {
			left[why] = append(left[why], key)
		} else {
			names = append(names, key)
		}
	}
	for _, why := range slices.Sorted(maps.Keys(left)) {
		s.Say("warning: left out, because %s: %s", why, strings.Join(left[why], ", "))
	}
	return names, nil
}

// unusable says why a key does not become a variable; empty: it does.
func unusable(key string, value []byte, wanted bool) string {
	switch {
	case envname.Refused(key):
		return "their names change how programs run"
	case !wanted:
		return "the provider's driver does not document them (--all uses them)"
	case !envname.Valid(key), bytes.IndexByte(value, 0) >= 0:
		return "they cannot be environment variables"
	default:
		return ""
	}
}

// environment reads the keys and values for a command.
func environment(ctx context.Context, s *session.Session, name string, all bool) (names []string, data map[string][]byte, err error) {
	t, err := s.Token(ctx, name)
	if err != nil {
		return nil, nil, err
	}
	secret, err := published(ctx, s, t)
	if err != nil {
		return nil, nil, err
	}
	names, err = variables(ctx, s, t, secret, all)
	return names, secret.Data, err
}

func printEnv(ctx context.Context, s *session.Session, name string, all bool) error {
	names, data, err := environment(ctx, s, name, all)
	if err != nil {
		return err
	}
	for _, key := range names {
		fmt.Fprintf(s.Out, "export %s=%s\n", key, terminal.Quote(string(data[key])))
	}
	return nil
}

func execEnv(ctx context.Context, s *session.Session, name string, argv []string, all bool) error {
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return cannotRun(argv[0], err)
	}
	names, data, err := environment(ctx, s, name, all)
	if err != nil {
		return err
	}
	drop := slices.Clone(names)
	if slices.Contains(names, awsKeyID) {
		drop = append(drop, overruling...)
	}
	environ := slices.DeleteFunc(slices.Clone(s.Environ), func(entry string) bool {
		key, _, _ := strings.Cut(entry, "=")
		return slices.Contains(drop, key)
	})
	for _, key := range names {
		environ = append(environ, key+"="+string(data[key]))
	}
	return cannotRun(argv[0], s.Exec(path, argv, environ))
}

// cannotRun gives the exit codes that a shell gives. It never prints an environment.
func cannotRun(command string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, fs.ErrNotExist):
		return exit.Errorf(exit.NoCommand, "there is no command %q in PATH", command)
	default:
		return exit.Errorf(exit.CannotRun, "cannot run %q: %w", command, err)
	}
}
