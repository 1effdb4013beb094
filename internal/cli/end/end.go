// Package end is kubectl apitoken end.
package end

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/cli/complete"
	"apitoken.dev/operator/internal/cli/exit"
	"apitoken.dev/operator/internal/cli/hint"
	"apitoken.dev/operator/internal/cli/output"
	"apitoken.dev/operator/internal/cli/pods"
	"apitoken.dev/operator/internal/cli/session"
	"apitoken.dev/operator/internal/cli/terminal"
	"apitoken.dev/operator/internal/cli/tokenstate"
	"apitoken.dev/operator/internal/cli/wait"
)

// endOptions are the flags of end.
type endOptions struct {
	wait.Flags

	yes bool
}

// NewCommand returns kubectl apitoken end.
func NewCommand(a *session.App) *cobra.Command {
	var o endOptions
	cmd := &cobra.Command{
		Use:   "end NAME KEY-ID",
		Short: "End one previous credential now, before its overlap ends",
		Long: "Writes the annotation " + v1alpha1.AnnotationEnd + " with the name of the credential. The operator revokes it at once and verifies\n" +
			"at the provider that it is gone. KEY-ID is the public id of the key, or the name of the credential, as status shows them.\n\n" +
			"The credential in use is never ended: replace it first, with rotate.",
		Example:           "  kubectl apitoken end training-data AKIAIOSFODNN7EXAMPLE",
		Args:              session.ExactArgs(2, "end NAME KEY-ID: name one ApiToken and one of its keys"),
		ValidArgsFunction: complete.Keys(a),
		RunE: a.RunE(func(ctx context.Context, s *session.Session, args []string) error {
			return end(ctx, s, args[0], args[1], o)
		}, o.Check),
	}
	cmd.Flags().BoolVarP(&o.yes, "yes", "y", false, "Do not ask for confirmation.")
	o.AddFlags(cmd, true, "Wait until the credential is revoked and out of the ledger.")
	return cmd
}

func end(ctx context.Context, s *session.Session, name, key string, o endOptions) error {
	t, err := s.Token(ctx, name)
	if err != nil {
		return err
	}
	e, err := endable(s.Hints, t, key)
	if err != nil {
		return err
	}
	if !o.yes {
		if err := confirmEnd(ctx, s, t, e); err != nil {
			return err
		}
	}
	if err := annotateEnd(ctx, s, t, e.Name); err != nil {
		return err
	}
	if !o.Wait {
		fmt.Fprintf(s.Out, "apitoken.apitoken.dev/%s end of %s requested\n", t.Name, tokenstate.Key(e))
		return nil
	}
	if err := untilEnded(ctx, s, t, e, o.Timeout); err != nil {
		return err
	}
	fmt.Fprintf(s.Out, "apitoken.apitoken.dev/%s %s revoked\n", t.Name, tokenstate.Key(e))
	return nil
}

// endable returns the ledger entry of a key, or refuses what cannot be ended.
func endable(h hint.Hints, t *v1alpha1.ApiToken, key string) (*v1alpha1.LedgerEntry, error) {
	var found *v1alpha1.LedgerEntry
	var known []string
	for i := range t.Status.Credentials {
		e := &t.Status.Credentials[i]
		known = append(known, fmt.Sprintf("%s (%s)", tokenstate.Key(e), e.State))
		// Ids are the provider's, so two credentials can have the same: the one that can be ended counts.
		if key != "" && (e.Name == key || e.ID == key) && (found == nil || found.State != v1alpha1.StateRetiring) {
			found = e
		}
	}
	switch {
	case found == nil && len(known) == 0:
		return nil, exit.Errorf(exit.NotFound, "ApiToken %q has no credential", t.Name)
	case found == nil:
		return nil, exit.Errorf(exit.NotFound, "ApiToken %q has no credential %q: it has %s. A credential that is not listed was revoked, or belongs to another ApiToken",
			t.Name, terminal.OneLine(key), strings.Join(known, ", "))
	case found.State == v1alpha1.StateActive:
		return nil, exit.Refusedf("credential %s of ApiToken %q is in use: replace it first, and then end it with the same command. To replace it: %s",
			tokenstate.Key(found), t.Name, h.PluginCommand(t.Namespace, "rotate", t.Name, "--wait"))
	case found.State != v1alpha1.StateRetiring:
		return nil, exit.Refusedf("credential %s of ApiToken %q is %s: only a previous credential, which is Retiring, can be ended. The operator revokes an attempt by itself",
			tokenstate.Key(found), t.Name, found.State)
	}
	return found, nil
}

// annotateEnd writes the annotation, if the ApiToken still is the one that was read.
func annotateEnd(ctx context.Context, s *session.Session, t *v1alpha1.ApiToken, credential string) error {
	for {
		changed := t.DeepCopy()
		if changed.Annotations == nil {
			changed.Annotations = map[string]string{}
		}
		changed.Annotations[v1alpha1.AnnotationEnd] = credential
		err := s.Client.Patch(ctx, changed, client.MergeFromWithOptions(t, client.MergeFromWithOptimisticLock{}))
		if !apierrors.IsConflict(err) {
			return err
		}
		uid := t.UID
		if t, err = s.Token(ctx, t.Name); err != nil {
			return err
		}
		if t.UID != uid {
			return exit.Refusedf("ApiToken %q was deleted and made again: the key is revoked with the old one", t.Name)
		}
	}
}

// untilEnded waits until the credential has left the ledger.
func untilEnded(ctx context.Context, s *session.Session, t *v1alpha1.ApiToken, e *v1alpha1.LedgerEntry, timeout time.Duration) error {
	names := map[string]string{e.Name: tokenstate.Key(e)}
	w := &wait.Target{Name: t.Name, UID: t.UID, Timeout: timeout, About: func(t *v1alpha1.ApiToken) string { return wait.Leaving(s, t, names) }}
	w.Done = func(_ context.Context, t *v1alpha1.ApiToken) (bool, error) {
		if t == nil {
			return false, wait.ErrGone
		}
		return wait.Leaving(s, t, names) == "", nil
	}
	return wait.Until(ctx, s, w)
}

// confirmEnd says who may lose access, and asks.
func confirmEnd(ctx context.Context, s *session.Session, t *v1alpha1.ApiToken, e *v1alpha1.LedgerEntry) error {
	until := "is due to be revoked"
	if e.RetireAt != nil && s.Clock.Now().Before(e.RetireAt.Time) {
		until = "would stay valid until " + output.Stamp(e.RetireAt.Time)
	}
	s.Say("Key %s of ApiToken %s/%s %s.", tokenstate.Key(e), t.Namespace, t.Name, until)
	s.Say("Pods that started before the last rotation, and hold this key in their environment, lose access until they are restarted.")
	pods.SayUsers(ctx, s, t.SecretName(), "")
	return s.Confirm("End it now?")
}
