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

// endOptions are the flags of end.
type endOptions struct {
	waitFlags

	yes bool
}

func (a *app) endCommand() *cobra.Command {
	var o endOptions
	cmd := &cobra.Command{
		Use:   "end NAME KEY-ID",
		Short: "End one previous credential now, before its overlap is over",
		Long: "Writes the annotation " + v1alpha1.AnnotationEnd + " with the name of the credential. The operator revokes it at once and asks the\n" +
			"provider whether it is gone. KEY-ID is the public id of the key, or the name of the credential, as status shows them.\n\n" +
			"The credential in use is never ended: replace it first, with rotate.",
		Example:           "  kubectl apitoken end training-data AKIAIOSFODNN7EXAMPLE",
		Args:              positional(2, "end NAME KEY-ID: name one ApiToken and one of its keys"),
		ValidArgsFunction: completeKeys(a),
		RunE: a.run(func(ctx context.Context, s *session, args []string) error {
			return s.end(ctx, args[0], args[1], o)
		}, o.check),
	}
	cmd.Flags().BoolVarP(&o.yes, "yes", "y", false, "Do not ask.")
	o.addFlags(cmd, true, "Wait until the credential is revoked and out of the ledger.")
	return cmd
}

func (s *session) end(ctx context.Context, name, key string, o endOptions) error {
	t, err := s.token(ctx, name)
	if err != nil {
		return err
	}
	e, err := s.endable(t, key)
	if err != nil {
		return err
	}
	if !o.yes {
		if err := s.confirmEnd(ctx, t, e); err != nil {
			return err
		}
	}
	if err := s.annotateEnd(ctx, t, e.Name); err != nil {
		return err
	}
	if !o.wait {
		fmt.Fprintf(s.Out, "apitoken.apitoken.dev/%s end of %s asked for\n", t.Name, keyOf(e))
		return nil
	}
	if err := s.untilEnded(ctx, t, e, o.timeout); err != nil {
		return err
	}
	fmt.Fprintf(s.Out, "apitoken.apitoken.dev/%s %s revoked\n", t.Name, keyOf(e))
	return nil
}

// endable returns the ledger entry of a key, or refuses what cannot be ended.
func (h hints) endable(t *v1alpha1.ApiToken, key string) (*v1alpha1.LedgerEntry, error) {
	var found *v1alpha1.LedgerEntry
	var known []string
	for i := range t.Status.Credentials {
		e := &t.Status.Credentials[i]
		known = append(known, fmt.Sprintf("%s (%s)", keyOf(e), e.State))
		// Ids are the provider's, so two credentials can have the same: the one that can be ended counts.
		if key != "" && (e.Name == key || e.ID == key) && (found == nil || found.State != v1alpha1.StateRetiring) {
			found = e
		}
	}
	switch {
	case found == nil && len(known) == 0:
		return nil, errorf(NotFound, "ApiToken %q has no credential", t.Name)
	case found == nil:
		return nil, errorf(NotFound, "ApiToken %q has no credential %q: it has %s. One that is not listed was revoked, or is of another ApiToken",
			t.Name, oneLine(key), strings.Join(known, ", "))
	case found.State == v1alpha1.StateActive:
		return nil, refused("credential %s of ApiToken %q is in use: replace it first, and then end it with the same command. To replace it: %s",
			keyOf(found), t.Name, h.pluginCommand(t.Namespace, "rotate", t.Name, "--wait"))
	case found.State != v1alpha1.StateRetiring:
		return nil, refused("credential %s of ApiToken %q is %s: only a previous credential, which is Retiring, can be ended. The operator revokes an attempt by itself",
			keyOf(found), t.Name, found.State)
	}
	return found, nil
}

// annotateEnd writes the annotation, if the ApiToken still is the one that was read.
func (s *session) annotateEnd(ctx context.Context, t *v1alpha1.ApiToken, credential string) error {
	for {
		changed := t.DeepCopy()
		if changed.Annotations == nil {
			changed.Annotations = map[string]string{}
		}
		changed.Annotations[v1alpha1.AnnotationEnd] = credential
		err := s.client.Patch(ctx, changed, client.MergeFromWithOptions(t, client.MergeFromWithOptimisticLock{}))
		if !apierrors.IsConflict(err) {
			return err
		}
		uid := t.UID
		if t, err = s.token(ctx, t.Name); err != nil {
			return err
		}
		if t.UID != uid {
			return refused("ApiToken %q was deleted and made again: the key is revoked with the old one", t.Name)
		}
	}
}

// untilEnded waits until the credential has left the ledger.
func (s *session) untilEnded(ctx context.Context, t *v1alpha1.ApiToken, e *v1alpha1.LedgerEntry, timeout time.Duration) error {
	names := map[string]string{e.Name: keyOf(e)}
	w := &waiting{name: t.Name, uid: t.UID, timeout: timeout, about: func(t *v1alpha1.ApiToken) string { return s.leaving(t, names) }}
	w.done = func(_ context.Context, t *v1alpha1.ApiToken) (bool, error) {
		if t == nil {
			return false, errGone
		}
		return s.leaving(t, names) == "", nil
	}
	return s.follow(ctx, w)
}

// confirmEnd says who may lose access, and asks.
func (s *session) confirmEnd(ctx context.Context, t *v1alpha1.ApiToken, e *v1alpha1.LedgerEntry) error {
	until := "is due to be revoked"
	if e.RetireAt != nil && s.Clock.Now().Before(e.RetireAt.Time) {
		until = "would live on until " + stamp(e.RetireAt.Time)
	}
	s.say("Key %s of ApiToken %s/%s %s.", keyOf(e), t.Namespace, t.Name, until)
	s.say("Pods that started before the last rotation, and hold this key in their environment, lose access until they are restarted.")
	s.sayUsers(ctx, t.SecretName(), "")
	return s.confirm("End it now?")
}
