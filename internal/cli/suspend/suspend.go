// Package suspend is kubectl apitoken suspend and kubectl apitoken resume.
package suspend

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/internal/cli/complete"
	"apitoken.dev/operator/internal/cli/exit"
	"apitoken.dev/operator/internal/cli/output"
	"apitoken.dev/operator/internal/cli/session"
)

// NewSuspendCommand returns kubectl apitoken suspend.
func NewSuspendCommand(a *session.App) *cobra.Command {
	return newCommand(a, "suspend", true, "Stop issuing and rotating for an ApiToken",
		"Sets spec.suspend. Nothing is issued or rotated. Due revocations, expiry and deletion still happen.\n"+
			"A credential that ends while its ApiToken is suspended is not replaced.")
}

// NewResumeCommand returns kubectl apitoken resume.
func NewResumeCommand(a *session.App) *cobra.Command {
	return newCommand(a, "resume", false, "Let the operator issue and rotate again for an ApiToken",
		"Clears spec.suspend. What became due in the meantime happens at once.")
}

func newCommand(a *session.App, name string, suspend bool, short, long string) *cobra.Command {
	return &cobra.Command{
		Use:               name + " NAME",
		Short:             short,
		Long:              long,
		Args:              session.ExactArgs(1, name+" NAME: name one ApiToken"),
		ValidArgsFunction: complete.Tokens(a),
		RunE: a.RunE(func(ctx context.Context, s *session.Session, args []string) error {
			return setSuspend(ctx, s, args[0], suspend)
		}),
	}
}

func setSuspend(ctx context.Context, s *session.Session, name string, suspend bool) error {
	word := "resumed"
	if suspend {
		word = "suspended"
	}
	for {
		t, err := s.Token(ctx, name)
		if err != nil {
			return err
		}
		if !t.DeletionTimestamp.IsZero() {
			return exit.Refusedf("ApiToken %q is being deleted: it issues nothing any more", t.Name)
		}
		if t.Spec.Suspend == suspend {
			fmt.Fprintf(s.Out, "apitoken.apitoken.dev/%s %s (unchanged)\n", t.Name, word)
			return nil
		}
		changed := t.DeepCopy()
		changed.Spec.Suspend = suspend
		err = s.Client.Patch(ctx, changed, client.MergeFromWithOptions(t, client.MergeFromWithOptimisticLock{}))
		if apierrors.IsConflict(err) {
			continue
		}
		if err != nil {
			return err
		}
		fmt.Fprintf(s.Out, "apitoken.apitoken.dev/%s %s\n", t.Name, word)
		if suspend && t.Status.ExpiresAt != nil {
			s.Say("Its credential ends %s and is not replaced until you resume it: %s",
				output.At(t.Status.ExpiresAt, s.Clock.Now()), s.PluginCommand(t.Namespace, "resume", t.Name))
		}
		return nil
	}
}
