// Package complete completes arguments and flags in a shell.
package complete

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
	"apitoken.dev/operator/internal/cli/session"
	"apitoken.dev/operator/internal/cli/tokenstate"
)

// completionTimeout keeps a shell from hanging on a cluster that does not answer.
const completionTimeout = 3 * time.Second

// Tokens offers the ApiTokens of the namespace for the first argument.
func Tokens(a *session.App) cobra.CompletionFunc {
	return first(a, func(ctx context.Context, s *session.Session) ([]string, error) {
		tokens, err := s.Tokens(ctx, s.Namespace)
		names := make([]string, 0, len(tokens))
		for i := range tokens {
			names = append(names, cobra.CompletionWithDesc(tokens[i].Name, tokenstate.Reason(&tokens[i])))
		}
		return names, err
	})
}

// Keys offers the ApiTokens of the namespace, then the keys of one that can be ended.
func Keys(a *session.App) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		if len(args) != 1 {
			return Tokens(a)(cmd, args, typed)
		}
		return complete(a, cmd, typed, func(ctx context.Context, s *session.Session) ([]string, error) {
			t, err := s.Token(ctx, args[0])
			if err != nil {
				return nil, err
			}
			var keys []string
			for i := range t.Status.Credentials {
				if e := &t.Status.Credentials[i]; e.State == v1alpha1.StateRetiring {
					keys = append(keys, cobra.CompletionWithDesc(tokenstate.Key(e), string(e.State)))
				}
			}
			return keys, nil
		})
	}
}

// Providers completes the flag --provider with KIND/NAME of the readable providers.
func Providers(a *session.App, cmd *cobra.Command) {
	_ = cmd.RegisterFlagCompletionFunc("provider", func(cmd *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
		return complete(a, cmd, typed, func(ctx context.Context, s *session.Session) ([]string, error) {
			all := s.Providers(ctx, s.Namespace)
			var names []string
			for _, r := range []reading.Of[[]account.Object]{all.Cluster, all.Own} {
				r.Switch(func(found []account.Object) {
					for _, o := range found {
						names = append(names, fmt.Sprintf("%s/%s", o.Kind, o.GetName()))
					}
				}, func() {}, func(error) {}) // an unreadable name can still be typed
			}
			return names, nil
		})
	})
}

// Secrets offers the Secrets of the namespace, by their metadata.
func Secrets(a *session.App) cobra.CompletionFunc {
	return first(a, func(ctx context.Context, s *session.Session) ([]string, error) {
		return names(ctx, s, "SecretList", client.InNamespace(s.Namespace))
	})
}

// Namespaces completes the flag namespace.
func Namespaces(a *session.App, root *cobra.Command) {
	_ = root.RegisterFlagCompletionFunc("namespace", func(cmd *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
		return complete(a, cmd, typed, func(ctx context.Context, s *session.Session) ([]string, error) { return names(ctx, s, "NamespaceList") })
	})
}

// names lists the names of a kind of the core group.
func names(ctx context.Context, s *session.Session, list string, opts ...client.ListOption) ([]string, error) {
	var found metav1.PartialObjectMetadataList
	found.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind(list))
	if err := s.Client.List(ctx, &found, append(opts, client.Limit(session.Chunk))...); err != nil {
		return nil, err
	}
	out := make([]string, 0, len(found.Items))
	for i := range found.Items {
		out = append(out, found.Items[i].Name)
	}
	return out, nil
}

// first completes the first argument, and offers nothing for the others.
func first(a *session.App, find func(context.Context, *session.Session) ([]string, error)) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return complete(a, cmd, typed, find)
	}
}

func complete(
	a *session.App, cmd *cobra.Command, typed string, find func(context.Context, *session.Session) ([]string, error),
) ([]string, cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(cmd.Context(), completionTimeout)
	defer cancel()
	s, err := a.Open()
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
