// Package handover is kubectl apitoken handover: it submits a credential that the user created
// at the provider.
package handover

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/cli/complete"
	"apitoken.dev/operator/internal/cli/exit"
	"apitoken.dev/operator/internal/cli/session"
	"apitoken.dev/operator/internal/cli/tokenstate"
	"apitoken.dev/operator/internal/cli/wait"
	"apitoken.dev/operator/internal/observe"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/quiet"
)

// handoverOptions are the flags of handover.
type handoverOptions struct {
	wait.Flags

	file string
	yes  bool
}

// NewCommand returns kubectl apitoken handover.
func NewCommand(a *session.App) *cobra.Command {
	var o handoverOptions
	cmd := &cobra.Command{
		Use:   "handover NAME",
		Short: "Submit a manual credential, for a provider without an API",
		Long: "Shows which credential to create at the provider, prompts for each key without echo, and puts the keys into the Secret that\n" +
			"the operator waits for. The operator checks the credential, publishes it and deletes that Secret, or reports why it cannot\n" +
			"be used. If a credential must be edited instead, the command asks whether that is done and confirms it to the operator.",
		Example: "  kubectl apitoken handover media\n\n  # from a script; - is standard input\n" +
			"  pass show vendor/media | kubectl apitoken handover media --from-env-file -",
		Args:              session.ExactArgs(1, "handover NAME: name one ApiToken"),
		ValidArgsFunction: complete.Tokens(a),
		RunE: a.RunE(func(ctx context.Context, s *session.Session, args []string) error {
			return handover(ctx, s, args[0], o)
		}, o.Check),
	}
	cmd.Flags().StringVar(&o.file, "from-env-file", "", "Read the keys from a file of KEY=VALUE lines instead of asking; - is standard input.")
	cmd.Flags().BoolVarP(&o.yes, "yes", "y", false, "If a credential must be edited: confirm that it is done, without asking.")
	o.AddFlags(cmd, true, "Wait until the operator has accepted or rejected the credential.")
	return cmd
}

func handover(ctx context.Context, s *session.Session, name string, o handoverOptions) error {
	t, err := s.Token(ctx, name)
	if err != nil {
		return err
	}
	task := meta.FindStatusCondition(t.Status.Conditions, v1alpha1.ConditionActionRequired)
	switch {
	case task == nil:
		return exit.Refusedf("ApiToken %q needs no action by a user (%s). To see what happens next: %s",
			t.Name, tokenstate.Reason(t), s.PluginCommand(t.Namespace, "status", t.Name))
	case task.Reason == v1alpha1.ReasonEditCredential:
		return confirmEdited(ctx, s, t, task, o)
	case task.Reason != v1alpha1.ReasonCreateCredential:
		s.Say("To do: %s", task.Message)
		return exit.Refusedf("there is nothing to submit: the operator notices by itself when it is done")
	}
	form, _, _ := strings.Cut(task.Message, plan.ThenPut) // this command does the rest
	s.Say("To do: %s\n", strings.ReplaceAll(form, "; ", "\n  "))
	data, err := keys(ctx, s, t, o)
	if err != nil {
		return err
	}
	if err := putHandover(ctx, s, t, data); err != nil {
		return err
	}
	fmt.Fprintf(s.Out, "secret/%s submitted\n", t.Name+v1alpha1.HandoverSuffix)
	if !o.Wait {
		return nil
	}
	return untilTaken(ctx, s, t, o.Timeout)
}

// keys reads the credential: from a file, or from the user at the terminal.
func keys(ctx context.Context, s *session.Session, t *v1alpha1.ApiToken, o handoverOptions) (map[string][]byte, error) {
	cluster := s.ClusterOf(ctx, t, nil)
	facts, err := s.Facts(ctx, s.Client, t, cluster)
	if err != nil {
		return nil, err
	}
	form := observe.Form(&facts, s.Request(t, &facts, cluster))
	if form == nil {
		return nil, exit.Failedf("this version of the plugin does not know which keys %s %q wants: use the plugin of the operator's version, "+
			"or make the Secret as the message says", t.Spec.ProviderRef.Kind, t.Spec.ProviderRef.Name)
	}
	if o.file == "" {
		data, err := ask(s, form.Keys)
		if err != nil {
			return nil, err
		}
		return data, refuseKnownKey(facts.Driver, t, data)
	}
	data, err := readEnvFile(s.In, o.file)
	if err != nil {
		return nil, err
	}
	var connection []string
	if c, ok := provider.As[provider.Connector](facts.Driver); ok {
		connection = slices.Sorted(maps.Keys(c.Connection(facts.Config, plan.GrantOf(&t.Spec))))
	}
	if err := checkKeys(data, form.Keys, connection); err != nil {
		return nil, err
	}
	return data, refuseKnownKey(facts.Driver, t, data)
}

// ask prompts for each key without showing what is typed.
func ask(s *session.Session, keys []string) (map[string][]byte, error) {
	if s.ReadHidden == nil {
		return nil, exit.Usagef("there is no terminal to prompt on: use --from-env-file")
	}
	data := map[string][]byte{}
	for _, key := range keys {
		fmt.Fprintf(s.ErrOut, "%s (not shown): ", key)
		value, err := s.ReadHidden()
		fmt.Fprintln(s.ErrOut)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", key, err)
		}
		data[key] = []byte(strings.TrimSpace(string(value)))
	}
	return data, checkKeys(data, keys, nil)
}

