package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/cli/reading"
)

// completionTimeout keeps a shell from hanging on a cluster that does not answer.
const completionTimeout = 3 * time.Second

// completeTokens offers the ApiTokens of the namespace for the first argument.
func completeTokens(a *app) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return complete(a, cmd, typed, func(ctx context.Context, s *session) ([]string, error) {
			tokens, err := s.tokens(ctx, s.namespace)
			names := make([]string, 0, len(tokens))
			for i := range tokens {
				names = append(names, cobra.CompletionWithDesc(tokens[i].Name, reasonOf(&tokens[i])))
			}
			return names, err
		})
	}
}

// completeKeys offers the ApiTokens of the namespace, then the keys of one that can be ended.
func completeKeys(a *app) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		if len(args) != 1 {
			return completeTokens(a)(cmd, args, typed)
		}
		return complete(a, cmd, typed, func(ctx context.Context, s *session) ([]string, error) {
			t, err := s.token(ctx, args[0])
			if err != nil {
				return nil, err
			}
			var keys []string
			for i := range t.Status.Credentials {
				if e := &t.Status.Credentials[i]; e.State == v1alpha1.StateRetiring {
					keys = append(keys, cobra.CompletionWithDesc(keyOf(e), string(e.State)))
				}
			}
			return keys, nil
		})
	}
}

// completeProviders offers KIND/NAME of the providers that can be read, for the flag
// provider.
func completeProviders(a *app, cmd *cobra.Command) {
	_ = cmd.RegisterFlagCompletionFunc("provider", func(cmd *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
		return complete(a, cmd, typed, func(ctx context.Context, s *session) ([]string, error) {
			all := s.providers(ctx, s.namespace)
			var names []string
			for _, r := range []reading.Of[[]account.Object]{all.cluster, all.own} {
				r.Switch(func(found []account.Object) {
					for _, o := range found {
						names = append(names, fmt.Sprintf("%s/%s", o.Kind, o.GetName()))
					}
				}, func() {}, func(error) {}) // what cannot be read can still be typed
			}
			return names, nil
		})
	})
}

// completeSecrets offers the Secrets of the namespace, by their metadata.
func completeSecrets(a *app) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return complete(a, cmd, typed, func(ctx context.Context, s *session) ([]string, error) {
			return names(ctx, s, "SecretList", client.InNamespace(s.namespace))
		})
	}
}

func completeNamespaces(a *app, root *cobra.Command) {
	_ = root.RegisterFlagCompletionFunc("namespace", func(cmd *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
		return complete(a, cmd, typed, func(ctx context.Context, s *session) ([]string, error) { return names(ctx, s, "NamespaceList") })
	})
}

// names lists the names of a kind of the core group.
func names(ctx context.Context, s *session, list string, opts ...client.ListOption) ([]string, error) {
	var found metav1.PartialObjectMetadataList
	found.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind(list))
	if err := s.client.List(ctx, &found, append(opts, client.Limit(chunk))...); err != nil {
		return nil, err
	}
	out := make([]string, 0, len(found.Items))
	for i := range found.Items {
		out = append(out, found.Items[i].Name)
	}
	return out, nil
}

func complete(
	a *app, cmd *cobra.Command, typed string, find func(context.Context, *session) ([]string, error),
) ([]string, cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(cmd.Context(), completionTimeout)
	defer cancel()
	s, err := a.open()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	names, err := find(ctx, s)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	names = slices.DeleteFunc(names, func(n string) bool { return !strings.HasPrefix(n, typed) })
	slices.Sort(names)
	return names, cobra.ShellCompDirectiveNoFileComp
}
