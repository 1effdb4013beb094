// Package rotate is kubectl apitoken rotate, for one ApiToken or for many.
package rotate

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/cli/complete"
	"apitoken.dev/operator/internal/cli/exit"
	"apitoken.dev/operator/internal/cli/hint"
	"apitoken.dev/operator/internal/cli/session"
	"apitoken.dev/operator/internal/cli/tokenstate"
	"apitoken.dev/operator/internal/cli/wait"
)

// rotateOptions are the flags of rotate.
type rotateOptions struct {
	wait.Flags

	untilRevoked bool
	many         manyOptions
}

// NewCommand returns kubectl apitoken rotate.
func NewCommand(a *session.App) *cobra.Command {
	var o rotateOptions
	cmd := &cobra.Command{
		Use:   "rotate (NAME | -l SELECTOR | --provider KIND/NAME | --all)",
		Short: "Replace the credential of an ApiToken, or of many, now",
		Long: "Raises spec.rotation.generation by one. The operator issues a new credential, publishes it, and revokes the previous one\n" +
			"after the overlap. If the ApiToken is managed in Git, raise the number there too: an older number does no harm,\n" +
			"but the next rotation from Git must be higher than the number in the cluster.",
		Example: "  kubectl apitoken rotate training-data --wait\n\n" +
			"  # after a leak at one provider, 5 a minute, each until its new credential is in the Secret\n" +
			"  kubectl apitoken rotate --provider ClusterTokenProvider/object-store -A --rate 5 --wait",
		Args:              func(_ *cobra.Command, args []string) error { return o.many.check(args) },
		ValidArgsFunction: complete.Tokens(a),
		RunE: a.RunE(func(ctx context.Context, s *session.Session, args []string) error {
			if len(args) == 0 {
				return rotateMany(ctx, s, o)
			}
			return rotate(ctx, s, args[0], o)
		}, o.Check),
	}
	cmd.Flags().BoolVar(&o.untilRevoked, "until-revoked", false, "Also wait until the previous credentials are revoked and out of the ledger; implies --wait.")
	o.AddFlags(cmd, false, "Wait until the new credential is in the Secret, and show progress.")
	o.many.addFlags(cmd)
	complete.Providers(a, cmd)
	return cmd
}

func rotate(ctx context.Context, s *session.Session, name string, o rotateOptions) error {
	t, err := s.Token(ctx, name)
	if err != nil {
		return err
	}
	if err := rotatable(s.Hints, t); err != nil {
		return err
	}
	previous := map[string]string{}
	for i := range t.Status.Credentials {
		e := &t.Status.Credentials[i]
		previous[e.Name] = tokenstate.Key(e)
	}
	if t, err = raise(ctx, s, t); err != nil {
		return err
	}
	wanted := t.Spec.Rotation.Generation
	fmt.Fprintf(s.Out, "apitoken.apitoken.dev/%s rotation requested (generation %d)\n", t.Name, wanted)
	if !o.Wait && !o.untilRevoked {
		return nil
	}
	if err := untilRotated(ctx, s, t, wanted, o.Timeout); err != nil {
		return err
	}
	fmt.Fprintf(s.Out, "apitoken.apitoken.dev/%s rotated\n", t.Name)
	if !o.untilRevoked {
		return nil
	}
	return wait.UntilRevoked(ctx, s, t, previous, o.Timeout)
}

// untilRotated waits until the Secret holds a credential of that rotation.
func untilRotated(ctx context.Context, s *session.Session, t *v1alpha1.ApiToken, wanted int64, timeout time.Duration) error {
	w := &wait.Target{Name: t.Name, UID: t.UID, Timeout: timeout, About: wait.Progress}
	w.Done = func(_ context.Context, t *v1alpha1.ApiToken) (bool, error) {
		if t == nil {
			return false, wait.ErrGone
		}
		e := tokenstate.Active(t)
		if tokenstate.Ready(t) && e != nil && e.RotationGeneration >= wanted {
			return true, nil
		}
		return false, wait.Stopped(s.Hints, t)
	}
	return wait.Until(ctx, s, w)
}

// rotatable refuses what would not rotate.
func rotatable(h hint.Hints, t *v1alpha1.ApiToken) error {
	switch {
	case !t.DeletionTimestamp.IsZero():
		return exit.Refusedf("ApiToken %q is being deleted: nothing is issued for it any more", t.Name)
	case t.Spec.Suspend:
		return exit.Refusedf("spec.suspend of ApiToken %q is true, so nothing is issued. Resume it first: %s", t.Name, h.PluginCommand(t.Namespace, "resume", t.Name))
	}
	return nil
}

// raise raises spec.rotation.generation by one under optimistic lock. When another
// has raised it in the meantime, that rotation is the one that was wanted.
func raise(ctx context.Context, s *session.Session, t *v1alpha1.ApiToken) (*v1alpha1.ApiToken, error) {
	was := t.Spec.Rotation.Generation
	for {
		changed := t.DeepCopy()
		changed.Spec.Rotation.Generation++
		err := s.Client.Patch(ctx, changed, client.MergeFromWithOptions(t, client.MergeFromWithOptimisticLock{}))
		if !apierrors.IsConflict(err) {
			return changed, err
		}
		if t, err = s.Token(ctx, t.Name); err != nil {
			return nil, err
		}
		if t.Spec.Rotation.Generation > was {
			s.Say("spec.rotation.generation was just raised to %d by another client", t.Spec.Rotation.Generation)
			return t, nil
		}
		if err := rotatable(s.Hints, t); err != nil {
			return nil, err
		}
	}
}