// putHandover creates the Secret, or replaces one that was submitted before.
func putHandover(ctx context.Context, s *session.Session, t *v1alpha1.ApiToken, data map[string][]byte) error {
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: t.Namespace, Name: t.Name + v1alpha1.HandoverSuffix,
			Labels: map[string]string{v1alpha1.LabelManaged: v1alpha1.ManagedHandover},
			// It is deleted with the ApiToken if the operator has not accepted it before.
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: v1alpha1.GroupVersion.String(), Kind: "ApiToken", Name: t.Name, UID: t.UID,
			}},
		},
		Type: corev1.SecretTypeOpaque, Data: data,
	}
	err := s.Client.Create(quiet.Context(ctx), secret)
	if !apierrors.IsAlreadyExists(err) {
		return withoutValues(err)
	}
	old := &metav1.PartialObjectMetadata{}
	old.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	if err := s.Client.Get(ctx, client.ObjectKeyFromObject(secret), old); err != nil {
		return err
	}
	if old.Labels[v1alpha1.LabelManaged] != v1alpha1.ManagedHandover {
		return exit.Refusedf("Secret %q exists and is not a handover (it has no label %s: %s): delete or rename it first",
			secret.Name, v1alpha1.LabelManaged, v1alpha1.ManagedHandover)
	}
	secret.ResourceVersion = old.ResourceVersion
	s.Say("Secret %q was submitted before and is replaced.", secret.Name)
	return withoutValues(s.Client.Update(quiet.Context(ctx), secret))
}

// withoutValues keeps the reason of an API server's error, whose text may quote
// the Secret that was sent.
func withoutValues(err error) error {
	if err == nil || apierrors.IsForbidden(err) || apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return err
	}
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		return exit.Refusedf("the API server rejects the Secret: %s", status.Status().Reason)
	}
	return err
}

// untilTaken waits until the operator has taken the credential over or refused it.
func untilTaken(ctx context.Context, s *session.Session, before *v1alpha1.ApiToken, timeout time.Duration) error {
	w := &wait.Target{Name: before.Name, UID: before.UID, Timeout: timeout, About: takingOver}
	w.Done = func(ctx context.Context, t *v1alpha1.ApiToken) (bool, error) {
		if t == nil {
			return false, wait.ErrGone
		}
		if why := refusedSince(before, t); why != "" {
			return false, exit.Refusedf("%s: %s", v1alpha1.ReasonHandoverRefused, why)
		}
		there, err := handoverThere(ctx, s, t)
		if err != nil || there {
			return false, err
		}
		// The operator deletes the Secret after it recorded a new credential, or because
		// it has the key already. Only a status read after that tells which.
		if t, err = s.Token(ctx, t.Name); err != nil {
			return false, err
		}
		if was, is := tokenstate.Active(before), tokenstate.Active(t); was != nil && is != nil && was.Name == is.Name {
			return false, sameKey(is)
		}
		return tokenstate.Ready(t), nil
	}
	if err := wait.Until(ctx, s, w); err != nil {
		return err
	}
	fmt.Fprintf(s.Out, "apitoken.apitoken.dev/%s ready\n", before.Name)
	return nil
}

// takingOver says how far it is, without the form that was shown already.
func takingOver(t *v1alpha1.ApiToken) string {
	if reason := tokenstate.Reason(t); reason == v1alpha1.ReasonActionRequired || reason == v1alpha1.ReasonHandoverRefused {
		return "waiting for the operator to check it"
	}
	return wait.Progress(t)
}

// refusedSince says why a credential was refused in an attempt that began after before was read.
func refusedSince(before, t *v1alpha1.ApiToken) string {
	if t.Status.Revision <= before.Status.Revision {
		return ""
	}
	for _, kind := range []string{v1alpha1.ConditionStalled, v1alpha1.ConditionReady} {
		if c := meta.FindStatusCondition(t.Status.Conditions, kind); c != nil && c.Reason == v1alpha1.ReasonHandoverRefused {
			return c.Message
		}
	}
	if c := meta.FindStatusCondition(t.Status.Conditions, v1alpha1.ConditionActionRequired); c != nil && strings.Contains(c.Message, "cannot be used: ") {
		return c.Message // the workload has a credential, so that nothing is stalled
	}
	return ""
}

func handoverThere(ctx context.Context, s *session.Session, t *v1alpha1.ApiToken) (bool, error) {
	r := s.Metadata(ctx, corev1.SchemeGroupVersion.WithKind("Secret"), client.ObjectKey{Namespace: t.Namespace, Name: t.Name + v1alpha1.HandoverSuffix})
	there := true
	r.Switch(func(*metav1.PartialObjectMetadata) {}, func() { there = false }, func(error) {})
	return there, r.Err()
}

// confirmEdited tells the operator that a credential was edited.
func confirmEdited(ctx context.Context, s *session.Session, t *v1alpha1.ApiToken, task *metav1.Condition, o handoverOptions) error {
	s.Say("To do: %s", task.Message)
	if !o.yes {
		if err := s.Confirm("Is it edited?"); err != nil {
			return err
		}
	}
	changed := t.DeepCopy()
	metav1.SetMetaDataAnnotation(&changed.ObjectMeta, v1alpha1.AnnotationEdited, strconv.FormatInt(task.ObservedGeneration, 10))
	if err := s.Client.Patch(ctx, changed, client.MergeFrom(t)); err != nil {
		return err
	}
	fmt.Fprintf(s.Out, "apitoken.apitoken.dev/%s edit confirmed\n", t.Name)
	if !o.Wait {
		return nil
	}
	w := &wait.Target{Name: t.Name, UID: t.UID, Timeout: o.Timeout, About: wait.Progress}
	w.Done = func(_ context.Context, t *v1alpha1.ApiToken) (bool, error) {
		if t == nil {
			return false, wait.ErrGone
		}
		return tokenstate.Ready(t), nil
	}
	if err := wait.Until(ctx, s, w); err != nil {
		return err
	}
	fmt.Fprintf(s.Out, "apitoken.apitoken.dev/%s ready\n", t.Name)
	return nil
}
