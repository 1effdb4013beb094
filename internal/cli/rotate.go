package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
)

// rotateOptions are the flags of rotate.
type rotateOptions struct {
	waitFlags

	untilRevoked bool
	many         manyOptions
}

func (a *app) rotateCommand() *cobra.Command {
	var o rotateOptions
	cmd := &cobra.Command{
		Use:   "rotate (NAME | -l SELECTOR | --provider KIND/NAME | --all)",
		Short: "Replace the credential of an ApiToken, or of many, now",
		Long: "Raises spec.rotation.generation by one. The operator issues a new credential, publishes it, and revokes the previous one\n" +
			"after the overlap. Where the ApiToken is kept in Git, raise the number there too: putting an older one back does no harm,\n" +
			"but the next rotation from Git has to be higher than what is in the cluster.",
		Example: "  kubectl apitoken rotate training-data --wait\n\n" +
			"  # after a leak at one provider, 5 a minute, each until its new credential is in the Secret\n" +
			"  kubectl apitoken rotate --provider ClusterTokenProvider/object-store -A --rate 5 --wait",
		Args:              func(_ *cobra.Command, args []string) error { return o.many.check(args) },
		ValidArgsFunction: completeTokens(a),
		RunE: a.run(func(ctx context.Context, s *session, args []string) error {
			if len(args) == 0 {
				return s.rotateMany(ctx, o)
			}
			return s.rotate(ctx, args[0], o)
		}, o.check),
	}
	cmd.Flags().BoolVar(&o.untilRevoked, "until-revoked", false, "Also wait until the previous credentials are revoked and out of the ledger; implies --wait.")
	o.addFlags(cmd, false, "Wait until the new credential is in the Secret, and show progress.")
	o.many.addFlags(cmd)
	completeProviders(a, cmd)
	return cmd
}

func (s *session) rotate(ctx context.Context, name string, o rotateOptions) error {
	t, err := s.token(ctx, name)
	if err != nil {
		return err
	}
	if err := s.rotatable(t); err != nil {
		return err
	}
	previous := map[string]string{}
	for i := range t.Status.Credentials {
		e := &t.Status.Credentials[i]
		previous[e.Name] = keyOf(e)
	}
	if t, err = s.raise(ctx, t); err != nil {
		return err
	}
	wanted := t.Spec.Rotation.Generation
	fmt.Fprintf(s.Out, "apitoken.apitoken.dev/%s rotation asked for (generation %d)\n", t.Name, wanted)
	if !o.wait && !o.untilRevoked {
		return nil
	}
	if err := s.untilRotated(ctx, t, wanted, o.timeout); err != nil {
		return err
	}
	fmt.Fprintf(s.Out, "apitoken.apitoken.dev/%s rotated\n", t.Name)
	if !o.untilRevoked {
		return nil
	}
	return s.untilRevoked(ctx, t, previous, o.timeout)
}

// untilRotated waits until the Secret holds a credential of that rotation.
func (s *session) untilRotated(ctx context.Context, t *v1alpha1.ApiToken, wanted int64, timeout time.Duration) error {
	w := &waiting{name: t.Name, uid: t.UID, timeout: timeout, about: progress}
	w.done = func(_ context.Context, t *v1alpha1.ApiToken) (bool, error) {
		if t == nil {
			return false, errGone
		}
		e := activeOf(t)
		if ready(t) && e != nil && e.RotationGeneration >= wanted {
			return true, nil
		}
		return false, s.stopped(t)
	}
	return s.follow(ctx, w)
}

// rotatable refuses what would not rotate.
func (h hints) rotatable(t *v1alpha1.ApiToken) error {
	switch {
	case !t.DeletionTimestamp.IsZero():
		return refused("ApiToken %q is being deleted: nothing is issued for it any more", t.Name)
	case t.Spec.Suspend:
		return refused("spec.suspend of ApiToken %q is true, so nothing is issued. Resume it first: %s", t.Name, h.pluginCommand(t.Namespace, "resume", t.Name))
	}
	return nil
}

// raise raises spec.rotation.generation by one under optimistic lock. When another
// has raised it meanwhile, that is the rotation that was wanted.
func (s *session) raise(ctx context.Context, t *v1alpha1.ApiToken) (*v1alpha1.ApiToken, error) {
	was := t.Spec.Rotation.Generation
	for {
		changed := t.DeepCopy()
		changed.Spec.Rotation.Generation++
		err := s.client.Patch(ctx, changed, client.MergeFromWithOptions(t, client.MergeFromWithOptimisticLock{}))
		if !apierrors.IsConflict(err) {
			return changed, err
		}
		if t, err = s.token(ctx, t.Name); err != nil {
			return nil, err
		}
		if t.Spec.Rotation.Generation > was {
			s.say("spec.rotation.generation was raised to %d by somebody else just now", t.Spec.Rotation.Generation)
			return t, nil
		}
		if err := s.rotatable(t); err != nil {
			return nil, err
		}
	}
}

// untilRevoked waits until credentials have left the ledger.
func (s *session) untilRevoked(ctx context.Context, t *v1alpha1.ApiToken, previous map[string]string, timeout time.Duration) error {
	w := &waiting{name: t.Name, uid: t.UID, timeout: timeout, about: func(t *v1alpha1.ApiToken) string { return s.leaving(t, previous) }}
	w.done = func(_ context.Context, t *v1alpha1.ApiToken) (bool, error) {
		if t == nil {
			return false, errGone
		}
		return s.leaving(t, previous) == "", nil
	}
	if err := s.follow(ctx, w); err != nil {
		return err
	}
	fmt.Fprintf(s.Out, "apitoken.apitoken.dev/%s previous credentials revoked\n", t.Name)
	return nil
}

// leaving says which of some credentials the ledger still has; empty: none.
func (s *session) leaving(t *v1alpha1.ApiToken, names map[string]string) string {
	var parts []string
	for i := range t.Status.Credentials {
		e := &t.Status.Credentials[i]
		key, is := names[e.Name]
		switch {
		case !is:
		case e.State == v1alpha1.StateRetiring && e.RetireAt != nil && s.Clock.Now().Before(e.RetireAt.Time):
			parts = append(parts, key+" lives on until "+stamp(e.RetireAt.Time))
		default:
			parts = append(parts, fmt.Sprintf("%s (%s) is not revoked yet", key, e.State))
		}
	}
	return strings.Join(parts, ", ")
}
