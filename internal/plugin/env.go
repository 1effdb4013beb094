package plugin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"

	"apitoken.dev/operator/api/v1alpha1"
)

func (a *app) envCommand() *cobra.Command {
	var show bool
	cmd := &cobra.Command{
		Use:   "env NAME -- COMMAND [ARGS...]",
		Short: "Run a command with the credential of an ApiToken in its environment",
		Long: "Reads the Secret of an ApiToken and runs a command with its keys as environment variables; the command takes the place of\n" +
			"this one, and its exit code is the exit code. Nothing is written to disk or shown. Variables that would overrule the\n" +
			"credential (AWS_SESSION_TOKEN, AWS_PROFILE and their likes) are taken out of the environment.",
		Example: "  kubectl apitoken env training-data -- aws s3 ls s3://datasets\n\n" +
			"  # into this shell: the values are in its memory, and on the screen if you leave out eval\n" +
			"  eval \"$(kubectl apitoken env training-data --print)\"",
		Args: func(cmd *cobra.Command, args []string) error {
			dash := cmd.ArgsLenAtDash()
			switch {
			case show && len(args) == 1 && dash < 0, !show && len(args) > 1 && dash == 1:
				return nil
			case show:
				return usage("env NAME --print: name one ApiToken and no command")
			default:
				return usage("env NAME -- COMMAND: name one ApiToken, then -- and the command to run; --print shows the values instead")
			}
		},
		ValidArgsFunction: a.completeTokens,
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := a.open()
			if err != nil {
				return err
			}
			if show {
				return s.printEnv(cmd.Context(), args[0])
			}
			return s.execEnv(cmd.Context(), args[0], args[1:])
		},
	}
	cmd.Flags().BoolVar(&show, "print", false, "Show the values, as commands for a shell, instead of running a command.")
	return cmd
}

// overruling are the variables that SDKs prefer to a key in the environment, or
// mix with it.
var overruling = []string{
	"AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN", "AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN",
	"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_REGION", "AWS_DEFAULT_REGION", "BUCKET_NAME",
}

const awsKeyID = "AWS_ACCESS_KEY_ID"

var variable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// published reads the Secret of an ApiToken, if it is its own.
func (s *session) published(ctx context.Context, arg string) (*corev1.Secret, error) {
	t, err := s.token(ctx, arg)
	if err != nil {
		return nil, err
	}
	secret, err := s.secret(ctx, t.SecretName())
	if codeOf(err) == NotFound {
		return nil, &exitError{NotFound, fmt.Errorf("there is no Secret %q yet (%s): kubectl apitoken status %s says why", t.SecretName(), reasonOf(t), t.Name)}
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

// variables are the keys that can be variables, in order; the others are named.
func (s *session) variables(secret *corev1.Secret) []string {
	var names, left []string
	for key := range secret.Data {
		if variable.MatchString(key) && !strings.Contains(string(secret.Data[key]), "\x00") {
			names = append(names, key)
		} else {
			left = append(left, key)
		}
	}
	slices.Sort(names)
	slices.Sort(left)
	if len(left) > 0 {
		s.say("warning: left out, because they cannot be environment variables: %s", strings.Join(left, ", "))
	}
	return names
}

func (s *session) printEnv(ctx context.Context, name string) error {
	secret, err := s.published(ctx, name)
	if err != nil {
		return err
	}
	for _, key := range s.variables(secret) {
		fmt.Fprintf(s.Out, "export %s='%s'\n", key, strings.ReplaceAll(string(secret.Data[key]), "'", `'\''`))
	}
	return nil
}

func (s *session) execEnv(ctx context.Context, name string, argv []string) error {
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return cannotRun(argv[0], err)
	}
	secret, err := s.published(ctx, name)
	if err != nil {
		return err
	}
	names := s.variables(secret)
	drop := slices.Clone(names)
	if slices.Contains(names, awsKeyID) {
		drop = append(drop, overruling...)
	}
	environ := slices.DeleteFunc(slices.Clone(s.Environ), func(entry string) bool {
		key, _, _ := strings.Cut(entry, "=")
		return slices.Contains(drop, key)
	})
	for _, key := range names {
		environ = append(environ, key+"="+string(secret.Data[key]))
	}
	return cannotRun(argv[0], s.Exec(path, argv, environ))
}

// cannotRun gives the exit codes that a shell gives. It never prints an environment.
func cannotRun(command string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, fs.ErrNotExist):
		return &exitError{NoCommand, fmt.Errorf("there is no command %q in PATH", command)}
	default:
		return &exitError{CannotRun, fmt.Errorf("cannot run %q: %w", command, err)}
	}
}
