// Package revoke is kubectl apitoken revoke.
package revoke

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/cli/complete"
	"apitoken.dev/operator/internal/cli/exit"
	"apitoken.dev/operator/internal/cli/pods"
	"apitoken.dev/operator/internal/cli/reading"
	"apitoken.dev/operator/internal/cli/session"
	"apitoken.dev/operator/internal/cli/tokenstate"
	"apitoken.dev/operator/internal/cli/wait"
)

// revokeOptions are the flags of revoke.
type revokeOptions struct {
	wait.Flags

	yes bool
}

// NewCommand returns kubectl apitoken revoke.
func NewCommand(a *session.App) *cobra.Command {
	var o revokeOptions
	cmd := &cobra.Command{
		Use:   "revoke NAME",
		Short: "Delete an ApiToken, and wait until all its credentials are revoked",
		Long: "Deletes the ApiToken. The operator revokes every credential in its ledger, verifies at the provider that they are gone, and\n" +
			"deletes the Secret and the ApiToken. This command waits until then and reports progress.\n\n" +
			"If the ApiToken is managed in Git, delete it there. Otherwise it is created again, with a new credential.",
		Example:           "  kubectl apitoken revoke training-data",
		Args:              session.ExactArgs(1, "revoke NAME: name one ApiToken"),
		ValidArgsFunction: complete.Tokens(a),
		RunE: a.RunE(func(ctx context.Context, s *session.Session, args []string) error {
			return revoke(ctx, s, args[0], o)
		}, o.Check),
	}
	cmd.Flags().BoolVarP(&o.yes, "yes", "y", false, "Do not ask for confirmation.")
	o.AddFlags(cmd, true, "Wait until the ApiToken is gone.")
	return cmd
}

func revoke(ctx context.Context, s *session.Session, name string, o revokeOptions) error {
	t, err := s.Token(ctx, name)
	if err != nil {
		return err
	}
	if t.Spec.DeletionPolicy == v1alpha1.DeletionRetain {
		return exit.Refusedf("spec.deletionPolicy of ApiToken %q is Retain: deleting it would revoke nothing. "+
			"To delete it and keep the credential, use kubectl delete. To revoke, set the policy to Revoke first: %s", t.Name,
			s.KubectlCommand(t.Namespace, "patch", "apitoken", t.Name, "--type=merge", "-p", `{"spec":{"deletionPolicy":"Revoke"}}`))
	}
	if t.DeletionTimestamp.IsZero() {
		if !o.yes {
			if err := confirmRevoke(ctx, s, t); err != nil {
				return err
			}
		}
		// The ApiToken that was shown, and no other of the same name.
		if err := s.Client.Delete(ctx, t, client.Preconditions{UID: &t.UID}); reading.Object(t, err).Err() != nil {
			return err
		}
	} else {
		s.Say("ApiToken %q is being deleted already.", t.Name)
	}
	if !o.Wait {
		fmt.Fprintf(s.Out, "apitoken.apitoken.dev/%s deletion requested\n", t.Name)
		return nil
	}
	if err := untilGone(ctx, s, t.Name, t.UID, o.Timeout); err != nil {
		return err
	}
	fmt.Fprintf(s.Out, "apitoken.apitoken.dev/%s revoked and deleted\n", t.Name)
	return nil
}

func untilGone(ctx context.Context, s *session.Session, name string, uid types.UID, timeout time.Duration) error {
	w := &wait.Target{Name: name, UID: uid, Timeout: timeout, About: deletionProgress, Deleting: true}
	w.Done = func(_ context.Context, t *v1alpha1.ApiToken) (bool, error) {
		if t != nil && t.Spec.DeletionPolicy == v1alpha1.DeletionRetain {
			return false, exit.Refusedf("spec.deletionPolicy was set to Retain in the meantime: nothing else is revoked")
		}
		return t == nil, nil
	}
	return wait.Until(ctx, s, w)
}

// deletionProgress says what a deletion waits for.
func deletionProgress(t *v1alpha1.ApiToken) string {
	parts := make([]string, 0, len(t.Status.Credentials))
	for i := range t.Status.Credentials {
		e := &t.Status.Credentials[i]
		parts = append(parts, fmt.Sprintf("%s (%s)", tokenstate.Key(e), e.State))
	}
	line := "waiting for the ApiToken to go"
	if len(parts) > 0 {
		line = "to be revoked: " + strings.Join(parts, ", ")
	}
	if c := meta.FindStatusCondition(t.Status.Conditions, v1alpha1.ConditionActionRequired); c != nil {
		return line + ". " + c.Message
	}
	// A message from before the deletion says nothing about it.
	if c := meta.FindStatusCondition(t.Status.Conditions, v1alpha1.ConditionReady); c != nil && c.Status == metav1.ConditionFalse && c.Message != "" &&
		c.ObservedGeneration == t.Generation {
		line += ". " + c.Message
	}
	return line
}

// confirmRevoke shows what will be lost and asks.
func confirmRevoke(ctx context.Context, s *session.Session, t *v1alpha1.ApiToken) error {
	s.Say("ApiToken %s/%s, and with it Secret %q:", t.Namespace, t.Name, t.SecretName())
	for i := range t.Status.Credentials {
		e := &t.Status.Credentials[i]
		s.Say("  %s (%s) is revoked at %s %s", tokenstate.Key(e), e.State, t.Spec.ProviderRef.Kind, t.Spec.ProviderRef.Name)
	}
	pods.SayUsers(ctx, s, t.SecretName(), " and loses access")
	return s.Confirm("Revoke for good?")
}
