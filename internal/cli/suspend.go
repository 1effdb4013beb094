package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// suspendCommand is suspend, or resume.
func (a *app) suspendCommand(suspend bool) *cobra.Command {
	name, short := "suspend", "Stop issuing and rotating for an ApiToken"
	long := "Sets spec.suspend. Nothing is issued or rotated; what is due is still revoked, expiry still holds, and deletion still works.\n" +
		"A credential that ends while its ApiToken is suspended is not replaced."
	if !suspend {
		name, short = "resume", "Let the operator issue and rotate again for an ApiToken"
		long = "Takes spec.suspend back. What became due meanwhile happens at once."
	}
	return &cobra.Command{
		Use:               name + " NAME",
		Short:             short,
		Long:              long,
		Args:              positional(1, name+" NAME: name one ApiToken"),
		ValidArgsFunction: completeTokens(a),
		RunE: a.run(func(ctx context.Context, s *session, args []string) error {
			return s.setSuspend(ctx, args[0], suspend)
		}),
	}
}

func (s *session) setSuspend(ctx context.Context, name string, suspend bool) error {
	word := "resumed"
	if suspend {
		word = "suspended"
	}
	for {
		t, err := s.token(ctx, name)
		if err != nil {
			return err
		}
		if !t.DeletionTimestamp.IsZero() {
			return refused("ApiToken %q is being deleted: it issues nothing any more", t.Name)
		}
		if t.Spec.Suspend == suspend {
			fmt.Fprintf(s.Out, "apitoken.apitoken.dev/%s %s (unchanged)\n", t.Name, word)
			return nil
		}
		changed := t.DeepCopy()
		changed.Spec.Suspend = suspend
		err = s.client.Patch(ctx, changed, client.MergeFromWithOptions(t, client.MergeFromWithOptimisticLock{}))
		if apierrors.IsConflict(err) {
			continue
		}
		if err != nil {
			return err
		}
		fmt.Fprintf(s.Out, "apitoken.apitoken.dev/%s %s\n", t.Name, word)
		if suspend && t.Status.ExpiresAt != nil {
			s.say("Its credential ends %s and is not replaced until you resume it: %s",
				at(t.Status.ExpiresAt, s.Clock.Now()), s.pluginCommand(t.Namespace, "resume", t.Name))
		}
		return nil
	}
}
