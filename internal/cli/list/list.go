// Package list is kubectl apitoken list.
package list

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/cli/exit"
	"apitoken.dev/operator/internal/cli/installation"
	"apitoken.dev/operator/internal/cli/output"
	"apitoken.dev/operator/internal/cli/session"
	"apitoken.dev/operator/internal/cli/tokenstate"
	"apitoken.dev/operator/internal/plan"
)

// listOptions are the flags of list.
type listOptions struct {
	all, notReady bool
	watch         bool
	expiring      time.Duration
	selector      string
	out           *output.Printer
}

// NewCommand returns kubectl apitoken list.
func NewCommand(a *session.App) *cobra.Command {
	var o listOptions
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List ApiTokens, all of them or those that need attention",
		Example: "  # what ends within a month, in every namespace\n  kubectl apitoken list -A --expiring-within 720h\n\n" +
			"  # what does not work\n  kubectl apitoken list -A --not-ready",
		Args:              session.ExactArgs(0, "list takes flags only"),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: a.RunE(func(ctx context.Context, s *session.Session, _ []string) error {
			return list(ctx, s, o)
		}, o.check),
	}
	f := cmd.Flags()
	f.BoolVarP(&o.all, "all-namespaces", "A", false, "List the ApiTokens of all namespaces.")
	f.BoolVar(&o.notReady, "not-ready", false, "Only those that are not ready.")
	f.BoolVarP(&o.watch, "watch", "w", false, "After the list, print each ApiToken again when it changes, until you stop it.")
	f.DurationVar(&o.expiring, "expiring-within", 0, "Only those whose published credential ends within this time or has ended, soonest first; for example 720h.")
	f.StringVarP(&o.selector, "selector", "l", "", "Label selector, as with kubectl get.")
	o.out = output.NewPrinter(cmd, session.Scheme(), output.FormatTable, output.FormatWide)
	o.out.Headers(cmd)
	return cmd
}

func (o *listOptions) check() error {
	if o.expiring < 0 {
		return exit.Usagef("--expiring-within: %s cannot be negative: write for example 720h for 30 days", o.expiring)
	}
	return o.out.Check()
}

func list(ctx context.Context, s *session.Session, o listOptions) error {
	selector, err := labels.Parse(o.selector)
	if err != nil {
		return exit.Usagef("-l: %w", err)
	}
	namespace := s.Namespace
	if o.all {
		namespace = ""
	}
	if o.watch {
		return watchList(ctx, s, o, client.InNamespace(namespace), client.MatchingLabelsSelector{Selector: selector})
	}
	tokens, err := s.Tokens(ctx, namespace, client.MatchingLabelsSelector{Selector: selector})
	if err != nil {
		return err
	}
	tokens = filter(tokens, o, s.Clock.Now())
	format, human := o.out.ForPeople()
	if !human {
		list := &v1alpha1.ApiTokenList{Items: tokens}
		list.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("ApiTokenList"))
		for i := range list.Items {
			list.Items[i].SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("ApiToken"))
		}
		return o.out.List(s.Out, list)
	}
	if len(tokens) == 0 {
		sayNothingFound(s, o)
		return nil
	}
	installation.WarnWhenGone(ctx, s)
	return printList(s, tokens, o, format == output.FormatWide)
}

func filter(tokens []v1alpha1.ApiToken, o listOptions, now time.Time) []v1alpha1.ApiToken {
	out := slices.DeleteFunc(tokens, func(t v1alpha1.ApiToken) bool {
		end := t.Status.ExpiresAt
		return o.notReady && tokenstate.Ready(&t) || o.expiring > 0 && (end == nil || end.After(now.Add(o.expiring)))
	})
	slices.SortFunc(out, func(a, b v1alpha1.ApiToken) int {
		first := 0
		if o.expiring > 0 {
			first = a.Status.ExpiresAt.Compare(b.Status.ExpiresAt.Time)
		}
		return cmp.Or(first, cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return out
}

func sayNothingFound(s *session.Session, o listOptions) {
	where := "namespace " + s.Namespace
	if o.all {
		where = "any namespace"
	}
	switch {
	case o.expiring > 0:
		s.Say("No ApiToken in %s ends within %s.", where, plan.Short(o.expiring))
	case o.notReady:
		s.Say("Every ApiToken in %s is ready.", where)
	default:
		s.Say("There are no ApiTokens in %s.", where)
	}
}

func printList(s *session.Session, tokens []v1alpha1.ApiToken, o listOptions, wide bool) error {
	names, rows := rows(s, tokens, o.all)
	return o.out.Table(s.Out, wide, output.Columns(names...), rows)
}

// rows are the columns of a list and its lines.
func rows(s *session.Session, tokens []v1alpha1.ApiToken, namespaces bool) (names []string, rows [][]any) {
	names = []string{"Name", "Ready", "Status", "Provider", "Access", "Expires", "Rotates", "Secret", "+Key ID", "+Live"}
	if namespaces {
		names = append([]string{"Namespace"}, names...)
	}
	now := s.Clock.Now()
	rows = make([][]any, 0, len(tokens))
	for i := range tokens {
		t := &tokens[i]
		key := output.None
		if e := tokenstate.Active(t); e != nil {
			key = tokenstate.Key(e)
		}
		row := []any{
			t.Name, tokenstate.ReadyWord(t), tokenstate.Reason(t), t.Spec.ProviderRef.Name, output.Join(t.Spec.Scopes), output.Until(t.Status.ExpiresAt, now),
			output.Until(tokenstate.RotatesAt(t), now), t.SecretName(), key, len(t.Status.Credentials),
		}
		if namespaces {
			row = append([]any{t.Namespace}, row...)
		}
		rows = append(rows, row)
	}
	return names, rows
}
