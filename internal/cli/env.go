package cli

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
	"apitoken.dev/operator/internal/cli/reading"
	"apitoken.dev/operator/internal/envname"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/registry"
)

func (a *app) envCommand() *cobra.Command {
	var o envOptions
	cmd := &cobra.Command{
		Use:   "env NAME -- COMMAND [ARGS...]",
		Short: "Run a command with the credential of an ApiToken in its environment",
		Long: "Reads the Secret of an ApiToken and runs a command with its keys as environment variables; the command takes the place of\n" +
			"this one, and its exit code is the exit code. Nothing is written to disk or shown. Variables that would overrule the\n" +
			"credential (AWS_SESSION_TOKEN, AWS_PROFILE and their likes) are taken out of the environment.\n\n" +
			"Only the keys that the provider's driver documents are used; --all adds the others. Keys whose names change how\n" +
			"programs run (PATH, LD_PRELOAD, BASH_ENV, KUBECONFIG, HTTPS_PROXY and their likes) are never used.",
		Example: "  kubectl apitoken env training-data -- aws s3 ls s3://datasets\n\n" +
			"  # into this shell: the values are in its memory, and on the screen if you leave out eval\n" +
			"  eval \"$(kubectl apitoken env training-data --print)\"",
		Args: func(cmd *cobra.Command, args []string) error {
			dash := cmd.ArgsLenAtDash()
			switch {
			case o.show && len(args) == 1 && dash < 0, !o.show && len(args) > 1 && dash == 1:
				return nil
			case o.show:
				return usage("env NAME --print: name one ApiToken and no command")
			default:
				return usage("env NAME -- COMMAND: name one ApiToken, then -- and the command to run; --print shows the values instead")
			}
		},
		ValidArgsFunction: completeTokens(a),
		RunE: a.run(func(ctx context.Context, s *session, args []string) error {
			if o.show {
				return s.printEnv(ctx, args[0], o.all)
			}
			return s.execEnv(ctx, args[0], args[1:], o.all)
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
func (s *session) published(ctx context.Context, t *v1alpha1.ApiToken) (*corev1.Secret, error) {
	secret, err := s.secret(ctx, t.SecretName())
	if codeOf(err) == NotFound {
		return nil, errorf(NotFound, "there is no Secret %q yet (%s). To see why: %s",
			t.SecretName(), reasonOf(t), s.pluginCommand(t.Namespace, "status", t.Name))
	}
	if err != nil {
		return nil, err
	}
	if secret.Annotations[v1alpha1.AnnotationToken] != t.Name {
		return nil, refused("Secret %q does not belong to ApiToken %q: name another one in spec.secret.name", secret.Name, t.Name)
	}
	if end := t.Status.ExpiresAt; end != nil && !s.Clock.Now().Before(end.Time) {
		s.say("warning: this credential ended %s", away(end.Time, s.Clock.Now()))
	}
	return secret, nil
}

// documented returns the keys that the driver of an ApiToken's provider puts into
// its Secret. Anyone who can write the Secret can add others.
func (s *session) documented(ctx context.Context, t *v1alpha1.ApiToken) ([]string, error) {
	ref := t.Spec.ProviderRef
	const cannot = "cannot tell the keys of the credential from others: "
	var o account.Object
	var err error
	s.provider(ctx, t).Switch(func(found account.Object) { o = found }, func() {
		err = refused(cannot+"%s %q does not exist; --all uses every key of the Secret", ref.Kind, ref.Name)
	}, func(why error) {
		if err = why; reading.Forbidden(why) {
			r := providerAccess(t)
			err = refused(cannot+"%s %q could not be read, because %s; --all uses every key of the Secret. %s",
				ref.Kind, ref.Name, unreadable(r, why), s.toRead(r, why))
		}
	})
	if err != nil {
		return nil, err
	}
	driver, settings, err := s.Registry.Resolve(registry.Spec{ProviderSpec: o.Spec})
	if err != nil {
		return nil, refused(cannot+"this version of the plugin does not know the driver of %s %q; "+
			"use the plugin of the operator's version, or --all, which uses every key of the Secret", ref.Kind, ref.Name)
	}
	return provider.DocumentedKeys(driver, provider.Config{Settings: settings}, plan.GrantOf(&t.Spec)), nil
}

// variables returns the keys of a Secret that become variables, in order. The
// others are named in warnings.
func (s *session) variables(ctx context.Context, t *v1alpha1.ApiToken, secret *corev1.Secret, all bool) ([]string, error) {
	var known []string
	if !all {
		var err error
		if known, err = s.documented(ctx, t); err != nil {
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
		s.say("warning: left out, because %s: %s", why, strings.Join(left[why], ", "))
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
func (s *session) environment(ctx context.Context, name string, all bool) (names []string, data map[string][]byte, err error) {
	t, err := s.token(ctx, name)
	if err != nil {
		return nil, nil, err
	}
	secret, err := s.published(ctx, t)
	if err != nil {
		return nil, nil, err
	}
	names, err = s.variables(ctx, t, secret, all)
	return names, secret.Data, err
}

func (s *session) printEnv(ctx context.Context, name string, all bool) error {
	names, data, err := s.environment(ctx, name, all)
	if err != nil {
		return err
	}
	for _, key := range names {
		fmt.Fprintf(s.Out, "export %s=%s\n", key, quoted(string(data[key])))
	}
	return nil
}

// quoted is a value as a shell reads it back exactly. What a terminal could take for
// a command becomes an octal escape in $'…', which is in POSIX since 2024 and in
// bash, zsh, ksh and busybox before that.
func quoted(value string) string {
	if !strings.ContainsFunc(value, commands) {
		return "'" + strings.ReplaceAll(value, "'", `'\''`) + "'"
	}
	var b strings.Builder
	b.WriteString("$'")
	for i := range len(value) {
		switch c := value[i]; {
		case c == '\'' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c >= 0x20 && c < 0x7f:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, `\%03o`, c)
		}
	}
	return b.String() + "'"
}

func (s *session) execEnv(ctx context.Context, name string, argv []string, all bool) error {
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return cannotRun(argv[0], err)
	}
	names, data, err := s.environment(ctx, name, all)
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
		return errorf(NoCommand, "there is no command %q in PATH", command)
	default:
		return errorf(CannotRun, "cannot run %q: %w", command, err)
	}
}
