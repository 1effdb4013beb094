package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/cli/reading"
)

// revokeOptions are the flags of revoke.
type revokeOptions struct {
	waitFlags

	yes bool
}

func (a *app) revokeCommand() *cobra.Command {
	var o revokeOptions
	cmd := &cobra.Command{
		Use:   "revoke NAME",
		Short: "Delete an ApiToken, and wait until all its credentials are revoked",
		Long: "Deletes the ApiToken. The operator revokes every credential in its ledger, asks the provider whether they are gone, deletes\n" +
			"the Secret and lets the ApiToken go. This command waits for that and shows what it waits for.\n\n" +
			"Where the ApiToken is kept in Git, delete it there: else it comes back, with a new credential.",
		Example:           "  kubectl apitoken revoke training-data",
		Args:              positional(1, "revoke NAME: name one ApiToken"),
		ValidArgsFunction: completeTokens(a),
		RunE: a.run(func(ctx context.Context, s *session, args []string) error {
			return s.revoke(ctx, args[0], o)
		}, o.check),
	}
	cmd.Flags().BoolVarP(&o.yes, "yes", "y", false, "Do not ask.")
	o.addFlags(cmd, true, "Wait until the ApiToken is gone.")
	return cmd
}

func (s *session) revoke(ctx context.Context, name string, o revokeOptions) error {
	t, err := s.token(ctx, name)
	if err != nil {
		return err
	}
	if t.Spec.DeletionPolicy == v1alpha1.DeletionRetain {
		return refused("spec.deletionPolicy of ApiToken %q is Retain: deleting it would revoke nothing. "+
			"To let go of it and keep the credential alive, use kubectl delete. To revoke, set the policy to Revoke first: %s", t.Name,
			s.kubectlCommand(t.Namespace, "patch", "apitoken", t.Name, "--type=merge", "-p", `{"spec":{"deletionPolicy":"Revoke"}}`))
	}
	if t.DeletionTimestamp.IsZero() {
		if !o.yes {
			if err := s.confirmRevoke(ctx, t); err != nil {
				return err
			}
		}
		// The ApiToken that was shown, and no other of the same name.
		if err := s.client.Delete(ctx, t, client.Preconditions{UID: &t.UID}); reading.Object(t, err).Err() != nil {
			return err
		}
	} else {
		s.say("ApiToken %q is being deleted already.", t.Name)
	}
	if !o.wait {
		fmt.Fprintf(s.Out, "apitoken.apitoken.dev/%s deletion asked for\n", t.Name)
		return nil
	}
	if err := s.untilGone(ctx, t.Name, t.UID, o.timeout); err != nil {
		return err
	}
	fmt.Fprintf(s.Out, "apitoken.apitoken.dev/%s revoked and deleted\n", t.Name)
	return nil
}

func (s *session) untilGone(ctx context.Context, name string, uid types.UID, timeout time.Duration) error {
	w := &waiting{name: name, uid: uid, timeout: timeout, about: deletionProgress, deleting: true}
	w.done = func(_ context.Context, t *v1alpha1.ApiToken) (bool, error) {
		if t != nil && t.Spec.DeletionPolicy == v1alpha1.DeletionRetain {
			return false, refused("spec.deletionPolicy was set to Retain meanwhile: nothing more is revoked")
		}
		return t == nil, nil
	}
	return s.follow(ctx, w)
}

// deletionProgress says what a deletion waits for.
func deletionProgress(t *v1alpha1.ApiToken) string {
	parts := make([]string, 0, len(t.Status.Credentials))
	for i := range t.Status.Credentials {
		e := &t.Status.Credentials[i]
		parts = append(parts, fmt.Sprintf("%s (%s)", keyOf(e), e.State))
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
func (s *session) confirmRevoke(ctx context.Context, t *v1alpha1.ApiToken) error {
	s.say("ApiToken %s/%s, and with it Secret %q:", t.Namespace, t.Name, t.SecretName())
	for i := range t.Status.Credentials {
		e := &t.Status.Credentials[i]
		s.say("  %s (%s) is revoked at %s %s", keyOf(e), e.State, t.Spec.ProviderRef.Kind, t.Spec.ProviderRef.Name)
	}
	s.sayUsers(ctx, t.SecretName(), " and loses access")
	return s.confirm("Revoke for good?")
}

// confirm asks a question; anything but yes refuses.
func (s *session) confirm(question string) error {
	fmt.Fprint(s.ErrOut, question+" [y/N] ")
	answer, err := bufio.NewReader(s.In).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("reading the answer: %w", err)
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return refused("nothing was done: the answer was not yes; --yes answers it")
}
